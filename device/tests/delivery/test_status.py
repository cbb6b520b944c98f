"""A look at a device folder, which changes nothing."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from device.tests.delivery.http_server import status as answer
from device.tests.delivery.tiny_channel import World, good, tiny_world, wrong_answers

from groupnl_device.delivery import slots
from groupnl_device.delivery.status import status

ONE, TWO = good(1), good(2)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with tiny_world(tmp_path) as world:
        yield world


def files(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_device_with_two_models(world: World) -> None:
    world.publish(1, ONE)
    world.pull()
    world.publish(2, TWO)
    world.pull()
    before = files(world.folder)
    found = status(world.folder)
    assert files(world.folder) == before
    assert found.problem is None
    told = found.to_dict()
    assert (told["active"]["version"], told["active"]["slot"], told["kept"]["version"]) == (2, "b", 1)
    assert told["active"]["file"] == str(world.folder / "slots/b/model.gnl")
    assert told["state"]["skipped"] == []
    lines = found.lines()
    assert lines[0].startswith("in use: stable 2 (tiny), ")
    assert lines[1].startswith("kept: stable 1 (tiny), ")
    assert lines[2].startswith("last pull: 2")
    assert len(lines) == 3


def test_a_failure_is_shown(world: World) -> None:
    world.publish(1, ONE)
    world.pull()
    world.publish(2, wrong_answers(2))
    world.pull()
    text = "\n".join(status(world.folder).lines())
    assert "skipped: stable 2: the self-test failed: self-test: the logits are off" in text
    assert "it failed (self-test): " in text
    assert "last pull that went well: 2" in text
    world.server.answers["/metadata/timestamp.json"] = answer(500)
    world.pull()
    assert "it failed (network): " in "\n".join(status(world.folder).lines())


def test_an_empty_folder_has_no_model(tmp_path: Path) -> None:
    found = status(tmp_path)
    assert (found.active, found.kept, found.problem) == (None, None, "no model is in use")
    assert found.lines() == ["problem: no model is in use", "last pull: none yet"]


def test_damaged_models_are_not_shown_as_usable(world: World) -> None:
    for version, content in ((1, ONE), (2, TWO)):
        world.publish(version, content)
        world.pull()
    for slot in "ab":
        (world.folder / "slots" / slot / "model.gnl").write_bytes(b"rubbish")
    found = status(world.folder)
    assert (found.active, found.kept, found.problem) == (None, None, "slot b is not as it was installed")


def test_what_stands_in_the_links_place_is_told(tmp_path: Path) -> None:
    (tmp_path / "current").mkdir()
    assert "expected a symbolic link" in str(status(tmp_path).problem)


def test_a_file_that_is_not_for_this_user(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.publish(1, ONE)
    world.pull()

    def refuse(path: Path) -> str:
        raise OSError(errno.EACCES, os.strerror(errno.EACCES), "model.gnl")

    monkeypatch.setattr(slots, "sha256_of", refuse)
    assert status(world.folder).problem == "model.gnl: Permission denied"


def test_the_folder_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="absent: no such folder"):
        status(tmp_path / "absent")
