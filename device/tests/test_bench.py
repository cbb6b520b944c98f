"""The benchmark's figures."""

import json
from pathlib import Path

import numpy as np
import pytest

from groupnl_device import bench as module
from groupnl_device.bench import bench
from groupnl_device.cold_start import ColdStart


@pytest.fixture
def tiny(bundle_bytes: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    start = ColdStart(cold_start_ms=2.0, load_ms=1.0, peak_memory_bytes=None)
    monkeypatch.setattr(module, "measure", lambda path, threads: start)
    path = tmp_path / "tiny.gnl"
    path.write_bytes(bundle_bytes)
    return path


def test_figures(tiny: Path) -> None:
    result = bench(tiny, runs=30, warmup=2)
    assert result.model == "tiny"
    assert result.model_bytes == tiny.stat().st_size
    assert result.artifact == "onnxruntime/plain/float32"
    assert (result.threads, result.runs, result.warmup) == (1, 30, 2)
    assert 0 < result.latency_ms_min <= result.latency_ms_median <= result.latency_ms_p90
    assert json.loads(json.dumps(result.to_dict()))["peak_memory_bytes"] is None
    assert "onnxruntime" in result.versions["runtime"]
    assert result.hardware["usable_cores"] >= 1


def test_percentiles_are_of_the_runs(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_time", lambda *_: [float(v) for v in range(1, 11)])
    result = bench(tiny, runs=10)
    assert (result.latency_ms_median, result.latency_ms_p90, result.latency_ms_min) == (5.5, 9.0, 1.0)


def test_every_run_is_counted(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[int, ...]] = []
    monkeypatch.setattr(module.Session, "logits", lambda self, images: calls.append(images.shape))
    bench(tiny, runs=5, warmup=3)
    assert calls == [(1, 3, 6, 8)] * 8


@pytest.mark.parametrize(("runs", "warmup", "match"), [(0, 1, "runs=0"), (1, -1, "warmup=-1"), (1.5, 0, "runs=1.5")])
def test_refusals(tiny: Path, runs, warmup, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        bench(tiny, runs=runs, warmup=warmup)


def test_noise_is_the_same_every_time(tiny: Path) -> None:
    from groupnl_device.bundle import Bundle

    manifest = Bundle.open(tiny).manifest
    np.testing.assert_array_equal(module.noise(manifest), module.noise(manifest))
