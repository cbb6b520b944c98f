"""How a device folder is, without changing it: nothing is written, no lock is taken."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groupnl_device.delivery.client import STATE, check_folder
from groupnl_device.delivery.disk import storage_error
from groupnl_device.delivery.errors import StorageError
from groupnl_device.delivery.outcome import Held, held
from groupnl_device.delivery.slots import Slots
from groupnl_device.delivery.state import State


@dataclass(frozen=True, kw_only=True)
class Status:
    """What was found.

    Attributes:
        active: The model in use; None: there is none, or it is not whole.
        kept: The model to which ``rollback`` goes; None: there is none.
        state: What the device remembers.
        problem: Why no whole model is in use; None: one is.
    """

    active: Held | None = None
    kept: Held | None = None
    state: State
    problem: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "active": None if self.active is None else self.active.to_dict(),
            "kept": None if self.kept is None else self.kept.to_dict(),
            "state": self.state.to_dict(),
            "problem": self.problem,
        }

    def lines(self) -> list[str]:
        """For people."""
        said = [] if self.problem is None else [f"problem: {self.problem}"]
        for what, one in (("in use", self.active), ("kept", self.kept)):
            if one is not None:
                since = f"first used {one.what.activated}" if one.what.activated else "never used yet"
                said.append(
                    f"{what}: {one.what.label} ({one.what.model}), {one.what.length} bytes, {since}: {one.file}"
                )
        said += [f"skipped: {one.channel} {one.version}: {one.why} ({one.when})" for one in self.state.skipped]
        said.append(f"last pull: {self.state.last_pull or 'none yet'}")
        if (error := self.state.last_error) is not None:
            said.append(f"it failed ({error['kind']}): {error['message']}")
            said.append(f"last pull that went well: {self.state.last_success or 'none yet'}")
        return said


def status(folder: Path) -> Status:
    """Look, and read both models.

    Args:
        folder: The device folder.

    Raises:
        ValueError: There is no such folder.
    """
    check_folder(folder)
    slots, state = Slots(folder), State()
    try:
        state = State.read(folder / STATE)
        active, spare = slots.active(), slots.spare()
        in_use = held(slots, active) if active is not None and slots.whole(active) else None
        kept = held(slots, spare) if slots.whole(spare) else None
    except StorageError as error:
        return Status(state=state, problem=str(error))
    except OSError as error:
        return Status(state=state, problem=str(storage_error(error)))
    problem = None
    if in_use is None:
        problem = "no model is in use" if active is None else f"slot {active} is not as it was installed"
    return Status(active=in_use, kept=kept, state=state, problem=problem)
