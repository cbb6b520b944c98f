"""Latency of several nets side by side, in turns, so that a disturbed second disturbs them all alike."""

import time
from collections.abc import Callable, Mapping
from statistics import median

BUDGET = 1.0  # s of runs for each net
_ROUNDS = (5, 100)  # at least, at most
_RUNS = 3  # timed in a row, after one that is not: caches and threads are another net's before


def interleaved_ms(calls: Mapping[str, Callable[[], object]], budget: float | None = None) -> dict[str, float]:
    """Median time of each call, ms.

    Args:
        calls: Name to a call without arguments.
        budget: Seconds for each call on average, ``BUDGET`` by default; the number of rounds follows, within bounds.
    """
    budget = BUDGET if budget is None else budget
    taken = {name: [_seconds(call) for _ in range(2)][1] for name, call in calls.items()}  # the first ones prepare
    one_round = (1 + _RUNS) * sum(taken.values())
    rounds = min(max(int(budget * len(calls) / one_round), _ROUNDS[0]), _ROUNDS[1])
    samples: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            call()
            samples[name] += [_seconds(call) for _ in range(_RUNS)]
    return {name: 1e3 * median(found) for name, found in samples.items()}


def _seconds(call: Callable[[], object]) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin
