"""The versions that a repository holds: listed, given to more devices, withdrawn."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from typing import Any

from tuf.api.metadata import Targets

from groupnl.delivery.commit import commit
from groupnl.delivery.layout import FIELD
from groupnl.delivery.repository import Repository
from groupnl_device.delivery.release import MODEL_FILE, Release, Rollout, check_channel

_WITHDRAWN = "withdrawn"


def releases_of(targets: Targets) -> list[Release]:
    """All versions on offer, by channel and version.

    Raises:
        ValueError: A target's description is not one of ours.
    """
    found = [
        Release.from_custom(target.custom)
        for path, target in targets.targets.items()
        if path.endswith(f"/{MODEL_FILE}")
    ]
    return sorted(found, key=lambda release: (release.channel, release.version))


def withdrawn_of(targets: Targets) -> dict[str, list[int]]:
    """Versions that were retired, by channel."""
    told: Mapping[str, Any] = targets.unrecognized_fields.get(FIELD, {}).get(_WITHDRAWN, {})
    return {channel: sorted(versions) for channel, versions in told.items()}


def next_version(targets: Targets, channel: str) -> int:
    """Of a channel: above all that it ever had, withdrawn ones included."""
    used = [release.version for release in releases_of(targets) if release.channel == channel]
    return max([0, *used, *withdrawn_of(targets).get(channel, [])]) + 1


def retire(repository: Repository, channel: str, version: int) -> None:
    """Withdraw a version: it is offered no more, and a device that runs it goes to the highest one that is left.

    Its files stay where they are: a device may be at it. Patches from it stay too, for devices that still run it.

    Args:
        repository: With the keys of targets, snapshot and timestamp.
        channel: Its channel.
        version: Its number, which is never used again.

    Raises:
        ValueError: There is no such version, or a key is missing.
        RepositoryError: See :func:`groupnl.delivery.commit.commit`.
        OSError: The store failed.
    """
    before = repository.state()
    release = _find(before.targets, channel, version)
    targets = deepcopy(before.targets)
    for path in (release.path, *release.patches.values()):
        targets.targets.pop(path, None)
    withdrawn = withdrawn_of(targets)
    withdrawn[channel] = sorted({*withdrawn.get(channel, []), version})
    ours = targets.unrecognized_fields.setdefault(FIELD, {})
    ours[_WITHDRAWN] = withdrawn
    commit(repository, before, targets)


def set_rollout(repository: Repository, channel: str, version: int, rollout: Rollout) -> Release:
    """Give a version to more devices, or to fewer. A device that has it already keeps it.

    Args:
        repository: With the keys of targets, snapshot and timestamp.
        channel: Its channel.
        version: Its number.
        rollout: Which devices take it from now on.

    Returns:
        The version as devices see it now.

    Raises:
        ValueError: There is no such version, or a key is missing.
        RepositoryError: See :func:`groupnl.delivery.commit.commit`.
        OSError: The store failed.
    """
    before = repository.state()
    release = replace(_find(before.targets, channel, version), rollout=rollout)
    targets = deepcopy(before.targets)
    targets.targets[release.path].unrecognized_fields["custom"] = release.to_custom()
    commit(repository, before, targets)
    return release


def _find(targets: Targets, channel: str, version: int) -> Release:
    check_channel(channel)
    of_channel = [release for release in releases_of(targets) if release.channel == channel]
    for release in of_channel:
        if release.version == version:
            return release
    there = ", ".join(str(release.version) for release in of_channel) or "none"
    raise ValueError(f"channel {channel} has no version {version}; it has: {there}")
