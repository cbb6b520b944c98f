"""Figures of timed runs: where the middle is, how long the slow ones take, how far repeated blocks lie apart."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median

NOISY = 0.1  # spread of the block medians from which on a difference of a few per cent means nothing


@dataclass(frozen=True, kw_only=True)
class Latency:
    """What single runs took.

    Attributes:
        latency_ms_median: Of one run.
        latency_ms_p90: 90 % of the runs took at most this (nearest rank).
        latency_ms_p99: 99 % of the runs took at most this; of fewer than 100 runs it is the slowest one.
        latency_ms_min: The fastest run.
        latency_ms_mean: Mean of all runs.
        images_per_second: Pictures in the time of all runs together, slow ones included.
        block_medians_ms: The median of each block, in the order of time.
        latency_spread: Largest minus smallest block median, over the median of all runs: the noise between blocks.
    """

    latency_ms_median: float
    latency_ms_p90: float
    latency_ms_p99: float
    latency_ms_min: float
    latency_ms_mean: float
    images_per_second: float
    block_medians_ms: tuple[float, ...]
    latency_spread: float

    @property
    def is_noisy(self) -> bool:
        """Whether the blocks lie further apart than 10 %."""
        return self.latency_spread > NOISY


def summarize(blocks: Sequence[Sequence[float]], batch: int = 1) -> Latency:
    """The figures of several blocks of runs.

    Args:
        blocks: Milliseconds of each run, block by block; no block is empty.
        batch: Pictures in a run.

    Raises:
        ValueError: There is no block, or an empty one.
    """
    if not blocks or not all(blocks):
        raise ValueError(f"{len(blocks)} blocks of {[len(block) for block in blocks]} runs: expected at least one each")
    times = sorted(time for block in blocks for time in block)
    medians = tuple(median(block) for block in blocks)
    return Latency(
        latency_ms_median=median(times),
        latency_ms_p90=_percentile(times, 90),
        latency_ms_p99=_percentile(times, 99),
        latency_ms_min=times[0],
        latency_ms_mean=fmean(times),
        images_per_second=1e3 * batch / fmean(times),
        block_medians_ms=medians,
        latency_spread=(max(medians) - min(medians)) / median(times),
    )


def _percentile(times: Sequence[float], percent: int) -> float:
    """Nearest rank of sorted times, in integers: a rounding error would take the next rank."""
    return times[-(-percent * len(times) // 100) - 1]
