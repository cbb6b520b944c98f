"""Which version of its channel a device takes next."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

from groupnl_device.delivery.device import Device
from groupnl_device.delivery.release import Release, takes_part
from groupnl_device.delivery.slots import Installed
from groupnl_device.delivery.state import State


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What was chosen, and what was not.

    Attributes:
        release: To take; None: nothing to do.
        passed_over: By version, why one that is above the chosen one (or above what is in use) is not taken.
        withdrawn: Whether what is in use was withdrawn.
    """

    release: Release | None
    passed_over: Mapping[int, str]
    withdrawn: bool


def select(
    releases: Sequence[Release],
    withdrawn: Mapping[str, Set[int]],
    *,
    channel: str,
    active: Installed | None,
    device: Device,
    state: State,
) -> Choice:
    """The highest version of the channel that is newer than what is in use, is for this device, and fits.

    A version below the one in use is taken only where signed metadata withdraw that one, or where the device's owner
    asks for another channel.

    Args:
        releases: What the repository lists, of any channel.
        withdrawn: By channel, the versions that devices should leave.
        channel: The device's.
        active: What is in use.
        device: Whose choice it is.
        state: Knows the versions that failed here.
    """
    gone = withdrawn.get(channel, frozenset())
    same = active if active is not None and active.channel == channel else None
    must_leave = same is not None and same.version in gone
    least = 0 if same is None or must_leave else same.version
    passed_over: dict[int, str] = {}
    for release in sorted(releases, key=lambda one: one.version, reverse=True):
        if release.channel != channel or release.version <= least or release.version in gone:
            continue
        reason = _reason_against(release, device, state)
        if reason is None:
            return Choice(release=release, passed_over=passed_over, withdrawn=must_leave)
        passed_over[release.version] = reason
    return Choice(release=None, passed_over=passed_over, withdrawn=must_leave)


def _reason_against(release: Release, device: Device, state: State) -> str | None:
    """Why this device does not take a version, or None if it does."""
    if why := state.why_skipped(release.channel, release.version):
        return f"skipped here: {why}"
    in_rollout = takes_part(
        release.rollout,
        channel=release.channel,
        version=release.version,
        device_id=device.device_id,
        groups=device.groups,
    )
    return device.obstacle(release.needs) if in_rollout else "not in its rollout yet"
