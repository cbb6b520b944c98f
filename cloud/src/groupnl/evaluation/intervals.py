"""How sure a mean is: 95 % intervals over images by the bootstrap, over training seeds by Student's t as well."""

import math
import statistics
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

LEVEL = 0.95
RESAMPLES = 10_000

Interval = tuple[float, float]  # lowest and highest


def bootstrap_interval(values: ArrayLike) -> Interval:
    """Percentile bootstrap of the mean: where 95 % of the means of resampled values lie.

    Equal values are drawn together (a resample is a multinomial draw of how often each distinct value occurs), which
    is the same distribution at a small part of the cost. The draws are seeded: the same values give the same interval.

    Source: Efron & Tibshirani, An Introduction to the Bootstrap (1993), chapter 13.

    Args:
        values: N numbers, N at least 1, with at most some hundred distinct ones, such as counts of wrong answers.
    """
    distinct, counts = np.unique(np.asarray(values, dtype=np.float64), return_counts=True)
    total = int(counts.sum())
    generator = np.random.Generator(np.random.Philox(key=0))
    drawn = generator.multinomial(total, counts / total, size=RESAMPLES)
    low, high = np.quantile(drawn @ distinct / total, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def student_interval(values: Sequence[float]) -> Interval | None:
    """Student's t interval of the mean: ``mean +- t * s / sqrt(n)``, s the standard deviation with n - 1.

    For a handful of training runs. The bootstrap is far too narrow there: of three runs it knows ten means.

    Args:
        values: n numbers.

    Returns:
        None where n is below 2: one run says nothing about the next.
    """
    if len(values) < 2:
        return None
    centre = statistics.fmean(values)
    reach = student_quantile(len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values))
    return centre - reach, centre + reach


def student_quantile(freedom: int) -> float:
    """The t with ``P(|T| <= t) = 0.95`` for T of Student's distribution.

    By bisection of the closed form in the angle ``atan(t / sqrt(freedom))``: Abramowitz & Stegun, 26.7.3 and 26.7.4.

    Args:
        freedom: Degrees of freedom, at least 1.
    """
    low, high = 0.0, math.pi / 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _central_mass(middle, freedom) < LEVEL else (low, middle)
    return math.sqrt(freedom) * math.tan((low + high) / 2)


def _central_mass(angle: float, freedom: int) -> float:
    """``P(|T| <= sqrt(freedom) * tan(angle))``."""
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = freedom % 2
    term = cosine if odd else 1.0
    series = 0.0
    for k in range(1, freedom // 2 + 1):
        series += term
        term *= cosine * cosine * (2 * k / (2 * k + 1) if odd else (2 * k - 1) / (2 * k))
    return 2 / math.pi * (angle + sine * series) if odd else sine * series
