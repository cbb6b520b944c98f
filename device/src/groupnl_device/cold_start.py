"""What a first answer costs in a fresh process; ``python -m groupnl_device.cold_start`` is that process."""

import json
import subprocess
import sys
from pathlib import Path
from statistics import median
from time import perf_counter_ns
from typing import TypedDict

from groupnl_device.errors import BundleError


class ColdStart(TypedDict):
    """What a first answer costs.

    Attributes:
        cold_start_ms: From starting the interpreter to the first logits.
        load_ms: The part from opening the bundle to a net that is ready, importing the runtime included.
        peak_memory_bytes: Of the whole process; None where the system does not tell.
    """

    cold_start_ms: float
    load_ms: float
    peak_memory_bytes: int | None


def measure(path: str | Path, *, threads: int = 1, artifact: int | None = None, repeats: int = 3) -> ColdStart:
    """Start, load, answer once, in fresh processes; the median of each figure. The files are in the system's cache.

    Args:
        path: The bundle.
        threads: Of the runtime.
        artifact: Place in the manifest; by default the first that runs here.
        repeats: Processes.

    Raises:
        BundleError: The bundle cannot be run.
    """
    starts = []
    for _ in range(repeats):
        # -P: the working directory is no place to import from
        command = [sys.executable, "-P", "-m", "groupnl_device.cold_start", str(path), str(threads)]
        command += [] if artifact is None else [str(artifact)]
        begin = perf_counter_ns()
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            line = process.stdout.readline() if process.stdout else ""  # the answer's line: the moment that counts
            elapsed = (perf_counter_ns() - begin) / 1e6
            complaint = process.stderr.read() if process.stderr else ""
        if process.returncode != 0:
            last = (complaint.strip().splitlines() or ["no reason given"])[-1]
            raise BundleError(f"{path}: the process that measures the cold start failed: {last}")
        starts.append({"cold_start_ms": elapsed} | json.loads(line))
    memory = [start["peak_memory_bytes"] for start in starts if start["peak_memory_bytes"] is not None]
    return ColdStart(
        cold_start_ms=median(start["cold_start_ms"] for start in starts),
        load_ms=median(start["load_ms"] for start in starts),
        peak_memory_bytes=int(median(memory)) if memory else None,
    )


def peak_memory_bytes() -> int | None:
    """Largest resident set of this process so far; None where the system does not tell.

    Linux: VmHWM, because ``ru_maxrss`` of a child counts its parent's memory at the time of the fork as well. Elsewhere
    ``ru_maxrss``, which macOS gives in bytes and others in KiB.
    """
    try:
        for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _child(path: str, threads: int, artifact: int | None) -> None:
    begin = perf_counter_ns()
    from groupnl_device.bundle import Bundle
    from groupnl_device.noise import noise
    from groupnl_device.runtime import Session

    bundle = Bundle.open(path)
    session = Session(bundle, threads, None if artifact is None else bundle.manifest.artifacts[artifact])
    loaded = perf_counter_ns()
    session.logits(noise(session.bundle.manifest))
    print(
        json.dumps({"load_ms": (loaded - begin) / 1e6, "peak_memory_bytes": peak_memory_bytes()}),
        flush=True,
    )


if __name__ == "__main__":
    try:
        _child(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else None)
    except (BundleError, OSError, ValueError) as error:
        sys.exit(str(error))
