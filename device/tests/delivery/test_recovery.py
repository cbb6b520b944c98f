"""A folder is put in order before anything else happens; see test_client.py for the same through a pull."""

from pathlib import Path

import pytest
from device.tests.delivery.test_slots import about, staged

from groupnl_device.delivery import slots as slots_module
from groupnl_device.delivery.recovery import settle
from groupnl_device.delivery.slots import Slots


@pytest.fixture
def slots(tmp_path: Path) -> Slots:
    slots = Slots(tmp_path)
    slots.prepare()
    for slot, content, version in (("a", b"one", 1), ("b", b"two", 2)):
        slots.fill(slot, staged(slots, content), about(content, version))  # type: ignore[arg-type]
        slots.activate(slot)  # type: ignore[arg-type]
        slots.note_active(slot)  # type: ignore[arg-type]
    return slots


def test_all_is_well(slots: Slots) -> None:
    assert settle(slots) == (slots.about("b"), None)
    assert slots.active() == "b"


def test_an_empty_folder_is_well(tmp_path: Path) -> None:
    slots = Slots(tmp_path)
    slots.prepare()
    assert settle(slots) == (None, None)


def test_the_kept_model_takes_over(slots: Slots) -> None:
    slots.model("b").write_bytes(b"TWO")
    told = "slot b is not as it was installed; slot a is in use (stable 1)"
    assert settle(slots) == (slots.about("a"), told)
    assert slots.active() == "a"
    assert settle(slots) == (slots.about("a"), None)


def test_nothing_takes_over_where_nothing_is_whole(slots: Slots) -> None:
    slots.model("a").write_bytes(b"ONE")
    slots.model("b").write_bytes(b"TWO")
    assert settle(slots) == (None, "slot b is not as it was installed, and no other model is here")
    assert slots.link.readlink() == Path("slots/b")


def test_a_lost_link_leads_to_a_whole_model_again(slots: Slots) -> None:
    slots.link.unlink()
    slots.model("b").write_bytes(b"TWO")
    assert settle(slots) == (slots.about("a"), "current leads nowhere; slot a is in use (stable 1)")


def test_the_model_in_use_is_read_once(slots: Slots, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    real = slots_module.sha256_of
    monkeypatch.setattr(slots_module, "sha256_of", lambda path: (read.append(path), real(path))[1])
    settle(slots)
    assert read == [slots.model("b")]
