"""A model's test on this device, in a process of its own: whatever a model does there, the update goes on.

``python -m groupnl_device.delivery.trial MODEL`` is that process: it opens the bundle, loads the net, compares its
answers to the sample with those in the bundle, times single pictures, and prints the figures as one line of JSON.
"""

import json
import signal
import subprocess
import sys
from pathlib import Path
from statistics import median
from time import perf_counter, perf_counter_ns
from typing import Any

from groupnl_device.delivery.errors import DeliveryError, SelfTestError

DEFAULT_SECONDS = 120.0  # for all of it; a board that compiles its net at the first load takes its time
_WARMUP, _RUNS, _LEAST_RUNS = 3, 25, 3
_TIMING_SECONDS = 10.0  # no run begins after that, so a slow net is timed fewer times
_LONGEST_LINE = 2000  # characters: figures or a reason, nothing else is kept
_NO_TEST = 75  # EX_TEMPFAIL of sysexits.h
_STOPPED = {signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)}  # somebody ends the whole update


def try_model(path: Path, *, most_latency_ms: float | None = None, seconds: float = DEFAULT_SECONDS) -> dict[str, Any]:
    """Test a model.

    Args:
        path: The bundle.
        most_latency_ms: The median of single pictures must not exceed it; None: no limit.
        seconds: That the whole test may take.

    Returns:
        ``runtime``, ``form``, ``max_relative_difference``, ``latency_ms_median``, ``runs``, ``load_ms`` and
        ``peak_memory_bytes`` (None where the system does not tell).

    Raises:
        SelfTestError: The model failed.
        DeliveryError: There was no test: its process could not start, could not read the file, or was told to stop.
    """
    try:
        done = subprocess.run(
            _command(path), stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise SelfTestError(f"the self-test was not done after {seconds:g} s") from error
    except OSError as error:
        raise DeliveryError(f"the self-test's process does not start: {error.strerror or error}") from error
    if done.returncode < 0:
        raise _ended_by(-done.returncode)
    if done.returncode == _NO_TEST:
        raise DeliveryError(f"the self-test could not read the model: {_last_line(done.stderr)}")
    if done.returncode > 0:
        raise SelfTestError(f"the self-test failed: {_last_line(done.stderr) or f'exit code {done.returncode}'}")
    try:
        figures: dict[str, Any] = json.loads(_last_line(done.stdout))
        latency = float(figures["latency_ms_median"])
    except (ValueError, KeyError, TypeError) as error:
        raise SelfTestError("the self-test gave no figures") from error
    if most_latency_ms is not None and latency > most_latency_ms:
        raise SelfTestError(f"the self-test took {latency:.4g} ms a picture (median); allowed are {most_latency_ms:g}")
    return figures


def _command(path: Path) -> list[str]:
    # -P: the working directory is no place to import from
    return [sys.executable, "-P", "-m", "groupnl_device.delivery.trial", str(path)]


def _ended_by(number: int) -> DeliveryError:
    """What the end of the test's process by a signal means."""
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    if number in _STOPPED:
        return DeliveryError(f"the self-test was stopped by {name}; the next pull repeats it")
    return SelfTestError(f"the self-test's process ended by {name}")


def _last_line(output: bytes) -> str:
    lines = output.decode("utf-8", errors="replace").strip().splitlines()
    return lines[-1][:_LONGEST_LINE] if lines else ""


def _figures(path: str) -> dict[str, Any]:
    """What :func:`try_model` returns, measured in this process."""
    begin = perf_counter_ns()
    from groupnl_device.bundle import Bundle
    from groupnl_device.cold_start import peak_memory_bytes
    from groupnl_device.noise import noise
    from groupnl_device.runtime import Session

    session = Session(Bundle.open(path))
    picture = noise(session.bundle.manifest)
    loaded = perf_counter_ns()
    difference = session.self_test()
    for _ in range(_WARMUP):
        session.logits(picture)
    times: list[int] = []
    timing = perf_counter()
    while len(times) < _RUNS and (len(times) < _LEAST_RUNS or perf_counter() - timing < _TIMING_SECONDS):
        run = perf_counter_ns()
        session.logits(picture)
        times.append(perf_counter_ns() - run)
    return {
        "runtime": session.runtime,
        "form": session.artifact.label,
        "max_relative_difference": difference,
        "latency_ms_median": median(times) / 1e6,
        "runs": len(times),
        "load_ms": (loaded - begin) / 1e6,
        "peak_memory_bytes": peak_memory_bytes(),
    }


if __name__ == "__main__":
    try:
        print(json.dumps(_figures(sys.argv[1]), allow_nan=False), flush=True)
    except OSError as error:
        print(f"{error.filename or sys.argv[1]}: {error.strerror or error}", file=sys.stderr)
        sys.exit(_NO_TEST)
    except ValueError as error:  # a BundleError among them
        sys.exit(" ".join(str(error).split()))
