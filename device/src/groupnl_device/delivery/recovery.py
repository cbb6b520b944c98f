"""Puts a device folder in order before anything else happens, whatever ended the last command, or befell the disk."""

from groupnl_device.delivery.slots import SLOTS, Installed, Slots


def settle(slots: Slots) -> tuple[Installed | None, str | None]:
    """See that the model in use is the one that was installed; where it is not, take the kept one into use.

    Returns:
        The model that is whole and in use, None where there is none; what was wrong and what was done, None where all
        is well or no model was here yet.

    Raises:
        StorageError: Something else stands in the place of the link.
        OSError: The disk refuses.
    """
    active = slots.active()
    if active is not None and slots.whole(active) is not None:
        return slots.note_active(active), None  # a kill between the switch and its note
    others = [(about.activated or "", slot) for slot in SLOTS if slot != active and (about := slots.whole(slot))]
    wrong = "current leads nowhere" if active is None else f"slot {active} is not as it was installed"
    if not others:
        return None, None if active is None else f"{wrong}, and no other model is here"
    _, best = max(others)
    slots.activate(best)
    about = slots.note_active(best)
    return about, f"{wrong}; slot {best} is in use ({about.label})"
