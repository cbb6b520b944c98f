"""Pulls and rollbacks of a device against a repository on a local web server, end to end."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from device.tests.delivery.http_server import broken_after, status
from device.tests.delivery.tiny_channel import DEVICE, World, good, tiny_world, wrong_answers

from groupnl_device.bundle import Bundle
from groupnl_device.delivery.client import Settings, pull, rollback
from groupnl_device.delivery.lock import only_one
from groupnl_device.runtime import Session

ONE, TWO, THREE = good(1), good(2), good(3)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with tiny_world(tmp_path) as world:
        yield world


def test_the_first_model_arrives_is_tested_and_runs(world: World) -> None:
    world.publish(1, ONE)
    outcome = world.pull()
    assert (outcome.result, outcome.error, outcome.before, outcome.kept) == ("updated", None, None, None)
    assert world.current == ONE
    assert (world.folder / "current").readlink() == Path("slots/a")  # relative: the folder may be moved
    about = json.loads((world.folder / "slots/a/slot.json").read_text())
    assert (about["channel"], about["version"], about["way"], about["length"]) == ("stable", 1, "full", len(ONE))
    assert about["activated"] is not None
    assert 0 <= about["self_test"]["max_relative_difference"] < 1e-3
    assert about["self_test"]["latency_ms_median"] > 0
    assert Session(Bundle.open(world.folder / "current" / "model.gnl")).self_test() < 1e-3
    assert not list((world.folder / "staging").iterdir())


def test_a_second_pull_has_nothing_to_do_and_downloads_no_model(world: World) -> None:
    world.publish(1, ONE)
    world.pull()
    outcome = world.pull()
    assert (outcome.result, outcome.received) == ("up to date", None)
    assert world.asked_for("model.gnl") == 1


def test_versions_alternate_between_the_slots_and_the_one_before_is_kept(world: World) -> None:
    for version, content, slot in ((1, ONE, "a"), (2, TWO, "b"), (3, THREE, "a")):
        world.publish(version, content)
        outcome = world.pull()
        assert world.current == content
        assert outcome.active is not None
        assert (outcome.active.slot, outcome.active.what.version) == (slot, version)
    assert outcome.kept is not None
    assert outcome.kept.what.version == 2
    assert outcome.before is not None
    assert outcome.before.version == 2


def test_a_version_that_fails_its_self_test_is_refused_remembered_and_skipped_until_a_newer_one(world: World) -> None:
    world.publish(1, ONE)
    world.pull()
    world.publish(2, wrong_answers(2))
    outcome = world.pull()
    assert outcome.result == "failed"
    assert outcome.error is not None
    assert outcome.error.kind == "self-test"
    assert "the logits are off" in str(outcome.error)
    assert world.current == ONE
    assert not list((world.folder / "staging").iterdir())
    downloads = world.asked_for("model.gnl")

    outcome = world.pull()
    assert (outcome.result, outcome.error) == ("up to date", None)
    assert "the logits are off" in outcome.passed_over[2]
    assert world.asked_for("model.gnl") == downloads

    world.publish(3, THREE)
    assert world.pull().result == "updated"
    assert world.current == THREE


def test_a_version_that_fails_leaves_the_kept_one_in_its_slot(world: World) -> None:
    world.publish(1, ONE)
    world.pull()
    world.publish(2, TWO)
    world.pull()
    world.publish(3, wrong_answers(3))
    assert world.pull().result == "failed"
    assert world.rollback().result == "rolled back"
    assert world.current == ONE


def test_a_version_that_is_too_slow_is_refused(world: World) -> None:
    world.publish(1, ONE)
    world.pull()
    world.publish(2, TWO, most_latency_ms="0.000001")
    outcome = world.pull()
    assert outcome.error is not None
    assert outcome.error.kind == "self-test"
    assert "ms a picture (median); allowed are 1e-06" in str(outcome.error)
    assert world.current == ONE


def test_rollback_goes_to_the_kept_model_and_the_version_left_is_not_taken_again(world: World) -> None:
    world.publish(1, ONE)
    world.pull()
    world.publish(2, TWO)
    world.pull()
    outcome = world.rollback()
    assert (outcome.result, world.current) == ("rolled back", ONE)
    outcome = world.pull()
    assert (outcome.result, world.current) == ("up to date", ONE)
    assert outcome.passed_over == {2: "skipped here: rolled back from it"}
    world.publish(3, THREE)
    assert world.pull().result == "updated"
    assert world.current == THREE


def test_a_rollback_can_be_taken_back(world: World) -> None:
    world.publish(1, ONE)
    world.pull()
    world.publish(2, TWO)
    world.pull()
    world.rollback()
    assert world.rollback().result == "rolled back"
    assert world.current == TWO
    assert world.pull().result == "up to date"


def test_rollback_refuses_where_nothing_is_kept(world: World) -> None:
    world.publish(1, ONE)
    world.pull()
    outcome = world.rollback()
    assert outcome.error is not None
    assert "nothing to roll back to: slot b holds no whole model" in str(outcome.error)
    assert world.current == ONE


def test_rollback_refuses_a_kept_model_that_is_damaged(world: World) -> None:
    world.publish(1, ONE)
    world.pull()
    world.publish(2, TWO)
    world.pull()
    damage(world.folder / "slots/a/model.gnl")
    outcome = world.rollback()
    assert outcome.error is not None
    assert "nothing to roll back to" in str(outcome.error)
    assert world.current == TWO


def test_rollback_does_not_take_a_version_that_was_never_in_use(world: World) -> None:
    world.publish(1, ONE)
    world.pull()
    world.publish(2, TWO)
    world.pull()
    unswitch(world.folder)
    outcome = world.rollback()
    assert outcome.error is not None
    assert "slot b holds stable 2, which was never in use" in str(outcome.error)
    assert world.current == ONE


def test_rollback_wants_a_device_folder(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="absent: no such folder; expected the one that was given to pull"):
        rollback(tmp_path / "absent")


def test_a_damaged_model_is_replaced_by_the_kept_one_even_without_a_network(world: World) -> None:
    world.publish(1, ONE)
    world.pull()
    world.publish(2, TWO)
    world.pull()
    damage(world.folder / "slots/b/model.gnl")
    world.server.answers["/metadata/timestamp.json"] = status(500)
    outcome = world.pull()
    assert outcome.recovered == "slot b is not as it was installed; slot a is in use (stable 1)"
    assert outcome.error is not None
    assert outcome.error.kind == "network"
    assert world.current == ONE

    del world.server.answers["/metadata/timestamp.json"]
    assert world.pull().result == "updated"  # and comes again, whole
    assert world.current == TWO


def test_two_damaged_models_are_replaced_by_a_new_download(world: World) -> None:
    world.publish(1, ONE)
    world.pull()
    world.publish(2, TWO)
    world.pull()
    for slot in "ab":
        damage(world.folder / "slots" / slot / "model.gnl")
    outcome = world.pull()
    assert outcome.recovered == "slot b is not as it was installed, and no other model is here"
    assert (outcome.result, world.current) == ("updated", TWO)


def test_a_lost_link_is_made_again(world: World) -> None:
    world.publish(1, ONE)
    world.pull()
    world.publish(2, TWO)
    world.pull()
    (world.folder / "current").unlink()
    outcome = world.pull()
    assert outcome.result == "up to date"
    assert outcome.recovered is not None
    assert outcome.recovered.startswith("current leads nowhere")
    assert world.current in (ONE, TWO)
    assert Session(Bundle.open(world.folder / "current" / "model.gnl")).self_test() < 1e-3


def test_a_folder_in_place_of_the_link_is_named(world: World) -> None:
    (world.folder / "current").mkdir(parents=True)
    world.publish(1, ONE)
    outcome = world.pull()
    assert outcome.error is not None
    assert outcome.error.kind == "storage"
    assert "expected a symbolic link; move away what stands there" in str(outcome.error)


def test_an_older_version_is_not_taken(world: World) -> None:
    world.publish(2, TWO)
    world.pull()
    world.publish(1, ONE)
    outcome = world.pull()
    assert (outcome.result, world.current) == ("up to date", TWO)


def test_a_version_that_vanishes_without_being_withdrawn_stays(world: World) -> None:
    world.publish(1, ONE)
    world.publish(2, TWO)
    world.pull()
    del world.repository.targets.targets["stable/2/model.gnl"]
    world.repository.publish()
    assert world.pull().result == "up to date"
    assert world.current == TWO


def test_a_withdrawn_version_is_left_also_downwards_and_the_kept_model_saves_the_download(world: World) -> None:
    world.publish(1, ONE)
    world.pull()
    world.publish(2, TWO)
    world.pull()
    downloads = world.asked_for("model.gnl")
    world.withdraw(2)
    outcome = world.pull()
    assert (outcome.result, world.current) == ("updated", ONE)
    assert outcome.received is not None
    assert (outcome.received.way, outcome.received.received_bytes) == ("kept", 0)
    assert world.asked_for("model.gnl") == downloads


def test_a_withdrawn_version_with_nothing_below_it_stays_and_is_told(world: World) -> None:
    world.publish(1, ONE)
    world.pull()
    world.withdraw(1)
    outcome = world.pull()
    assert (outcome.result, world.current) == ("up to date", ONE)
    assert outcome.notes == ["stable 1 was withdrawn, and nothing else is there for this device"]


def test_another_channel_is_taken_when_it_is_asked_for(world: World) -> None:
    world.publish(5, ONE)
    world.pull()
    world.publish(1, TWO, channel="beta")
    assert world.pull("beta").result == "updated"
    assert world.current == TWO
    assert world.pull().result == "updated"  # and back: the owner's word
    assert world.current == ONE


def test_what_is_not_for_this_device_is_passed_over_and_told(world: World) -> None:
    world.publish(1, ONE)
    world.publish(2, TWO, rollout={"percent": 0, "groups": []})
    world.publish(3, THREE, rollout={"percent": 100, "groups": ["lab"]})
    outcome = world.pull()
    assert (outcome.result, world.current) == ("updated", ONE)
    assert outcome.passed_over == {3: "not in its rollout yet", 2: "not in its rollout yet"}
    assert world.pull(device=replace(DEVICE, groups=("lab",))).result == "updated"
    assert world.current == THREE


def test_a_device_without_a_model_says_why_it_gets_none(world: World) -> None:
    outcome = world.pull()
    assert outcome.error is not None
    assert outcome.error.kind == "unfit"
    assert "no version of the channel 'stable' for this device" in str(outcome.error)
    needs = {"runtimes": ["toaster"], "input_size": [3, 6, 8], "memory_bytes": 0, "format_version": "1.0"}
    world.publish(1, ONE, needs=needs)
    outcome = world.pull()
    assert "(version 1: runs on toaster; the runtimes here: onnxruntime)" in str(outcome.error)
    assert outcome.active is None


def test_a_download_that_breaks_off_goes_on_with_the_next_pull(world: World) -> None:
    world.publish(1, ONE)
    place = world.repository.place("stable/1/model.gnl")
    world.server.planned[place] = [broken_after(1500, ONE)]
    outcome = world.pull()
    assert outcome.error is not None
    assert outcome.error.kind == "network"
    assert outcome.active is None
    outcome = world.pull()
    assert outcome.received is not None
    assert (outcome.received.reused_bytes, outcome.received.received_bytes) == (1500, len(ONE) - 1500)
    assert world.current == ONE
    assert world.server.requests[-1] == (place, "bytes=1500-")


def test_what_is_left_of_a_version_that_is_not_wanted_any_more_is_removed(world: World) -> None:
    world.publish(1, ONE)
    world.server.planned[world.repository.place("stable/1/model.gnl")] = [broken_after(1500, ONE)]
    world.pull()
    assert len(list((world.folder / "staging").iterdir())) == 1
    world.publish(2, TWO)
    world.server.planned[world.repository.place("stable/2/model.gnl")] = [broken_after(100, TWO)]
    world.pull()
    (left,) = (world.folder / "staging").iterdir()
    assert left.stat().st_size == 100


def test_what_is_left_of_a_version_that_was_withdrawn_is_removed(world: World) -> None:
    world.publish(1, ONE)
    world.pull()
    world.publish(2, TWO)
    world.server.planned[world.repository.place("stable/2/model.gnl")] = [broken_after(1500, TWO)]
    world.pull()
    assert len(list((world.folder / "staging").iterdir())) == 1
    world.withdraw(2)
    assert world.pull().result == "up to date"
    assert not list((world.folder / "staging").iterdir())


def test_a_pull_that_ended_before_the_switch_needs_no_second_download(world: World) -> None:
    world.publish(1, ONE)
    world.pull()
    world.publish(2, TWO)
    world.pull()
    unswitch(world.folder)
    downloads = world.asked_for("model.gnl")
    outcome = world.pull()
    assert (outcome.result, world.current) == ("updated", TWO)
    assert outcome.received is not None
    assert outcome.received.way == "kept"
    assert outcome.active is not None
    assert outcome.active.what.activated is not None
    assert world.asked_for("model.gnl") == downloads


def test_a_kill_after_the_switch_is_made_up_for(world: World) -> None:
    world.publish(1, ONE)
    world.pull()
    about = world.folder / "slots/a/slot.json"
    about.write_text(json.dumps({**json.loads(about.read_text()), "activated": None}))
    outcome = world.pull()
    assert outcome.result == "up to date"
    assert json.loads(about.read_text())["activated"] is not None


def test_a_second_pull_at_the_same_time_is_told_so_and_changes_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("groupnl_device.delivery.lock._WAIT_SECONDS", 0.0)
    world.publish(1, ONE)
    world.pull()
    world.publish(2, TWO)
    before = (world.folder / "state.json").read_bytes()
    with only_one(world.folder / "lock"):
        for outcome in (world.pull(), world.rollback()):
            assert outcome.error is not None
            assert outcome.error.kind == "busy"
            assert "another process updates this folder" in str(outcome.error)
    assert world.current == ONE
    assert (world.folder / "state.json").read_bytes() == before


def test_how_a_pull_ended_is_remembered(world: World) -> None:
    world.publish(1, ONE)
    world.pull()
    world.server.answers["/metadata/timestamp.json"] = status(500)
    world.pull()
    state = json.loads((world.folder / "state.json").read_text())
    assert state["last_error"]["kind"] == "network"
    assert state["last_pull"] >= state["last_success"]
    del world.server.answers["/metadata/timestamp.json"]
    world.pull()
    assert json.loads((world.folder / "state.json").read_text())["last_error"] is None


def test_the_folder_may_move(world: World) -> None:
    world.publish(1, ONE)
    world.pull()
    moved = world.folder.with_name("elsewhere")
    shutil.move(world.folder, moved)
    world.folder = moved
    assert world.current == ONE
    assert world.pull().result == "up to date"


def test_the_trusted_root_must_be_there(world: World) -> None:
    world.root.unlink()
    with pytest.raises(FileNotFoundError):
        world.pull()
    assert not world.folder.exists()


def test_what_is_no_address_is_a_wrong_argument(world: World) -> None:
    with pytest.raises(ValueError, match="ftp"):
        pull(replace(world.settings(), repo="ftp://example.org"))


def test_settings_refuse_what_makes_no_sense(world: World) -> None:
    with pytest.raises(ValueError, match="channel 'Stable!'"):
        world.settings("Stable!")
    with pytest.raises(ValueError, match="test_seconds=0"):
        world.settings(test_seconds=0)
    assert isinstance(world.settings(), Settings)


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def unswitch(folder: Path) -> None:
    """As a kill between filling slot b and switching to it leaves the folder."""
    (folder / "current").unlink()
    (folder / "current").symlink_to("slots/a")
    about = folder / "slots/b/slot.json"
    about.write_text(json.dumps({**json.loads(about.read_text()), "activated": None}))
