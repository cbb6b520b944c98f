"""What a full or broken disk does to an update: the old model stays, the account says why, the next pull completes."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from device.tests.delivery.tiny_channel import World, good, tiny_world

from groupnl_device.delivery import slots, update

ONE, TWO = good(1), good(2)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with tiny_world(tmp_path) as world:
        world.publish(1, ONE)
        assert world.pull().result == "updated"
        world.publish(2, TWO)
        yield world


def refusal(number: int) -> OSError:
    return OSError(number, os.strerror(number), "D/file")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_a_disk_that_refuses_before_the_switch_keeps_the_old_model(
    world: World, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(slots, "move", lambda source, target: (_ for _ in ()).throw(refusal(number)))
        outcome = world.pull()
    assert outcome.result == "failed"
    assert outcome.error is not None
    assert outcome.error.kind == "storage"
    assert world.current == ONE
    assert not list((world.folder / "staging").iterdir())  # a full disk is not left full
    assert world.pull().result == "updated"
    assert world.current == TWO


def test_a_disk_that_refuses_at_the_switch_keeps_the_old_model(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(slots, "point", lambda link, target: (_ for _ in ()).throw(refusal(errno.ENOSPC)))
        outcome = world.pull()
    assert "the disk is full" in str(outcome.error)
    assert world.current == ONE
    outcome = world.pull()
    assert outcome.received is not None
    assert outcome.received.way == "kept"
    assert world.current == TWO


def test_a_disk_that_refuses_after_the_switch_does_not_undo_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(update, "clear", lambda staging: (_ for _ in ()).throw(refusal(errno.EIO)))
        outcome = world.pull()
    assert (outcome.result, outcome.error) == ("updated", None)
    assert outcome.notes
    assert outcome.notes[0].startswith("after the switch: ")
    assert world.current == TWO


def test_a_memory_that_cannot_be_written_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(self: object, path: Path) -> None:
        raise refusal(errno.ENOSPC)

    monkeypatch.setattr("groupnl_device.delivery.state.State.write", write)
    outcome = world.pull()
    assert outcome.result == "updated"
    assert outcome.notes == [
        "state.json is not written: D/file: the disk is full; free some space, the next pull goes on"
    ]


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes into any folder")
def test_a_folder_that_cannot_be_written(world: World) -> None:
    world.folder.chmod(0o555)
    try:
        outcome = world.pull()
    finally:
        world.folder.chmod(0o755)
    assert outcome.error is not None
    assert outcome.error.kind == "storage"
    assert world.current == ONE
