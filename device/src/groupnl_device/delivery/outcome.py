"""What a command of the device client found and did, for people and for programs."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from groupnl_device.delivery.errors import DeliveryError
from groupnl_device.delivery.slots import Installed, Slot, Slots

Result = Literal["updated", "up to date", "rolled back", "failed"]


@dataclass(frozen=True, kw_only=True)
class Held:
    """A slot with what it holds.

    Attributes:
        slot: Its name.
        file: Its model.
        what: What it is.
    """

    slot: Slot
    file: Path
    what: Installed

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {"slot": self.slot, "file": str(self.file), **asdict(self.what)}


@dataclass(frozen=True, kw_only=True)
class Received:
    """How a version came.

    Attributes:
        version: Its number.
        way: ``full``, ``patch``, or ``kept``: the other slot held it already.
        received_bytes: From the network in this pull, without the metadata.
        reused_bytes: That an earlier pull, which did not come to its end, had received.
        full_bytes: What the full file takes.
        patch_refused: Why a patch that was tried did not serve.
    """

    version: int
    way: Literal["full", "patch", "kept"]
    received_bytes: int
    reused_bytes: int
    full_bytes: int
    patch_refused: str | None = None


@dataclass(kw_only=True)
class Outcome:
    """The account of one command, filled while it works.

    Attributes:
        result: In one word or three.
        made: When the repository's state was made that the device saw; None: it saw none.
        before: What was in use before.
        active: What is in use now.
        kept: What the other slot holds.
        received: How the new version came; None: none came.
        passed_over: By version, why newer ones are not taken.
        recovered: What was found broken on the device, and what was done about it.
        notes: What else an operator should know.
        error: What went wrong.
    """

    result: Result = "up to date"
    made: datetime | None = None
    before: Installed | None = None
    active: Held | None = None
    kept: Held | None = None
    received: Received | None = None
    passed_over: Mapping[int, str] = field(default_factory=dict)
    recovered: str | None = None
    notes: list[str] = field(default_factory=list)
    error: DeliveryError | None = None

    def fail(self, error: DeliveryError) -> None:
        """Note what went wrong."""
        self.result, self.error = "failed", error

    def look(self, slots: Slots) -> None:
        """Note what the slots hold.

        Raises:
            OSError: That cannot be read.
        """
        active = slots.active()
        self.active = None if active is None else held(slots, active)
        self.kept = held(slots, slots.spare())

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "result": self.result,
            "made": None if self.made is None else self.made.isoformat(),
            "before": None if self.before is None else asdict(self.before),
            "active": None if self.active is None else self.active.to_dict(),
            "kept": None if self.kept is None else self.kept.to_dict(),
            "received": None if self.received is None else asdict(self.received),
            "passed_over": [{"version": version, "why": why} for version, why in self.passed_over.items()],
            "recovered": self.recovered,
            "notes": list(self.notes),
            "error": None if self.error is None else told(self.error),
        }

    def lines(self) -> list[str]:
        """For people."""
        said = [f"{self.result}: {'no model' if self.active is None else self.active.what.label} is in use"]
        if self.recovered is not None:
            said.append(f"recovered: {self.recovered}")
        if (got := self.received) is not None:
            said.append(f"received: {got.received_bytes} bytes ({got.way}; the full file has {got.full_bytes})")
            if got.patch_refused is not None:
                said.append(f"the patch was refused: {got.patch_refused}")
        said += [f"version {version} is not taken: {why}" for version, why in self.passed_over.items()]
        return said + self.notes


def held(slots: Slots, slot: Slot) -> Held | None:
    """What a slot says that it holds, None where it says nothing.

    Raises:
        OSError: It cannot be read.
    """
    what = slots.about(slot)
    return None if what is None else Held(slot=slot, file=slots.model(slot), what=what)


def told(error: DeliveryError) -> dict[str, str]:
    """An error as programs read it."""
    return {"kind": error.kind, "message": " ".join(str(error).split())}
