"""``groupnl repo list``: the versions of each channel, and until when the metadata are valid."""

from typing import TYPE_CHECKING, Any

from rich.table import Table

from groupnl.cli.output import JsonOption, Output
from groupnl.cli.repository_options import KEYS, KeysOption, RepoOption, open_repository, refusals

if TYPE_CHECKING:
    from groupnl.delivery.state import State
    from groupnl_device.delivery.release import Release


def list_(repo: RepoOption, keys: KeysOption = KEYS, json: JsonOption = None) -> None:
    """List versions, keys and the ends of their time; takes no passphrase.

    Example: [bold]groupnl repo list --repo site[/bold]
    """
    from groupnl.delivery import releases_of, withdrawn_of

    with Output(json).words() as output, refusals():
        state = open_repository(repo, keys).state()
        releases = releases_of(state.targets)
        withdrawn = withdrawn_of(state.targets)
        output.say(_versions(releases, state))
        for channel, versions in withdrawn.items():
            output.say(f"withdrawn from {channel}: {', '.join(map(str, versions))}")
        output.say(_roles(state))
        output.finish(
            {
                "repo": repo,
                "releases": [_release(release, state) for release in releases],
                "withdrawn": withdrawn,
                "roles": {
                    signed.type: {
                        "version": signed.version,
                        "expires": signed.expires.isoformat(),
                        "threshold": state.root.roles[signed.type].threshold,
                        "keys": list(state.root.roles[signed.type].keyids),
                    }
                    for signed in _signed(state)
                },
            }
        )


def _signed(state: "State") -> tuple[Any, ...]:
    return (state.root, state.targets, state.snapshot, state.timestamp)


def _release(release: "Release", state: "State") -> dict[str, Any]:
    return {
        "channel": release.channel,
        "version": release.version,
        "model": release.model,
        "published": release.published,
        "bytes": state.targets.targets[release.path].length,
        "stored_bytes": release.stored_bytes,
        "patch_bytes": {str(older): state.targets.targets[path].length for older, path in release.patches.items()},
        "percent": release.rollout.percent,
        "groups": list(release.rollout.groups),
        "runtimes": list(release.needs.runtimes),
        "input_size": list(release.needs.input_size),
        "memory_bytes": release.needs.memory_bytes,
        "most_latency_ms": release.most_latency_ms,
    }


def _versions(releases: "list[Release]", state: "State") -> Table:
    table = Table("channel", "version", "model", "published", "bytes", "patches from", "devices")
    for release in releases:
        rollout = release.rollout
        table.add_row(
            release.channel,
            str(release.version),
            release.model,
            release.published,
            f"{state.targets.targets[release.path].length:,}",
            ", ".join(map(str, release.patches)) or "-",
            f"{rollout.percent:g} %" + (f" of {', '.join(rollout.groups)}" if rollout.groups else ""),
        )
    return table


def _roles(state: "State") -> Table:
    table = Table("role", "version", "valid until", "keys")
    for signed in _signed(state):
        role = state.root.roles[signed.type]
        table.add_row(
            signed.type, str(signed.version), signed.expires.isoformat(), f"{role.threshold} of {len(role.keyids)}"
        )
    return table
