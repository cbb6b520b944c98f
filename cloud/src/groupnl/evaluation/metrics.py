"""The measures of corruption robustness, each under the one name it has in the literature.

``E_sc`` is the error (share of wrong top-1 answers, 0 to 1) under corruption c at severity s.
"""

from collections.abc import Mapping, Sequence


def mean_error(errors: Mapping[str, Mapping[int, float]]) -> float | None:
    """The plain mean of ``E_sc`` over corruptions and severities, clean excluded; not mCE, which needs a baseline.

    Args:
        errors: Per corruption and severity, 0 to 1; the same severities everywhere.

    Returns:
        0 to 1; None where there is no corruption.
    """
    return mean([mean(list(per_severity.values())) for per_severity in errors.values()]) if errors else None


def ce(errors: Mapping[int, float], baseline: Mapping[int, float]) -> float:
    """Corruption error against a baseline net: ``CE_c = sum_s E_sc / sum_s E_sc(baseline)``.

    Source: Hendrycks & Dietterich, arXiv 1903.12261, section 4.1.

    Args:
        errors: Per severity, 0 to 1.
        baseline: Per severity; at least the same ones.

    Returns:
        At least 0; 1 means as many errors as the baseline.

    Raises:
        ValueError: The baseline lacks a severity, or makes no error at all.
    """
    if missing := [severity for severity in errors if severity not in baseline]:
        raise ValueError(
            f"the baseline has no severity {', '.join(map(str, missing))}: evaluate it at the same severities"
        )
    denominator = sum(baseline[severity] for severity in errors)
    if denominator == 0:
        raise ValueError("the baseline makes no error, so CE is undefined: choose another baseline or leave it out")
    return sum(errors.values()) / denominator


def mean(values: Sequence[float]) -> float:
    """Arithmetic mean of at least one number."""
    return sum(values) / len(values)
