"""``state.json``: what a device remembers of its updates, beside the models themselves.

Nothing in it is needed to run a model. A file that cannot be read counts as none: then a version that failed before is
tested, and fails, once more.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from groupnl_device.atomic import write_atomically
from groupnl_device.strict_json import parse

_MOST_SKIPPED = 64  # the oldest are forgotten first


@dataclass(frozen=True, kw_only=True)
class Skipped:
    """A version that this device does not take any more.

    Attributes:
        channel: Its channel.
        version: Its number in the channel.
        why: For people.
        when: ISO 8601, UTC.
    """

    channel: str
    version: int
    why: str
    when: str


@dataclass(frozen=True, kw_only=True)
class State:
    """The whole memory.

    Attributes:
        skipped: In the order in which they were added.
        last_pull: When a pull ended last, ISO 8601, UTC.
        last_success: When a pull ended well last.
        last_error: ``kind`` and ``message`` of the last pull where it failed.
    """

    skipped: tuple[Skipped, ...] = ()
    last_pull: str | None = None
    last_success: str | None = None
    last_error: Mapping[str, str] | None = None

    @classmethod
    def read(cls, path: Path) -> "State":
        """From a file; an empty one where there is none, or one that is not as it was written.

        Raises:
            OSError: The file is there and cannot be read.
        """
        try:
            told = parse(path.read_bytes())
            error = told["last_error"]
            return cls(
                skipped=tuple(
                    Skipped(
                        channel=str(one["channel"]),
                        version=int(one["version"]),
                        why=str(one["why"]),
                        when=str(one["when"]),
                    )
                    for one in told["skipped"]
                ),
                last_pull=_text_or_none(told["last_pull"]),
                last_success=_text_or_none(told["last_success"]),
                last_error=None if error is None else {name: str(error[name]) for name in ("kind", "message")},
            )
        except (FileNotFoundError, KeyError, TypeError, ValueError):
            return cls()

    def write(self, path: Path) -> None:
        """To a file that is replaced whole.

        Raises:
            OSError: The disk refuses; the old file is intact.
        """
        text = json.dumps(self.to_dict(), indent=2, allow_nan=False) + "\n"
        write_atomically(path, lambda file: file.write(text.encode()))

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        told = asdict(self)
        return told | {"skipped": list(told["skipped"])}

    def skip(self, one: Skipped) -> "State":
        """With one version more that is not taken."""
        others = self.admit(one.channel, one.version).skipped
        return replace(self, skipped=(*others, one)[-_MOST_SKIPPED:])

    def admit(self, channel: str, version: int) -> "State":
        """With a version that may be taken again."""
        left = tuple(one for one in self.skipped if (one.channel, one.version) != (channel, version))
        return replace(self, skipped=left)

    def why_skipped(self, channel: str, version: int) -> str | None:
        """Why a version is not taken, or None where it may be."""
        return next((one.why for one in self.skipped if (one.channel, one.version) == (channel, version)), None)


def _text_or_none(value: Any) -> str | None:
    return None if value is None else str(value)
