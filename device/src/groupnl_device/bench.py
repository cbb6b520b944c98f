"""Latency of a bundle on this device: single stream as in MLPerf Tiny (one picture at a time, the median)."""

import math
import os
import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter_ns
from typing import Any

import numpy as np
from numpy.typing import NDArray

import groupnl_device
from groupnl_device.bundle import Bundle
from groupnl_device.cold_start import measure
from groupnl_device.manifest import Manifest
from groupnl_device.runtime import Session


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One run of the benchmark.

    Times are of the net alone: reading a picture, normalising it and the softmax are not timed.

    Attributes:
        model: Name in the manifest.
        model_bytes: Size of the bundle.
        artifact: runtime/form/precision that was run.
        threads: Of the runtime.
        runs: Timed runs, one picture each.
        warmup: Untimed runs before.
        latency_ms_median: Of one run.
        latency_ms_p90: 90 % of the runs took at most this (nearest rank).
        latency_ms_min: The fastest run.
        latency_ms_mean: Mean of all runs.
        cold_start_ms: From starting a new process to its first answer (median of 3).
        load_ms: The part of it from opening the bundle to a net that is ready.
        peak_memory_bytes: Of that process, interpreter and runtime included.
        hardware: Processor, its kind, cores that this process may use, operating system.
        versions: Of Python and the packages involved.
    """

    model: str
    model_bytes: int
    artifact: str
    threads: int
    runs: int
    warmup: int
    latency_ms_median: float
    latency_ms_p90: float
    latency_ms_min: float
    latency_ms_mean: float
    cold_start_ms: float
    load_ms: float
    peak_memory_bytes: int | None
    hardware: dict[str, str | int]
    versions: dict[str, str]

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)


def bench(path: str | Path, *, threads: int = 1, runs: int = 200, warmup: int = 20) -> Measurement:
    """Measure a bundle.

    Args:
        path: The bundle.
        threads: Of the runtime, at least 1.
        runs: Timed runs, at least 1.
        warmup: Untimed runs before, at least 0.

    Raises:
        ValueError: A count is out of range.
        BundleError: The bundle cannot be run.
        OSError: The file cannot be opened.
    """
    for name, value, least in (("runs", runs, 1), ("warmup", warmup, 0)):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ValueError(f"{name}={value!r}: expected an integer of at least {least}")
    bundle = Bundle.open(path)
    session = Session(bundle, threads=threads)
    start = measure(path, threads=threads)
    times = _time(session, noise(bundle.manifest), runs, warmup)
    artifact = session.artifact
    return Measurement(
        model=bundle.manifest.name,
        model_bytes=bundle.size_bytes,
        artifact=f"{artifact.runtime}/{artifact.form}/{artifact.precision}",
        threads=threads,
        runs=runs,
        warmup=warmup,
        latency_ms_median=float(np.median(times)),
        latency_ms_p90=times[math.ceil(0.9 * len(times)) - 1],
        latency_ms_min=times[0],
        latency_ms_mean=float(np.mean(times)),
        **start,
        hardware=hardware(),
        versions={
            "groupnl-device": groupnl_device.__version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "runtime": session.runtime,
        },
    )


def noise(manifest: Manifest) -> NDArray[np.float32]:
    """One normalised picture of fixed random pixels, shape (1, C, H, W): the time does not depend on what it shows."""
    shape = (manifest.input_shape[0] or 1, *manifest.preprocessing.input_size)
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    return manifest.preprocessing.normalize(pixels)


def hardware() -> dict[str, str | int]:
    """What this runs on; nothing that identifies the machine or its owner."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return {
        "processor": _processor(),
        "machine": platform.machine(),
        "usable_cores": usable,
        "system": platform.system(),
    }


def _time(session: Session, images: NDArray[np.float32], runs: int, warmup: int) -> list[float]:
    """Milliseconds of each run, sorted."""
    for _ in range(warmup):
        session.logits(images)
    times = []
    for _ in range(runs):
        begin = perf_counter_ns()
        session.logits(images)
        times.append((perf_counter_ns() - begin) / 1e6)
    return sorted(times)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    for wanted in ("Model", "model name"):  # single-board computers name the board, which says more than their core
        for line in lines:
            name, _, value = line.partition(":")
            if name.strip() == wanted and value.strip():
                return value.strip()
    return platform.processor() or "unknown"
