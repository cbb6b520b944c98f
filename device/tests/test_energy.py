"""Energy of an inference, with a meter made here whose power is known."""

import time
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from groupnl_device import energy
from groupnl_device.energy import AtRest, find_meter, measure_at_rest, measure_energy
from groupnl_device.power import Mark, MeterError, now
from groupnl_device.power_log import PowerLog


class Steady:
    """A meter that shows the same power all the time."""

    name = "steady"
    covers = "a lamp"

    def __init__(self, watts: float) -> None:
        self.watts = watts
        self.entered = 0

    def sampling(self) -> AbstractContextManager[object]:
        @contextmanager
        def entered():
            self.entered += 1
            yield
            self.entered -= 1

        return entered()

    def mark(self) -> Mark:
        assert self.entered == 1
        return now()

    def joules(self, begin: Mark, end: Mark) -> float:
        assert self.entered == 1
        return self.watts * (end.monotonic - begin.monotonic)


def refuse(reason: str):
    def source():
        raise MeterError(reason)

    return source


def test_idle_power_is_subtracted() -> None:
    found = measure_energy(AtRest(Steady(5.0), idle_w=2.0), lambda: time.sleep(0.01), 0.1)
    each = found.energy_seconds / found.energy_runs
    assert 0.1 <= found.energy_seconds < 5
    assert each >= 0.01
    assert found.power_w == pytest.approx(5.0)
    assert found.energy_with_idle_mj == pytest.approx(5000 * each)
    assert found.energy_mj == pytest.approx(3000 * each)


def test_at_least_one_run() -> None:
    calls = []
    assert measure_energy(AtRest(Steady(1.0), 0.0), lambda: calls.append(1), 0.0).energy_runs == len(calls) == 1


def test_power_at_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(energy, "Rapl", lambda: Steady(3.0))
    at_rest = measure_at_rest(0.02)
    assert at_rest.idle_w == pytest.approx(3.0)
    assert at_rest.meter.name == "steady"


def test_the_first_source_that_answers_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    meter = Steady(1.0)
    monkeypatch.setattr(energy, "Rapl", refuse("no counters"))
    monkeypatch.setattr(energy, "Jetson", lambda: meter)
    assert find_meter() is meter


def test_every_reason_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(energy, "Rapl", refuse("no counters"))
    monkeypatch.setattr(energy, "Jetson", refuse("no Jetson"))
    with pytest.raises(MeterError, match=r"^no counters; no Jetson$"):
        find_meter()


def test_a_meters_file_goes_before_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(energy, "Rapl", lambda: Steady(1.0))
    (tmp_path / "power.csv").write_text("time,power_w\n")
    assert isinstance(find_meter(tmp_path / "power.csv"), PowerLog)
