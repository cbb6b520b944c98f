"""Two places for models, and the link ``current`` that leads to the one in use.

    slots/a/{model.gnl,slot.json}   slots/b/{model.gnl,slot.json}   current -> slots/a

A slot is whole when its model has the length and hash that its ``slot.json`` says. An update fills the slot that is not
in use, then the link is replaced: the one act that switches. Programs open ``current/model.gnl``.
"""

import errno
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

from groupnl_device.atomic import sync_folder, write_atomically
from groupnl_device.delivery.disk import move, point, remove, sha256_of
from groupnl_device.delivery.errors import StorageError
from groupnl_device.delivery.release import MODEL_FILE, check_channel
from groupnl_device.strict_json import parse

Slot = Literal["a", "b"]
SLOTS: tuple[Slot, ...] = get_args(Slot)
Way = Literal["full", "patch"]
_ABOUT = "slot.json"


@dataclass(frozen=True, kw_only=True)
class Installed:
    """What a slot holds.

    Attributes:
        channel: Of the release.
        version: Of the release.
        model: The bundle's name, for people.
        sha256: Of the file as it lies in the slot.
        length: Of that file, bytes.
        way: How it came.
        received_bytes: What its download took, without the metadata.
        installed: When the slot was filled, ISO 8601, UTC.
        activated: When it was taken into use for the first time; None: never yet.
        self_test: The figures of its test on this device.
    """

    channel: str
    version: int
    model: str
    sha256: str
    length: int
    way: Way
    received_bytes: int
    installed: str
    activated: str | None = None
    self_test: Mapping[str, Any]

    @property
    def label(self) -> str:
        """As people see it: channel and version."""
        return f"{self.channel} {self.version}"

    @classmethod
    def read(cls, path: Path) -> "Installed | None":
        """From a file; None where there is none, or one that is not as it was written.

        Raises:
            OSError: The file is there and cannot be read.
        """
        try:
            told = parse(path.read_bytes())
            return cls(
                channel=check_channel(told["channel"]),
                version=int(told["version"]),
                model=str(told["model"]),
                sha256=str(told["sha256"]),
                length=int(told["length"]),
                way="patch" if told["way"] == "patch" else "full",
                received_bytes=int(told["received_bytes"]),
                installed=str(told["installed"]),
                activated=None if told["activated"] is None else str(told["activated"]),
                self_test=dict(told["self_test"]),
            )
        except (FileNotFoundError, NotADirectoryError, KeyError, TypeError, ValueError):
            return None

    def write(self, path: Path) -> None:
        """To a file that is replaced whole.

        Raises:
            OSError: The disk refuses.
        """
        text = json.dumps(asdict(self), indent=2, allow_nan=False) + "\n"
        write_atomically(path, lambda file: file.write(text.encode()))


class Slots:
    """The two slots and the link of one folder.

    Args:
        folder: The device folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.link = folder / "current"

    def prepare(self) -> None:
        """Make the folders, each of them on the disk before anything is put into it.

        Raises:
            OSError: The disk refuses.
        """
        for name in SLOTS:
            slot = self._folder / "slots" / name
            if not slot.is_dir():
                slot.mkdir(parents=True, exist_ok=True)
                sync_folder(slot.parent)
                sync_folder(self._folder)

    def model(self, slot: Slot) -> Path:
        """Where a slot's model lies."""
        return self._folder / "slots" / slot / MODEL_FILE

    def active(self) -> Slot | None:
        """The slot that the link leads to; None where there is no link, or it leads elsewhere.

        Raises:
            StorageError: Something else stands in the link's place.
            OSError: The link cannot be read.
        """
        try:
            target = str(self.link.readlink())
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            raise StorageError(f"{self.link}: expected a symbolic link; move away what stands there") from error
        return next((slot for slot in SLOTS if target == f"slots/{slot}"), None)

    def spare(self) -> Slot:
        """The slot that is not in use, which an update fills.

        Raises:
            OSError: The link cannot be read.
        """
        return "b" if self.active() == "a" else "a"

    def about(self, slot: Slot) -> Installed | None:
        """What a slot says that it holds; None where it says nothing.

        Raises:
            OSError: It cannot be read.
        """
        return Installed.read(self._about(slot))

    def whole(self, slot: Slot) -> Installed | None:
        """What a slot holds, its model read and compared with what it says; None where they differ.

        Raises:
            OSError: The model is there, and is not for this user to read.
        """
        try:
            about, model = self.about(slot), self.model(slot)
            if about is None or not model.is_file() or model.stat().st_size != about.length:
                return None
            return about if sha256_of(model) == about.sha256 else None
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            return None  # a part of the disk that cannot be read any more

    def fill(self, slot: Slot, model: Path, about: Installed) -> None:
        """Put a model in place of what a slot holds. Until the last step, the slot says that it holds nothing.

        Args:
            slot: Not the one in use.
            model: On the same file system; it is renamed away.
            about: What it is.

        Raises:
            ValueError: The slot is in use.
            OSError: The disk refuses.
        """
        if slot == self.active():
            raise ValueError(f"slot {slot!r} is in use; fill the other one")
        remove(self._about(slot))
        move(model, self.model(slot))
        about.write(self._about(slot))

    def activate(self, slot: Slot) -> None:
        """Let the link lead to a slot.

        Args:
            slot: A whole one.

        Raises:
            ValueError: The slot holds nothing.
            OSError: The disk refuses.
        """
        if self.about(slot) is None:
            raise ValueError(f"slot {slot!r} holds nothing that could be taken into use")
        if self.active() != slot:
            point(self.link, f"slots/{slot}")

    def note_active(self, slot: Slot) -> Installed:
        """Note that a slot is in use, where that is not noted yet.

        Raises:
            ValueError: The slot holds nothing.
            OSError: The disk refuses.
        """
        about = self.about(slot)
        if about is None:
            raise ValueError(f"slot {slot!r} holds nothing")
        if about.activated is None:
            about = replace(about, activated=now())
            about.write(self._about(slot))
        return about

    def _about(self, slot: Slot) -> Path:
        return self._folder / "slots" / slot / _ABOUT


def now() -> str:
    """The time, ISO 8601, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
