"""Two slots and a link."""

import errno
import hashlib
import json
import os
from pathlib import Path

import pytest

from groupnl_device.delivery import slots as slots_module
from groupnl_device.delivery.errors import StorageError
from groupnl_device.delivery.slots import Installed, Slots


def about(content: bytes, version: int = 1) -> Installed:
    return Installed(
        channel="stable",
        version=version,
        model="tiny",
        sha256=hashlib.sha256(content).hexdigest(),
        length=len(content),
        way="full",
        received_bytes=len(content),
        installed="2025-01-01T00:00:00+00:00",
        self_test={"latency_ms_median": 1.5},
    )


@pytest.fixture
def slots(tmp_path: Path) -> Slots:
    slots = Slots(tmp_path)
    slots.prepare()
    return slots


def staged(slots: Slots, content: bytes) -> Path:
    path = slots.link.with_name("staged")
    path.write_bytes(content)
    return path


def test_an_empty_folder_has_nothing_in_use(slots: Slots) -> None:
    assert slots.active() is None
    assert slots.spare() == "a"
    assert slots.whole("a") is None
    slots.prepare()  # again is no error


def test_fill_then_activate(slots: Slots) -> None:
    slots.fill("a", staged(slots, b"one"), about(b"one"))
    assert slots.whole("a") == about(b"one")
    assert slots.active() is None
    slots.activate("a")
    assert (slots.active(), slots.spare()) == ("a", "b")
    assert (slots.link / "model.gnl").read_bytes() == b"one"


def test_the_slot_in_use_is_not_filled(slots: Slots) -> None:
    slots.fill("a", staged(slots, b"one"), about(b"one"))
    slots.activate("a")
    with pytest.raises(ValueError, match="slot 'a' is in use; fill the other one"):
        slots.fill("a", staged(slots, b"two"), about(b"two"))
    assert slots.model("a").read_bytes() == b"one"


def test_an_empty_slot_is_not_taken_into_use(slots: Slots) -> None:
    with pytest.raises(ValueError, match="slot 'b' holds nothing that could be taken into use"):
        slots.activate("b")
    with pytest.raises(ValueError, match="slot 'b' holds nothing"):
        slots.note_active("b")


def test_the_first_use_is_noted_once(slots: Slots, monkeypatch: pytest.MonkeyPatch) -> None:
    slots.fill("a", staged(slots, b"one"), about(b"one"))
    slots.activate("a")
    first = slots.note_active("a")
    assert first.activated is not None
    monkeypatch.setattr(slots_module, "now", lambda: "later")
    assert slots.note_active("a") == first


@pytest.mark.parametrize("change", ["a flipped bit", "a byte less", "no model", "no slot.json", "half a slot.json"])
def test_what_is_not_as_it_was_installed_is_not_whole(slots: Slots, change: str) -> None:
    slots.fill("a", staged(slots, b"one"), about(b"one"))
    model = slots.model("a")
    note = model.with_name("slot.json")
    if change == "a flipped bit":
        model.write_bytes(b"onf")
    elif change == "a byte less":
        model.write_bytes(b"on")
    elif change == "no model":
        model.unlink()
    elif change == "no slot.json":
        note.unlink()
    else:
        note.write_bytes(note.read_bytes()[:40])
    assert slots.whole("a") is None


def test_a_part_of_the_disk_that_cannot_be_read_makes_a_slot_not_whole(
    slots: Slots, monkeypatch: pytest.MonkeyPatch
) -> None:
    slots.fill("a", staged(slots, b"one"), about(b"one"))

    def refuse(number: int) -> None:
        def read(path: Path) -> str:
            raise OSError(number, os.strerror(number), str(path))

        monkeypatch.setattr(slots_module, "sha256_of", read)

    refuse(errno.EIO)
    assert slots.whole("a") is None
    refuse(errno.EACCES)
    with pytest.raises(PermissionError):
        slots.whole("a")


@pytest.mark.parametrize("target", ["slots/c", "/slots/a", "slots", "../slots/a"])
def test_a_link_that_leads_elsewhere_is_none_of_ours(slots: Slots, target: str) -> None:
    slots.link.symlink_to(target)
    assert slots.active() is None


def test_a_file_in_place_of_the_link_is_named(slots: Slots) -> None:
    slots.link.write_text("slots/a")
    with pytest.raises(StorageError, match="current: expected a symbolic link; move away what stands there"):
        slots.active()


@pytest.mark.parametrize(
    "change",
    [{"channel": "NO!"}, {"version": "x"}, {"activated": 3, "self_test": 3}, {"length": None}],
)
def test_a_note_with_nonsense_counts_as_none(slots: Slots, change: dict[str, object]) -> None:
    slots.fill("a", staged(slots, b"one"), about(b"one"))
    note = slots.model("a").with_name("slot.json")
    note.write_text(json.dumps({**json.loads(note.read_text()), **change}))
    assert slots.about("a") is None
