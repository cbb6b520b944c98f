"""The benchmark on a tiny bundle: every row, every figure, and what is said about them."""

import json
from pathlib import Path
from typing import Any

import pytest

from groupnl_device import bench as module
from groupnl_device.bench import bench
from groupnl_device.bundle import Bundle
from groupnl_device.cold_start import ColdStart
from groupnl_device.energy import AtRest
from groupnl_device.errors import BundleError, NoRunnableArtifactError
from groupnl_device.manifest import Artifact
from groupnl_device.measurement import Settings
from groupnl_device.onnxruntime_adapter import OnnxRuntime, OnnxRuntimeNet
from groupnl_device.power import Mark, MeterError, now
from groupnl_device.power_log import PowerLog

START = ColdStart(cold_start_ms=2.0, load_ms=1.0, peak_memory_bytes=None)
QUICK = {"runs": 5, "warmup": 0, "energy_seconds": 0.0}


class Steps:
    """A meter that shows one joule more whenever it is asked, up to a last time."""

    name, covers = "steps", "a lamp"

    def __init__(self, last: int = 10**9) -> None:
        self.last = last
        self.asked = 0

    def sampling(self) -> Any:
        return PowerLog.sampling(self)  # type: ignore[arg-type]  # nothing to start

    def mark(self) -> Mark:
        return now()

    def joules(self, begin: Mark, end: Mark) -> float:
        self.asked += 1
        if self.asked > self.last:
            raise MeterError("the battery is empty")
        return float(self.asked)


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int | None]]:
    """Cold starts that were asked for; no process is started."""
    asked: list[tuple[int, int | None]] = []

    def measure(path: Path, *, threads: int, artifact: int | None) -> ColdStart:
        asked.append((threads, artifact))
        return START

    monkeypatch.setattr(module, "measure", measure)
    return asked


@pytest.fixture
def tiny(bundle_bytes: bytes, tmp_path: Path, starts: list[Any]) -> Path:
    path = tmp_path / "tiny.gnl"
    path.write_bytes(bundle_bytes)
    return path


@pytest.fixture
def forms(two_forms: bytes, tmp_path: Path, starts: list[Any]) -> Path:
    path = tmp_path / "forms.gnl"
    path.write_bytes(two_forms)
    return path


def test_figures(tiny: Path) -> None:
    result = bench(tiny, Settings(runs=30, warmup=2, energy_seconds=0))
    (row,) = result.rows
    latency = row.latency
    assert (result.model, result.model_bytes) == ("tiny", tiny.stat().st_size)
    assert (row.artifact, row.threads, row.ratio_to_first) == ("onnxruntime/plain/float32", 1, 1.0)
    assert 0 < latency.latency_ms_min <= latency.latency_ms_median <= latency.latency_ms_p90 <= latency.latency_ms_p99
    assert len(latency.block_medians_ms) == 5
    assert json.loads(json.dumps(result.to_dict()))["peak_memory_bytes"] is None
    assert "onnxruntime" in result.versions["runtime"]
    assert result.hardware["usable_cores"] >= 1
    assert (row.energy, row.energy_reason) == (None, "not measured, as asked (energy_seconds=0)")


def test_a_sweep_over_threads(tiny: Path, starts: list[Any]) -> None:
    result = bench(tiny, Settings(threads=(1, 2, 3), **QUICK))
    assert [row.threads for row in result.rows] == [1, 2, 3]
    assert starts == [(1, 0), (2, 0), (3, 0)]
    assert all(row.ratio_to_first == 1.0 for row in result.rows)


def test_a_comparison_of_forms(forms: Path, starts: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    times = {(0, 1): 4.0, (0, 2): 2.0, (2, 1): 3.0, (2, 2): 1.0}
    monkeypatch.setattr(
        module, "time_in_turns", lambda _, cases, *__, **___: [[[times[c.artifact, c.threads]]] for c in cases]
    )
    result = bench(forms, Settings(threads=(1, 2), compare=True, **QUICK))
    assert [(row.artifact.split("/")[1], row.threads, row.ratio_to_first) for row in result.rows] == [
        ("plain", 1, 1.0),
        ("plain", 2, 1.0),
        ("other", 1, 0.75),
        ("other", 2, 0.5),
    ]
    assert result.left_out == {"toaster/plain/float32": "this runtime is unknown here"}
    assert starts == [(1, 0), (2, 0), (1, 2), (2, 2)]


def test_a_form_that_does_not_load_is_left_out(
    two_forms: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measure(path: Path, *, threads: int, artifact: int) -> ColdStart:
        if artifact in broken:
            raise BundleError(f"form {artifact} needs what is not here")
        return START

    monkeypatch.setattr(module, "measure", measure)
    path = tmp_path / "forms.gnl"
    path.write_bytes(two_forms)
    broken = {0}
    result = bench(path, Settings(threads=(1, 2), compare=True, **QUICK))
    assert [(row.artifact, row.threads, row.ratio_to_first) for row in result.rows] == [
        ("onnxruntime/other/float32", 1, 1.0),
        ("onnxruntime/other/float32", 2, 1.0),
    ]
    assert result.left_out["onnxruntime/plain/float32"] == "form 0 needs what is not here"
    broken = {0, 2}
    with pytest.raises(BundleError, match=r"no form loads here .*form 0 needs .*; form 2 needs"):
        bench(path, Settings(compare=True, **QUICK))
    with pytest.raises(BundleError, match=r"^form 0 needs what is not here$"):
        bench(path, Settings(**QUICK))


def test_without_compare_the_first_form_alone(forms: Path) -> None:
    result = bench(forms, Settings(**QUICK))
    assert [row.artifact for row in result.rows] == ["onnxruntime/plain/float32"]
    assert result.left_out == {}


def test_without_compare_a_form_that_does_not_load_is_passed_over(
    two_forms: bytes, tmp_path: Path, starts: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    load = OnnxRuntime.load

    def load_others(runtime: OnnxRuntime, bundle: Bundle, artifact: Artifact, *, threads: int) -> OnnxRuntimeNet:
        if artifact.form == "plain":
            raise BundleError("the graph does not load")
        return load(runtime, bundle, artifact, threads=threads)

    monkeypatch.setattr(OnnxRuntime, "load", load_others)
    path = tmp_path / "forms.gnl"
    path.write_bytes(two_forms)
    result = bench(path, Settings(**QUICK))
    assert [row.artifact for row in result.rows] == ["onnxruntime/other/float32"]
    assert starts == [(1, 2)]


def test_nothing_runs_here(forms: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("groupnl_device.runtime.RUNTIMES", ())
    with pytest.raises(NoRunnableArtifactError, match="toaster/plain/float32: this runtime is unknown here"):
        bench(forms, Settings(compare=True, **QUICK))


def test_energy_of_every_row(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "measure_at_rest", lambda *_: AtRest(Steps(), 0.25))
    result = bench(tiny, Settings(threads=(1, 2), runs=5, warmup=0, energy_seconds=0.05))
    assert result.at_rest is not None
    assert result.at_rest.idle_w == 0.25
    for joules, row in enumerate(result.rows, 1):
        assert row.energy is not None
        assert row.energy.energy_with_idle_mj * row.energy.energy_runs == pytest.approx(1000 * joules)
        idle = 250 * row.energy.energy_seconds / row.energy.energy_runs
        assert row.energy.energy_with_idle_mj - row.energy.energy_mj == pytest.approx(idle)


def test_a_meter_that_fails_later_costs_its_row_alone(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "measure_at_rest", lambda *_: AtRest(Steps(last=1), 0.25))
    first, second = bench(tiny, Settings(threads=(1, 2), runs=5, warmup=0, energy_seconds=0.01)).rows
    assert first.energy is not None
    assert (second.energy, second.energy_reason) == (None, "the battery is empty")
    assert second.latency.latency_ms_median > 0


def test_no_meter_is_told_with_the_reason(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(*_: Any) -> AtRest:
        raise MeterError("no counters; no Jetson")

    monkeypatch.setattr(module, "measure_at_rest", nothing)
    result = bench(tiny, Settings(runs=5, energy_seconds=0.01))
    assert (result.at_rest, result.rows[0].energy_reason) == (None, "no counters; no Jetson")


def test_a_meters_file_that_does_not_tell_is_refused_before_the_work(
    tiny: Path, tmp_path: Path, starts: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PowerLog.__init__, "__defaults__", (0,))  # no patience
    file = tmp_path / "power.csv"
    file.write_text("time,power_w\n")
    with pytest.raises(ValueError, match="it holds no sample"):
        bench(tiny, Settings(energy_seconds=0.01), power_log=file)
    with pytest.raises(ValueError, match="energy_seconds=0: leave one of them out"):
        bench(tiny, Settings(**QUICK), power_log=file)
    assert starts == []


def test_noise_and_other_warnings_are_told(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "time_in_turns", lambda *_, **__: [[[1.0], [1.5]], [[1.0], [1.05]]])
    noisy, few, many = bench(tiny, Settings(threads=(1, 1000), runs=2, warmup=0, energy_seconds=0)).notes
    assert "lie far apart: onnxruntime/plain/float32, 1 thread (40%). A smaller difference" in noisy
    assert few == "p99 of 2 runs is the slowest run: use 100 runs or more"
    assert many.startswith("1000 threads on ")


def test_what_goes_on_is_told(tiny: Path) -> None:
    said: list[str] = []
    bench(tiny, Settings(**QUICK), say=said.append)
    assert said == ["cold start, onnxruntime/plain/float32, threads 1", "latency, 1 case"]
