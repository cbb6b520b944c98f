"""What a signed repository says of a model: the ``custom`` field of its target, and which device takes it.

The publisher writes it, the device reads it; both use this file. Targets are named ``<channel>/<version>/model.gnl``
and, for a patch from an older version of the channel, ``<channel>/<version>/from-<older>.patch``.
"""

import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

KEY = "groupnl"  # in the target's custom field, beside what others may put there
MODEL_FILE = "model.gnl"
_CHANNEL = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_GROUP = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_LARGEST_VERSION = 10**9


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """Which devices of a channel take a version.

    Attributes:
        percent: Of all device ids, 0 to 100; who is in at some percentage stays in at any larger one.
        groups: Names of device groups; empty: all.
    """

    percent: float = 100.0
    groups: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.percent <= 100:
            raise ValueError(f"percent={self.percent!r}: expected 0 to 100")
        for group in self.groups:
            if _GROUP.fullmatch(group) is None:
                raise ValueError(f"group {group[:60]!r}: expected up to 64 letters, digits and _ . -")


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What a device must have.

    Attributes:
        runtimes: Names as in the bundle's artifacts; any one of them is enough.
        input_size: (C, H, W) of the picture.
        memory_bytes: Of free memory that loading and running takes at least; 0: not known.
        format_version: Of the bundle.
    """

    runtimes: tuple[str, ...]
    input_size: tuple[int, int, int]
    memory_bytes: int = 0
    format_version: str = "1.0"


@dataclass(frozen=True, kw_only=True)
class Release:
    """One version of a channel's model.

    Attributes:
        channel: Its name.
        version: Counts up in the channel, from 1; never used twice.
        model: The bundle's name, for people.
        published: ISO 8601, UTC.
        rollout: Which devices take it.
        needs: What a device must have.
        stored_sha256: Of the same bundle with no entry compressed, which is what patches give.
        stored_bytes: Its length.
        patches: By the older version that each starts from, the path of its target.
        most_latency_ms: The self-test fails above it; None: no limit.
    """

    channel: str
    version: int
    model: str
    published: str
    rollout: Rollout
    needs: Needs
    stored_sha256: str
    stored_bytes: int
    patches: Mapping[int, str] = field(default_factory=dict)
    most_latency_ms: float | None = None

    def __post_init__(self) -> None:
        check_channel(self.channel)
        if not 1 <= self.version <= _LARGEST_VERSION:
            raise ValueError(f"version {self.version}: expected 1 to {_LARGEST_VERSION}")
        if _SHA256.fullmatch(self.stored_sha256) is None:
            raise ValueError(f"stored_sha256 {self.stored_sha256[:70]!r}: expected 64 hexadecimal digits")
        if self.most_latency_ms is not None and not 0 < self.most_latency_ms < math.inf:
            raise ValueError(f"most_latency_ms={self.most_latency_ms!r}: expected a positive number, or None")

    @property
    def path(self) -> str:
        """Of the target."""
        return f"{self.channel}/{self.version}/{MODEL_FILE}"

    def to_custom(self) -> dict[str, Any]:
        """The target's custom field; :meth:`from_custom` reads it back. Fractions are text: signed JSON has none."""
        needs, rollout = self.needs, self.rollout
        told: dict[str, Any] = {
            "channel": self.channel,
            "version": self.version,
            "model": self.model,
            "published": self.published,
            "rollout": {"percent": str(rollout.percent), "groups": list(rollout.groups)},
            "needs": {
                "runtimes": list(needs.runtimes),
                "input_size": list(needs.input_size),
                "memory_bytes": needs.memory_bytes,
                "format_version": needs.format_version,
            },
            "stored": {"sha256": self.stored_sha256, "length": self.stored_bytes},
            "patches": {str(version): path for version, path in sorted(self.patches.items())},
        }
        if self.most_latency_ms is not None:
            told["most_latency_ms"] = str(self.most_latency_ms)
        return {KEY: told}

    @classmethod
    def from_custom(cls, custom: Any) -> "Release":
        """Read the custom field; members that this version does not know are passed over.

        Raises:
            ValueError: It is no release of ours; the message says where.
        """
        try:
            told = custom[KEY]
            channels, height, width = (int(v) for v in told["needs"]["input_size"])
            latency = told.get("most_latency_ms")
            datetime.fromisoformat(told["published"])
            return cls(
                channel=_text(told["channel"]),
                version=int(told["version"]),
                model=_text(told["model"]),
                published=_text(told["published"]),
                rollout=Rollout(
                    percent=float(told["rollout"]["percent"]),
                    groups=tuple(_text(group) for group in told["rollout"]["groups"]),
                ),
                needs=Needs(
                    runtimes=tuple(_text(name) for name in told["needs"]["runtimes"]),
                    input_size=(channels, height, width),
                    memory_bytes=int(told["needs"]["memory_bytes"]),
                    format_version=_text(told["needs"]["format_version"]),
                ),
                stored_sha256=_text(told["stored"]["sha256"]),
                stored_bytes=int(told["stored"]["length"]),
                patches={int(version): _text(path) for version, path in told["patches"].items()},
                most_latency_ms=None if latency is None else float(latency),
            )
        except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
            raise ValueError(f"not the custom field of a release: {type(error).__name__}: {error}") from error


def patch_path(channel: str, version: int, older: int) -> str:
    """The name of the target that holds the patch from an older version."""
    return f"{channel}/{version}/from-{older}.patch"


def check_channel(channel: str) -> str:
    """The name itself.

    Raises:
        ValueError: Not a channel's name.
    """
    if _CHANNEL.fullmatch(channel) is None:
        raise ValueError(f"channel {channel[:70]!r}: expected up to 64 small letters, digits, _ and -")
    return channel


def takes_part(rollout: Rollout, *, channel: str, version: int, device_id: str, groups: tuple[str, ...]) -> bool:
    """Whether a device is among those that take a version.

    The device's place is the first 8 bytes of SHA-256 over ``channel/version/device id``, as a fraction of 2**64: the
    same on every machine, another order of devices for every version.
    """
    if rollout.groups and not set(rollout.groups) & set(groups):
        return False
    digest = hashlib.sha256(f"{channel}/{version}/{device_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") < rollout.percent / 100 * 2**64


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.60} is no text")
    return value
