"""``groupnl publish``: a bundle as the next version of a channel in a signed repository."""

from pathlib import Path
from typing import Annotated

import typer

from groupnl.cli.output import JsonOption, Output
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


def publish(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="A bundle that groupnl export wrote.")],
    repo: RepoOption,
    channel: ChannelOption,
    keys: KeysOption = KEYS,
    percent: PercentOption = 100.0,
    group: GroupOption = None,
    most_latency_ms: Annotated[
        float | None,
        typer.Option("--most-latency-ms", metavar="MS", help="A device that is slower keeps its old model."),
    ] = None,
    memory_mb: Annotated[
        float | None,
        typer.Option("--memory-mb", metavar="MB", help="Free memory a device must have. Default: the bundle's size."),
    ] = None,
    patches: Annotated[
        int, typer.Option("--patches", metavar="N", help="From how many of the latest versions to make a patch.")
    ] = 3,
    json: JsonOption = None,
) -> None:
    """Publish a bundle: signed, with patches from the versions before, all of it or nothing.

    Example: [bold]groupnl publish icons.gnl --repo site --channel stable --percent 10[/bold]
    """
    from groupnl.delivery import publish as publish_bundle
    from groupnl_device.delivery.release import Rollout

    with Output(json).words() as output, refusals():
        if memory_mb is not None and not 0 <= memory_mb <= 2**40:
            raise ValueError(f"--memory-mb {memory_mb}: expected a number of MB from 0")
        published = publish_bundle(
            open_repository(repo, keys),
            bundle,
            channel,
            rollout=Rollout(percent=percent, groups=tuple(group or ())),
            most_latency_ms=most_latency_ms,
            memory_bytes=None if memory_mb is None else round(memory_mb * 1e6),
            patches=patches,
        )
        release = published.release
        output.say(
            f"published {release.model} as version {release.version} of {channel}: {published.size_bytes:,} bytes"
        )
        for older, size in sorted(published.patch_bytes.items()):
            output.say(f"  patch from version {older}: {size:,} bytes, {size / published.size_bytes:.0%} of it")
        output.finish(
            {
                "repo": repo,
                "channel": channel,
                "version": release.version,
                "model": release.model,
                "published": release.published,
                "bytes": published.size_bytes,
                "sha256": published.sha256,
                "stored_bytes": release.stored_bytes,
                "patch_bytes": {str(older): size for older, size in published.patch_bytes.items()},
                "percent": release.rollout.percent,
                "groups": list(release.rollout.groups),
            }
        )
