"""Time several calls side by side: round after round, each once, so that a disturbed second disturbs them all alike."""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import torch
from torch.autograd.graph import saved_tensors_hooks

LEAST_SAMPLE = 2e-3  # s; shorter calls are repeated within a sample


def median_ms(
    calls: Mapping[str, Callable[[], object]], *, rounds: int, device: torch.device, warm_up: int = 3
) -> dict[str, float]:
    """Median time of each call, ms. See :func:`samples_ms`."""
    samples = samples_ms(calls, rounds=rounds, device=device, warm_up=warm_up)
    return {name: median(taken) for name, taken in samples.items()}


def samples_ms(
    calls: Mapping[str, Callable[[], object]], *, rounds: int, device: torch.device, warm_up: int = 3
) -> dict[str, list[float]]:
    """Times of each call, ms, one a round.

    Args:
        calls: Name to a call without arguments.
        rounds: Samples of each.
        device: Where they run; a GPU is waited for at both ends of a sample.
        warm_up: Calls before, not timed; the first ones compile.
    """

    def seconds(call: Callable[[], object], times: int) -> float:
        _wait(device)
        started = time.perf_counter()
        for _ in range(times):
            call()
        _wait(device)
        return (time.perf_counter() - started) / times

    times = {}
    for name, call in calls.items():
        for _ in range(warm_up):
            call()
        times[name] = max(1, round(LEAST_SAMPLE / max(seconds(call, 1), 1e-6)))
    samples: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            samples[name].append(1e3 * seconds(call, times[name]))
    return samples


def kept_bytes(forward: Callable[[], object], module: torch.nn.Module) -> int:
    """Bytes that autograd keeps of a forward pass, the input among them, each memory once, parameters not counted."""
    own = {tensor.untyped_storage()._cdata for tensor in (*module.parameters(), *module.buffers())}
    kept: dict[int, torch.Tensor] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage()._cdata] = tensor
        return tensor

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        result = forward()
    del result
    return sum(tensor.untyped_storage().nbytes() for storage, tensor in kept.items() if storage not in own)


def peak_bytes(call: Callable[[], object], device: torch.device) -> int:
    """The most memory that a call holds at a time beyond what was held before it."""
    call()
    if device.type == "cuda":
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        call()
        return torch.cuda.max_memory_allocated(device) - before
    activities = [torch.profiler.ProfilerActivity.CPU]
    with _silent(), torch.profiler.profile(activities=activities, profile_memory=True) as profile:
        call()
    with TemporaryDirectory() as folder:
        trace = Path(folder) / "trace.json"
        profile.export_chrome_trace(str(trace))
        events = json.loads(trace.read_text())["traceEvents"]
    changes = [event["args"] for event in events if event.get("name") == "[memory]"]
    held = most = 0
    for change in changes:
        held += int(change["Bytes"])
        most = max(most, held)
    return most


@contextmanager
def _silent() -> Iterator[None]:
    """Nothing on the standard error, where torch's profiler announces itself, whatever it is told."""
    sys.stderr.flush()
    kept = os.dup(2)
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
