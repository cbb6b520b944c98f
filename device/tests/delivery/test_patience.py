"""Waiting between attempts, with a clock that is not the real one."""

import pytest

from groupnl_device.delivery.errors import NetworkError, SlowError
from groupnl_device.delivery.patience import PassingError, Patience, Tries


class Time:
    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def tries(time: Time, patience: Patience, deadline: float = 1e9, chance: float = 1.0) -> Tries:
    return Tries(patience, deadline, time.clock, time.sleep, lambda: chance)


def test_waits_twice_as_long_each_time_up_to_a_bound() -> None:
    time = Time()
    count = tries(time, Patience(attempts=6, first_wait_seconds=1, longest_wait_seconds=5))
    for _ in range(5):
        count.failed(SlowError("slow"))
    assert time.slept == [1, 2, 4, 5, 5]
    with pytest.raises(SlowError, match="slow"):
        count.failed(SlowError("slow"))


def test_chance_shortens_the_wait() -> None:
    time = Time()
    count = tries(time, Patience(), chance=0.25)
    count.failed(NetworkError("x"))
    count.failed(NetworkError("x"))
    assert time.slept == [0.25, 0.5]


def test_progress_begins_a_new_count() -> None:
    time = Time()
    count = tries(time, Patience(attempts=2))
    for _ in range(7):
        count.failed(NetworkError("x"))
        count.progressed()
    assert time.slept == [1] * 7


def test_the_server_may_ask_for_more_within_the_bound() -> None:
    time = Time()
    count = tries(time, Patience(longest_wait_seconds=30), chance=0)
    count.failed(PassingError("busy", 12))
    count.failed(PassingError("busy", 1e9))
    assert time.slept == [12, 30]


def test_no_wait_beyond_the_deadline() -> None:
    time = Time()
    count = tries(time, Patience(), deadline=102.5)
    count.failed(NetworkError("x"))
    with pytest.raises(NetworkError, match="x"):
        count.failed(NetworkError("x"))
    assert time.slept == [1]


def test_many_failures_do_not_overflow() -> None:
    time = Time()
    count = tries(time, Patience(attempts=5000))
    for _ in range(4999):
        count.failed(NetworkError("x"))
    assert max(time.slept) == 60


@pytest.mark.parametrize("name", ["connect_seconds", "window_seconds", "total_seconds", "attempts"])
def test_refuses_limits_that_allow_nothing(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name}=0: expected more than 0"):
        Patience(**{name: 0})


@pytest.mark.parametrize("name", ["least_rate", "first_wait_seconds", "longest_wait_seconds"])
def test_refuses_negative_limits(name: str) -> None:
    Patience(**{name: 0})
    with pytest.raises(ValueError, match=f"{name}=-1: expected 0 or more"):
        Patience(**{name: -1})
