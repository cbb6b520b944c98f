"""``groupnl repo``: make a signed repository, and look after its keys and versions."""

from typing import Annotated

import typer

from groupnl.cli.output import JsonOption, Output
from groupnl.cli.repo_init import init
from groupnl.cli.repo_keys import renew, rotate
from groupnl.cli.repo_list import list_
from groupnl.cli.repository_options import (
    KEYS,
    ChannelOption,
    GroupOption,
    KeysOption,
    PercentOption,
    RepoOption,
    open_repository,
    refusals,
)

app = typer.Typer(
    no_args_is_help=True, help="Make a signed repository; look after its keys and versions.", rich_markup_mode="rich"
)
VersionOption = Annotated[int, typer.Option("--version", metavar="N", help="A version of the channel.")]


@app.command()
def retire(
    repo: RepoOption, channel: ChannelOption, version: VersionOption, keys: KeysOption = KEYS, json: JsonOption = None
) -> None:
    """Withdraw a version: a device that runs it goes to the highest one that is left.

    Example: [bold]groupnl repo retire --repo site --channel stable --version 4[/bold]
    """
    from groupnl.delivery import retire as retire_version

    with Output(json).words() as output, refusals():
        retire_version(open_repository(repo, keys), channel, version)
        output.say(f"version {version} of {channel} is withdrawn")
        output.finish({"repo": repo, "channel": channel, "version": version})


@app.command()
def rollout(
    repo: RepoOption,
    channel: ChannelOption,
    version: VersionOption,
    percent: PercentOption = 100.0,
    group: GroupOption = None,
    keys: KeysOption = KEYS,
    json: JsonOption = None,
) -> None:
    """Give a version to more devices, or to fewer; a device that has it keeps it.

    Example: [bold]groupnl repo rollout --repo site --channel stable --version 5 --percent 50[/bold]
    """
    from groupnl.delivery import set_rollout
    from groupnl_device.delivery.release import Rollout

    with Output(json).words() as output, refusals():
        wanted = Rollout(percent=percent, groups=tuple(group or ()))
        set_rollout(open_repository(repo, keys), channel, version, wanted)
        who = f" of the groups {', '.join(wanted.groups)}" if wanted.groups else ""
        output.say(f"version {version} of {channel}: for {percent:g} % of the devices{who}")
        output.finish(
            {"repo": repo, "channel": channel, "version": version, "percent": percent, "groups": list(wanted.groups)}
        )


@app.command()
def recover(repo: RepoOption, keys: KeysOption = KEYS, json: JsonOption = None) -> None:
    """End a change that a killed publisher has begun.

    Example: [bold]groupnl repo recover --repo site[/bold]
    """
    from groupnl.delivery import recover as recover_repository

    with Output(json).words() as output, refusals():
        number = recover_repository(open_repository(repo, keys))
        output.say("nothing was unfinished" if number is None else f"devices see snapshot {number} now")
        output.finish({"repo": repo, "snapshot": number})


app.command()(init)
app.command("list")(list_)
app.command()(renew)
app.command()(rotate)
