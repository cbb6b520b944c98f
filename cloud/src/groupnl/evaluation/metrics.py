"""The measures of corruption robustness and calibration, each under the one name it has in the literature.

``E_sc`` is the error (share of wrong top-1 answers, 0 to 1) under corruption c at severity s. Corruption error and
its relatives compare a net with a named baseline net; at the same severities a ratio of sums over s is the ratio of
the means over s, which is what is given here.

Sources: Hendrycks & Dietterich, arXiv 1903.12261, section 4.1 (CE, mCE, relative CE); Guo et al., arXiv 1706.04599,
section 2 (ECE).
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from groupnl.corruptions import names

ECE_BINS = 15


def mean_error(errors: Mapping[str, Mapping[int, float]]) -> float | None:
    """The plain mean of ``E_sc`` over corruptions and severities, clean excluded; not mCE, which needs a baseline.

    Args:
        errors: Per corruption and severity, 0 to 1; the same severities everywhere.

    Returns:
        0 to 1; None where there is no corruption.
    """
    return mean([mean(list(per_severity.values())) for per_severity in errors.values()]) if errors else None


def ce(error: float, baseline_error: float) -> float:
    """Corruption error: ``CE_c = sum_s E_sc / sum_s E_sc(baseline)``.

    Args:
        error: Mean of ``E_sc`` over the severities, 0 to 1.
        baseline_error: The baseline's, over the same severities.

    Returns:
        At least 0; 1 means as many errors as the baseline.

    Raises:
        ValueError: The baseline makes no error.
    """
    if baseline_error <= 0:
        raise ValueError("the baseline makes no error, so CE is undefined: choose another baseline or leave it out")
    return error / baseline_error


def relative_ce(error: float, clean_error: float, baseline_error: float, baseline_clean_error: float) -> float | None:
    """Relative corruption error: ``sum_s (E_sc - E_clean) / sum_s (E_sc(baseline) - E_clean(baseline))``.

    Args:
        error: Mean of ``E_sc`` over the severities, 0 to 1.
        clean_error: The net's error on the clean images.
        baseline_error: The baseline's mean of ``E_sc`` over the same severities.
        baseline_clean_error: The baseline's error on the clean images.

    Returns:
        1 means that the corruption costs as much as it costs the baseline; below 0 it costs nothing. None where it
        costs the baseline nothing, so that there is no measure.
    """
    lost = baseline_error - baseline_clean_error
    return (error - clean_error) / lost if lost > 0 else None


def mce(errors: Mapping[str, float]) -> float:
    """``mCE``: the mean of CE over the 15 corruptions of the benchmark; with relative CE, relative mCE.

    Args:
        errors: CE (or relative CE) per corruption; those beyond the 15 are left out.

    Raises:
        ValueError: One of the 15 is missing.
    """
    wanted = names("mce15")
    if missing := [corruption for corruption in wanted if corruption not in errors]:
        raise ValueError(f"mCE is the mean over {len(wanted)} corruptions; {', '.join(missing)} missing")
    return mean([errors[corruption] for corruption in wanted])


def ece(confidences: NDArray[np.floating], right: NDArray[np.bool_]) -> float:
    """Expected calibration error in 15 equal bins: ``sum_m |B_m| / N * |accuracy(B_m) - confidence(B_m)|``.

    Bin m holds the answers whose confidence is in ((m - 1) / 15, m / 15].

    Args:
        confidences: Probability that the net gave its answer, 0 to 1, shape (N,), N at least 1.
        right: Whether it was right, shape (N,).

    Returns:
        0 to 1; 0 is a net that is right as often as it says.
    """
    sure = confidences.astype(np.float64)
    bins = np.clip(np.ceil(sure * ECE_BINS).astype(np.int64) - 1, 0, ECE_BINS - 1)
    gaps = np.bincount(bins, weights=right - sure, minlength=ECE_BINS)  # |B_m| * (accuracy - confidence)
    return float(np.abs(gaps).sum() / len(sure))


def mean(values: Sequence[float]) -> float:
    """Arithmetic mean of at least one number."""
    return sum(values) / len(values)
