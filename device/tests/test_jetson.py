"""jetson-stats, played by a module made here."""

import sys
import threading
import time
from types import ModuleType
from typing import Any, ClassVar

import pytest

from groupnl_device import jetson
from groupnl_device.jetson import Jetson
from groupnl_device.power import MeterError


class FakeBoard:
    """What ``jtop.jtop`` does: a thread that gives each new state to those who listen."""

    power: ClassVar[Any] = {"rail": {"VDD_CPU": {"power": 800}}, "tot": {"power": 2500, "avg": 2400, "name": "VDD_IN"}}
    error: Exception | None = None
    speaks = True
    closed = 0

    def __init__(self, interval: float) -> None:
        self.observers: list[Any] = []
        self.running = True

    def attach(self, observer: Any) -> None:
        self.observers.append(observer)

    def start(self) -> None:
        if self.error is not None:
            raise self.error
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self) -> None:
        while self.running:
            for observer in self.observers if self.speaks else ():
                observer(self)
            time.sleep(0.01)

    def close(self) -> None:
        self.running = False
        self.thread.join()
        type(self).closed += 1


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> type[FakeBoard]:
    kind = type("Board", (FakeBoard,), {"closed": 0})
    module = ModuleType("jtop")
    module.jtop = kind  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "jtop", module)
    return kind


def test_the_total_in_watts_over_the_time(board: type[FakeBoard], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("groupnl_device.power.LARGEST_GAP", 1.0)  # on a busy machine the fake's thread may stumble
    meter = Jetson()
    with meter.sampling():
        begin = meter.mark()
        time.sleep(0.3)
        end = meter.mark()
        joules = meter.joules(begin, end)
    assert joules == pytest.approx(2.5 * (end.monotonic - begin.monotonic))
    assert board.closed == 1


def test_the_service_can_be_asked_again(board: type[FakeBoard]) -> None:
    meter = Jetson()
    for _ in range(2):
        with meter.sampling():
            pass
    assert board.closed == 2


def test_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jtop", None)
    with pytest.raises(MeterError, match="jetson-stats is not installed"):
        Jetson()


def test_the_service_does_not_run(board: type[FakeBoard]) -> None:
    board.error = RuntimeError("The jetson_stats.service is not active.\nPlease run: ...")
    with pytest.raises(MeterError, match=r"does not answer .The jetson_stats.service is not active. Please"):
        Jetson().sampling().__enter__()


@pytest.mark.parametrize("power", [{}, {"tot": {}}, ({"cur": 2500}, {})])  # the tuple: versions before 4.0
def test_a_board_that_tells_no_power(board: type[FakeBoard], power: Any) -> None:
    board.power = power
    with pytest.raises(MeterError, match=r"tells no power .*version 4.0 or newer"):
        Jetson(patience=0.05).sampling().__enter__()
    assert board.closed == 1


def test_a_service_that_falls_silent(board: type[FakeBoard]) -> None:
    meter = Jetson(patience=0.05)
    with meter.sampling():
        board.speaks = False
        time.sleep(0.05)  # a state that is on its way arrives
        begin = meter.mark()
        with pytest.raises(MeterError, match="tells no power"):
            meter.joules(begin, meter.mark())


def test_the_interval_fits_the_default_window() -> None:
    assert jetson.INTERVAL <= 5.0 / 5
