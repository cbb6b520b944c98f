"""The meter, with a connection and a clock that a test moves."""

import pytest

from groupnl_device.delivery.errors import SlowError
from groupnl_device.delivery.pace import Pace
from groupnl_device.delivery.patience import Patience

PATIENCE = Patience(least_rate=100, window_seconds=10, total_seconds=1000)


class Line:
    """Gives what a test planned: (seconds until then, bytes), or a silence of any length."""

    def __init__(self, *plan: tuple[float, int]) -> None:
        self.now = 0.0
        self._plan = list(plan)
        self._allowed = 0.0

    def clock(self) -> float:
        return self.now

    def settimeout(self, seconds: float) -> None:
        assert seconds > 0
        self._allowed = seconds

    def recv_into(self, buffer: memoryview) -> int:
        seconds, count = self._plan[0] if self._plan else (1e9, 0)
        if seconds > self._allowed:
            if self._plan:
                self._plan[0] = (seconds - self._allowed, count)
            self.now += self._allowed
            raise TimeoutError
        self._plan.pop(0)
        self.now += seconds
        return count


def read_all(line: Line, patience: Patience = PATIENCE, own_seconds: float = 0) -> int:
    pace = Pace(patience, patience.total_seconds, line.clock)
    total = 0
    while count := pace.receive(line, memoryview(bytearray(1))):  # type: ignore[arg-type]
        total += count
        line.now += own_seconds
    return total


def test_a_fast_line_is_read_to_its_end() -> None:
    assert read_all(Line((1, 500), (9, 500), (5, 600), (5, 400), (1, 0))) == 2000


def test_silence_for_a_window_is_too_slow() -> None:
    line = Line((1, 900))
    with pytest.raises(SlowError, match="900 bytes in 10 s, expected 100 bytes/s or more"):
        read_all(line)
    assert line.now == 10


def test_drops_now_and_then_are_too_slow() -> None:
    """What a limit on each single read would never notice."""
    line = Line(*[(1, 1)] * 1000)
    with pytest.raises(SlowError, match="10 bytes in 10 s"):
        read_all(line)


def test_a_slow_window_after_fast_ones() -> None:
    line = Line(*[(1, 100)] * 30, *[(1, 99)] * 10)
    with pytest.raises(SlowError, match="990 bytes"):
        read_all(line)
    assert line.now == 40


def test_the_devices_own_slowness_does_not_count() -> None:
    assert read_all(Line(*[(0.5, 60)] * 100, (0, 0)), Patience(least_rate=100, window_seconds=10), 60) == 6000


def test_everything_together_has_an_end() -> None:
    line = Line(*[(1, 200)] * 5000)
    with pytest.raises(SlowError, match="not finished after 1000 s; the next pull goes on from here"):
        read_all(line)
    assert line.now == 1000


def test_no_least_rate_leaves_the_deadline() -> None:
    line = Line()
    with pytest.raises(SlowError, match="not finished after 1000 s"):
        read_all(line, Patience(least_rate=0, window_seconds=10, total_seconds=1000))


def test_a_new_request_begins_a_new_window() -> None:
    line = Line((9, 1), (9, 1), (9, 1))
    pace = Pace(PATIENCE, 1000, line.clock)
    for _ in range(3):
        pace.restart()
        assert pace.receive(line, memoryview(bytearray(1))) == 1  # type: ignore[arg-type]
