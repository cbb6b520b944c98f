"""Updates that are ended in every way: a device has a whole model, and the next pull completes."""

import random
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
from benchmarks.delivery_faults import KILL, Tally, at_calls, faults_block, resnets, try_all_ways
from benchmarks.fault_moments import Clients, clients
from benchmarks.fault_rig import SCENARIOS, PromiseBrokenError, Rig, Scenario, rig
from device.tests.delivery.tiny_channel import good, quick_trial

from benchmarks import fault_calls
from groupnl_device.delivery import update

STRACE = fault_calls.why_not()
needs_strace = pytest.mark.skipif(STRACE is not None, reason=str(STRACE))
PATCH = next(scenario for scenario in SCENARIOS if scenario.name == "patch")
BY_NAME = pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)


@pytest.fixture(scope="module")
def made() -> Iterator[Rig]:
    """The pulls of the rig itself test models in this process; those that are ended do so as on a device."""
    quick = mock.patch.object(update, "try_model", quick_trial)
    with quick, tempfile.TemporaryDirectory() as folder, rig(Path(folder), [good(1), good(2), good(3)]) as made:
        yield made


@pytest.fixture(scope="module")
def started() -> Iterator[Clients]:
    with clients() as started:
        yield started


def held(tallies: dict[str, Tally]) -> int:
    """Runs, all of which ended well."""
    for tally in tallies.values():
        assert tally.broken == []
        assert tally.completed == tally.runs == sum(tally.served.values())
    return sum(tally.runs for tally in tallies.values())


@BY_NAME
def test_a_device_keeps_a_whole_model_and_the_next_pull_completes(
    made: Rig, started: Clients, scenario: Scenario
) -> None:
    """Six runs of each of the five scenarios."""
    assert held(try_all_ways(made, started, scenario, random.Random(20), runs=6, calls=1)) == 6


@pytest.fixture(scope="module")
def found(made: Rig, tmp_path_factory: pytest.TempPathFactory) -> list[fault_calls.Place]:
    """Where an update by a patch changes the device folder."""
    device = made.device(PATCH)
    found = fault_calls.places(made.arguments(PATCH, device), device, tmp_path_factory.mktemp("strace") / "log")
    assert made.served(PATCH, device) == 3
    return found


@needs_strace
def test_places_are_the_calls_that_change_the_device_folder(found: list[fault_calls.Place]) -> None:
    assert {"openat", "write", "fsync", "rename", "unlink"} <= {place.call for place in found}
    assert all(place.count >= 1 and "DIR" in place.what for place in found)


@needs_strace
@pytest.mark.parametrize(("after", "served"), [(0, 2), (1, 3)])
def test_the_switch_is_one_call(
    made: Rig, found: list[fault_calls.Place], tmp_path: Path, after: int, served: int
) -> None:
    """Killed at the rename of the link, the old model is in use; killed at the next call, the new one."""
    (switch,) = (number for number, place in enumerate(found) if '"DIR/current")' in place.what)
    assert found[switch].call == "rename"
    device = made.device(PATCH)
    arguments = made.arguments(PATCH, device)
    struck = fault_calls.strike(arguments, device, tmp_path / "log", found[switch + after], KILL)
    assert struck.hit
    assert made.served(PATCH, device) == served


@needs_strace
def test_a_call_that_does_not_come_is_counted_apart(made: Rig, tmp_path: Path) -> None:
    never = fault_calls.Place("rename", 10_000, "")
    tally = at_calls(made, PATCH, tmp_path / "log", [KILL], [never])
    assert (tally.runs, tally.missed) == (0, 1)


def test_the_rig_sees_a_model_that_is_not_whole(made: Rig) -> None:
    device = made.device(PATCH)
    model = device / "current" / "model.gnl"
    model.write_bytes(model.read_bytes()[:-1])
    with pytest.raises(PromiseBrokenError, match="current leads to version None, expected 2 or 3"):
        made.served(PATCH, device)
    (device / "current").unlink()
    with pytest.raises(PromiseBrokenError, match="current leads to no model"):
        made.served(PATCH, device)


def test_the_rig_sees_what_is_left_lying_about(made: Rig) -> None:
    device = made.device(PATCH)
    made.complete(PATCH, device)
    (device / ".left.tmp").write_bytes(b"x")
    with pytest.raises(PromiseBrokenError, match=r"the next pull leaves .*left.tmp"):
        made.complete(PATCH, device)


@pytest.mark.long
@BY_NAME
def test_two_hundred_runs_of_each_scenario(started: Clients, scenario: Scenario, tmp_path: Path) -> None:
    """At every call that changes the device folder, and at random moments: 1,000 runs in all."""
    with rig(tmp_path / "rig", list(resnets(tmp_path, 1))) as made:
        assert held(try_all_ways(made, started, scenario, random.Random(7), runs=200)) >= 200


def test_the_table_by_hand() -> None:
    ways = {
        "killed at a call": Tally(runs=3, served=Counter(old=2, new=1), completed=3).to_dict(),
        "killed at a moment": Tally(runs=2, served=Counter(new=2), completed=1, broken=["patch: why"]).to_dict(),
    }
    first = {"killed at a moment": Tally(runs=1, served=Counter(none=1), completed=1).to_dict()}
    block = faults_block(
        {"runs": 1006, "completed": 1005, "broken": 1, "scenarios": {"patch": ways, "first model": first}}
    )
    assert block.splitlines()[2:] == [
        "| patch | 3 | 2 | 2 | 3 | 4 |",
        "| first model |  | 1 | 1 (none yet) | 0 | 1 |",
        "",
        "1,006 runs: 1,005 left a whole model in use that gives its answers (or, before a first model, none), and "
        "1,005 were completed by the next pull.",
    ]
