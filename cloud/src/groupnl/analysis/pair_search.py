"""The search behind :func:`groupnl.analysis.design_nlf`: greedy, then one pair at a time, on a grid that closes in.

No random numbers and no gradients: adding one pair to fixed others is a problem of two dimensions, which a grid solves
globally, the bound on the variance included.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from groupnl.analysis.covariance import Array, Distribution, between, with_y
from groupnl_device.nlf import Range

NOISE = 1e-10  # of a map's variance: what two maps share up to this counts as shared

_COARSE, _FINE = (65, 97), (25, 25)  # grid points of (period, phase): the whole range, then around the best point
_ZOOMS, _ZOOM = 14, 0.35  # 0.35^14 of the range = 4e-7: below the rounding of float32
_TIE = 1e-11  # of the log-determinant: as good; then the larger variance wins
_SWEEPS, _GAIN = 60, 1e-4  # at most so many rounds, and until one gains less, in nats

Pairs = tuple[tuple[float, float], ...]  # (period, phase = period x shift) of each copy


@dataclass(frozen=True)
class Problem:
    """What is asked for: the distribution of y, the ranges, and how much each map must vary."""

    scale: float  # standard deviation of y
    distribution: Distribution
    periods: Range
    shifts: Range
    least_variance: float  # relative to that of y

    def variance(self, w: Array, phase: Array) -> Array:
        """Of the maps, relative to that of y."""
        return between(w, phase, w, phase, self.scale, self.distribution) / self.scale**2

    def newness(self, w: Array, phase: Array, others: Pairs) -> Array:
        """Log of the share of each candidate's variance that y and the other maps do not explain; -inf: not allowed."""
        other_w, other_phase = np.array(others, np.float64).reshape(-1, 2).T
        known = np.empty((len(others) + 1, w.size))
        known[0] = with_y(w, phase, self.scale, self.distribution)
        known[1:] = between(other_w[:, None], other_phase[:, None], w, phase, self.scale, self.distribution)
        matrix = np.empty((len(others) + 1, len(others) + 1))
        matrix[0, 0] = self.scale**2
        matrix[0, 1:] = matrix[1:, 0] = with_y(other_w, other_phase, self.scale, self.distribution)
        matrix[1:, 1:] = between(
            other_w[:, None], other_phase[:, None], other_w, other_phase, self.scale, self.distribution
        )
        std = np.sqrt(np.diag(matrix))
        variance = self.variance(w, phase)
        allowed = variance >= max(self.least_variance, 1e-300)
        own_std = self.scale * np.sqrt(np.where(allowed, variance, 1.0))
        known /= std[:, None] * own_std
        correlation = matrix / std / std[:, None] + NOISE * np.eye(len(std))
        explained = (known * np.linalg.solve(correlation, known)).sum(axis=0)
        left = np.log(np.maximum(1 + NOISE - explained, NOISE / 10))
        return np.where(allowed, left, -np.inf)


@lru_cache(maxsize=256)
def search(problem: Problem, copies: int) -> Pairs:
    """The best pairs: greedy, then one at a time against all others until nothing improves.

    Raises:
        ValueError: No pair varies enough.
    """
    pairs: Pairs = ()
    for _ in range(copies):
        pairs = (*pairs, _best_pair(problem, pairs)[0])
    for _ in range(_SWEEPS if copies > 1 else 0):
        gained = 0.0
        for index in range(copies):
            others = pairs[:index] + pairs[index + 1 :]
            now = problem.newness(np.array([pairs[index][0]]), np.array([pairs[index][1]]), others)[0]
            pair, then = _best_pair(problem, others)
            if then > now + _TIE:
                pairs = (*pairs[:index], pair, *pairs[index + 1 :])
                gained += then - now
        if gained < _GAIN:
            break
    return pairs


def _best_pair(problem: Problem, others: Pairs) -> tuple[tuple[float, float], float]:
    """The pair that adds most to the others, found on a grid of (period, phase) that closes in on the best point."""
    low, high = problem.periods
    best, value = _best_on_grid(problem, others, (low, high), None, _COARSE)
    if value == -math.inf:
        raise ValueError(
            f"least_variance={problem.least_variance}: no pair with period in {problem.periods} and shift in "
            f"{problem.shifts} has so much at scale={problem.scale:.6g}; the most there is, is about "
            f"{_largest_variance(problem):.4g}: ask for less or widen the ranges"
        )
    reach_w, reach_phase = (high - low) / _COARSE[0] * 2, math.pi / _COARSE[1] * 2
    for _ in range(_ZOOMS):
        near = (max(low, best[0] - reach_w), min(high, best[0] + reach_w))
        found, then = _best_on_grid(problem, others, near, (best[1], reach_phase), _FINE)
        if _is_better(problem, found, then, best, value):
            best, value = found, then
        reach_w, reach_phase = reach_w * _ZOOM, reach_phase * _ZOOM
    return best, value


def _best_on_grid(
    problem: Problem,
    others: Pairs,
    periods: Range,
    around: tuple[float, float] | None,
    points: tuple[int, int],
) -> tuple[tuple[float, float], float]:
    w, phase = _grid(problem, periods, around, points)
    values = problem.newness(w, phase, others)
    tied = np.flatnonzero(values >= values.max() - _TIE)  # where nothing is allowed all are -inf, and all tie
    index = tied[np.argmax(problem.variance(w[tied], phase[tied]))]
    return (float(w[index]), float(phase[index])), float(values[index])


def _grid(
    problem: Problem, periods: Range, around: tuple[float, float] | None, points: tuple[int, int]
) -> tuple[Array, Array]:
    """Periods times the phases that the shift range allows, with the purely even and purely odd function among them.

    A phase and the same phase plus pi are as good, so a stretch of pi is enough.
    """
    w = np.linspace(*periods, points[0])[:, None]
    low, high = w * problem.shifts[0], w * problem.shifts[1]
    if around is None:
        start, end = low, np.minimum(high, low + math.pi)
    else:
        start, end = (np.clip(around[0] + sign * around[1], low, high) for sign in (-1, 1))
    phase = start + (end - start) * np.linspace(0, 1, points[1])
    even = np.ceil(start / math.pi - 0.5) * math.pi + math.pi / 2  # the first odd multiple of pi/2 from the start on
    odd = np.ceil(start / math.pi) * math.pi
    phase = np.concatenate([phase, *(np.clip(special, low, np.maximum(end, low)) for special in (even, odd))], axis=1)
    return np.broadcast_to(w, phase.shape).ravel(), phase.ravel()


def _is_better(
    problem: Problem, found: tuple[float, float], then: float, best: tuple[float, float], value: float
) -> bool:
    if then > value + _TIE:
        return True
    variance = [float(problem.variance(np.array([w]), np.array([phase]))[0]) for w, phase in (found, best)]
    return then >= value - _TIE and variance[0] > variance[1]


def _largest_variance(problem: Problem) -> float:
    w, phase = _grid(problem, problem.periods, None, (257, 257))
    return float(problem.variance(w, phase).max())
