"""The cheapest way to a version: patches here are made of a word and the content, network and metadata are real."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from device.tests.delivery.http_server import broken_after, status
from device.tests.delivery.tiny_channel import World, good, tiny_world

from groupnl_device.delivery import acquire
from groupnl_device.delivery.errors import PatchError

ONE, TWO, THREE = good(1), good(2), good(3)
PATCH = "stable/2/from-1.patch"
FITS = b"fits\n"


def apply_patch(old: Path, patch: Path, out: Path) -> None:
    """In place of the real one: the patch names the new bundle that it gives."""
    word, _, number = patch.read_bytes().partition(b"\n")
    if word + b"\n" != FITS or old.read_bytes() != ONE:
        raise PatchError("the patch does not fit")
    out.write_bytes(good(int(number)))


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(acquire, "apply_patch", apply_patch)
    with tiny_world(tmp_path) as world:
        world.publish(1, ONE)
        assert world.pull().result == "updated"
        yield world


def publish_two(world: World, patch: bytes) -> None:
    world.repository.add(PATCH, patch)
    world.publish(2, TWO, patches={"1": PATCH})


def test_a_patch_is_taken_where_it_is_smaller(world: World) -> None:
    publish_two(world, FITS + b"2")
    outcome = world.pull()
    assert outcome.received is not None
    assert (outcome.received.way, outcome.received.received_bytes) == ("patch", len(FITS) + 1)
    assert outcome.received.full_bytes == len(TWO)
    assert outcome.active is not None
    assert outcome.active.what.way == "patch"
    assert world.current == TWO
    assert world.asked_for("2/model.gnl") == 0
    assert not list((world.folder / "staging").iterdir())


def test_a_patch_that_is_not_smaller_is_left_alone(world: World) -> None:
    publish_two(world, FITS + b"2" + b" " * len(TWO))
    outcome = world.pull()
    assert outcome.received is not None
    assert outcome.received.way == "full"
    assert world.asked_for(".patch") == 0
    assert world.current == TWO


@pytest.mark.parametrize(
    ("patch", "reason"),
    [(b"other\n2", "the patch does not fit"), (FITS + b"3", "the patch gives another model than version 2 of stable")],
)
def test_a_patch_that_does_not_serve_gives_way_to_the_full_file(world: World, patch: bytes, reason: str) -> None:
    publish_two(world, patch)
    outcome = world.pull()
    assert outcome.result == "updated"
    assert outcome.received is not None
    assert (outcome.received.way, outcome.received.patch_refused) == ("full", reason)
    assert outcome.received.received_bytes == len(patch) + len(TWO)
    assert world.current == TWO


def test_a_patch_with_another_hash_gives_way_to_the_full_file(world: World) -> None:
    publish_two(world, FITS + b"2")
    world.repository.files[world.repository.place(PATCH)] = FITS + b"3"
    outcome = world.pull()
    assert outcome.received is not None
    assert outcome.received.way == "full"
    assert "the signed metadata say" in str(outcome.received.patch_refused)
    assert world.current == TWO


def test_a_patch_that_the_metadata_promise_and_do_not_list_is_left_alone(world: World) -> None:
    world.publish(2, TWO, patches={"1": PATCH})
    assert world.pull().result == "updated"
    assert world.current == TWO


def test_a_patch_from_another_version_or_channel_is_left_alone(world: World) -> None:
    world.repository.add("stable/2/from-7.patch", FITS)
    world.publish(2, TWO, patches={"7": "stable/2/from-7.patch"})
    assert world.pull().result == "updated"
    world.repository.add("beta/3/from-2.patch", FITS)
    world.publish(3, THREE, channel="beta", patches={"2": "beta/3/from-2.patch"})
    assert world.pull("beta").result == "updated"
    assert world.asked_for(".patch") == 0
    assert world.current == THREE


def test_what_is_left_of_the_full_file_counts(world: World) -> None:
    world.publish(2, TWO)
    place = world.repository.place("stable/2/model.gnl")
    world.server.planned[place] = [broken_after(len(TWO) - 3, TWO)]
    assert world.pull().result == "failed"
    publish_two(world, FITS + b"2")  # larger than the three bytes that are missing
    outcome = world.pull()
    assert outcome.received is not None
    assert (outcome.received.way, outcome.received.received_bytes) == ("full", 3)


def test_a_patch_that_cannot_be_had_now_is_asked_for_again_later(world: World) -> None:
    publish_two(world, FITS + b"2")
    place = world.repository.place(PATCH)
    world.server.answers[place] = status(503)
    outcome = world.pull()
    assert outcome.error is not None
    assert outcome.error.kind == "network"
    assert world.current == ONE
    del world.server.answers[place]
    outcome = world.pull()
    assert outcome.received is not None
    assert outcome.received.way == "patch"


def test_a_patch_for_whose_result_there_is_no_room_gives_way_to_the_full_file(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(old: Path, patch: Path, out: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(out))

    monkeypatch.setattr(acquire, "apply_patch", full)
    publish_two(world, FITS + b"2")
    outcome = world.pull()
    assert outcome.received is not None
    assert outcome.received.way == "full"
    assert outcome.received.patch_refused == "the disk has no room for what the patch makes"
    assert world.current == TWO


def test_a_disk_that_fails_under_a_patch_fails_under_the_full_file_too(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(old: Path, patch: Path, out: Path) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(out))

    monkeypatch.setattr(acquire, "apply_patch", broken)
    publish_two(world, FITS + b"2")
    outcome = world.pull()
    assert outcome.error is not None
    assert outcome.error.kind == "storage"
    assert world.asked_for("2/model.gnl") == 0
    assert world.current == ONE


def test_what_a_killed_run_left_is_removed(world: World) -> None:
    staging = world.folder / "staging"
    for name in (f"{'1' * 64}.part", f"{'2' * 64}.patched", f".{'2' * 64}.patched.tmp"):
        (staging / name).write_bytes(b"x")
    world.publish(2, TWO)
    world.server.answers[world.repository.place("stable/2/model.gnl")] = status(503)
    assert world.pull().result == "failed"
    assert all(path.stat().st_size == 0 for path in staging.iterdir())  # at most an empty part of what is wanted
