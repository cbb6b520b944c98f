"""Cases take turns, and only one session is ever alive."""

import sys
import weakref
from pathlib import Path
from typing import Any

import pytest

from groupnl_device import turns
from groupnl_device.bundle import Bundle
from groupnl_device.noise import noise
from groupnl_device.runtime import Session
from groupnl_device.turns import Case, block_sizes, counts_up_to, time_in_turns


def native_threads() -> int:
    """Of this process, those of the runtime's pools included."""
    return len(list(Path("/proc/self/task").iterdir()))


class Watched(Session):
    """A session that knows of the others, and writes down what is done with it."""

    alive: weakref.WeakSet["Watched"]
    most: int
    done: list[tuple[str, str, int]]

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        Watched.alive.add(self)
        Watched.most = max(Watched.most, len(Watched.alive))
        Watched.done.append(("load", self.artifact.form, self.threads))

    def logits(self, images: Any) -> Any:
        Watched.done.append(("run", self.artifact.form, self.threads))
        return super().logits(images)


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> type[Watched]:
    Watched.alive, Watched.most, Watched.done = weakref.WeakSet(), 0, []
    monkeypatch.setattr(turns, "Session", Watched)
    return Watched


def test_one_session_at_a_time(two_forms: bytes, watched: type[Watched]) -> None:
    bundle = Bundle.from_bytes(two_forms)
    cases = [Case(place, threads) for place in (0, 2) for threads in (1, 2, 3)]
    times = time_in_turns(bundle, cases, noise(bundle.manifest), runs=7, warmup=1)
    assert watched.most == 1
    assert not watched.alive
    assert [[len(block) for block in blocks] for blocks in times] == [[2, 2, 1, 1, 1]] * 6
    assert all(time > 0 for blocks in times for block in blocks for time in block)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_threads_of_a_session_end_with_it(
    bundle_bytes: bytes, watched: type[Watched], monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = Bundle.from_bytes(bundle_bytes)
    images = noise(bundle.manifest)
    time_in_turns(bundle, [Case(0, 2)], images, runs=1, warmup=0)  # whatever the runtime starts once and for all
    before, seen = native_threads(), []
    logits = Watched.logits

    def counting(self: Watched, given: Any) -> Any:
        seen.append((self.threads, native_threads() - before))
        return logits(self, given)

    monkeypatch.setattr(Watched, "logits", counting)
    time_in_turns(bundle, [Case(0, threads) for threads in (1, 2, 4)], images, runs=2, warmup=0)
    assert seen == [(1, 0), (2, 1), (4, 3)] * 2  # the caller works as well
    assert native_threads() == before


def test_cases_take_turns_and_are_warmed_up(two_forms: bytes, watched: type[Watched]) -> None:
    bundle = Bundle.from_bytes(two_forms)
    time_in_turns(bundle, [Case(0, 1), Case(2, 1)], noise(bundle.manifest), runs=3, warmup=2)
    one_round = [("load", form, 1) for form in ("plain", "other")]
    runs = [[load, *[("run", load[1], 1)] * 3] for load in one_round]
    assert watched.done == [step for block in runs for step in block] * 3


def test_a_case_alone_is_loaded_once(bundle_bytes: bytes, watched: type[Watched]) -> None:
    bundle = Bundle.from_bytes(bundle_bytes)
    time_in_turns(bundle, [Case(0, 1)], noise(bundle.manifest), runs=12, warmup=3)
    assert watched.done == [("load", "plain", 1), *[("run", "plain", 1)] * 15]


@pytest.mark.parametrize(("runs", "sizes"), [(1, [1]), (4, [1] * 4), (7, [2, 2, 1, 1, 1]), (200, [40] * 5)])
def test_blocks(runs: int, sizes: list[int]) -> None:
    assert block_sizes(runs) == sizes


@pytest.mark.parametrize(
    ("cores", "counts"),
    [
        (1, [1]),
        (2, [1, 2]),
        (3, [1, 2, 3]),
        (4, [1, 2, 3, 4]),
        (6, [1, 2, 3, 4, 6]),
        (8, [1, 2, 3, 4, 8]),
        (12, [1, 2, 3, 4, 8, 12]),
        (64, [1, 2, 3, 4, 8, 16, 32, 64]),
    ],
)
def test_numbers_of_threads(cores: int, counts: list[int]) -> None:
    assert counts_up_to(cores) == counts
