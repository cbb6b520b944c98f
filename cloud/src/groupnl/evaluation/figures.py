"""From answers to an ``Evaluation``: every figure is counted here."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from groupnl.corruptions import SEVERITIES, names
from groupnl.evaluation.answers import CLEAN, Answers, Condition
from groupnl.evaluation.baselines import Baseline
from groupnl.evaluation.intervals import bootstrap_interval
from groupnl.evaluation.metrics import ce, ece, mce, mean, mean_error, relative_ce
from groupnl.evaluation.result import CorruptionErrors, Evaluation
from groupnl.evaluation.sources import Source, family_of, set_of


def figures_of(answers: Answers, source: Source, baseline: Baseline | None, name: str) -> Evaluation:
    """Count the right and wrong answers under each condition of ``source``.

    Args:
        answers: At least those of the source's corruptions and severities, and the clean ones.
        source: Of the images that were answered.
        baseline: Covers the source's severities; None: no CE.
        name: Of the net.
    """
    clean_error = float(np.mean(~answers.right(CLEAN)))
    rows = {
        corruption: _row(answers, corruption, source.severities, clean_error, baseline)
        for corruption in source.corruptions
    }
    families = dict.fromkeys(row["family"] for row in rows.values())
    complete = source.severities == SEVERITIES
    return Evaluation(
        name=name,
        data=answers.about.data,
        split=answers.about.split,
        images=answers.about.images,
        clean_accuracy=float(np.mean(answers.right(CLEAN))),
        clean_ece=_ece(answers, CLEAN),
        mean_error=mean_error({c: {int(s): e for s, e in row["severities"].items()} for c, row in rows.items()}),
        mean_ece=mean([row["ece"] for row in rows.values()]) if rows else None,
        corruptions=rows,
        families={
            family: mean([row["error"] for row in rows.values() if row["family"] == family]) for family in families
        },
        variant=source.variant,
        severities=source.severities,
        seed=source.seed,
        baseline=None if baseline is None else baseline.name,
        mce=_mce({c: row["ce"] for c, row in rows.items() if "ce" in row}) if complete else None,
        relative_mce=_mce({c: row["relative_ce"] for c, row in rows.items() if "relative_ce" in row})
        if complete
        else None,
        corruption_set=set_of(source.corruptions),
        corrupted_by=source.origin,
        corrupted_source=source.name,
        frost_source=source.frost_source,
        intervals=_intervals(answers, [Condition(c, s) for c in source.corruptions for s in source.severities]),
    )


def wrong_counts(answers: Answers, conditions: Sequence[Condition]) -> NDArray[np.int64]:
    """Under how many of the conditions each image was answered wrongly, shape (N,)."""
    counts = np.zeros(answers.about.images, np.int64)
    for condition in conditions:
        counts += ~answers.right(condition)
    return counts


def _row(
    answers: Answers, corruption: str, severities: Sequence[int], clean_error: float, baseline: Baseline | None
) -> CorruptionErrors:
    conditions = [Condition(corruption, severity) for severity in severities]
    errors = [float(np.mean(~answers.right(condition))) for condition in conditions]
    row = CorruptionErrors(
        family=family_of(corruption),
        error=mean(errors),
        ece=mean([_ece(answers, condition) for condition in conditions]),
        severities={str(severity): error for severity, error in zip(severities, errors, strict=True)},
    )
    if baseline is not None and corruption in baseline.errors:
        row["ce"] = ce(row["error"], baseline.errors[corruption])
        relative = relative_ce(row["error"], clean_error, baseline.errors[corruption], baseline.clean_error)
        if relative is not None:
            row["relative_ce"] = relative
    return row


def _ece(answers: Answers, condition: Condition) -> float:
    return ece(answers.given[condition]["confidence"], answers.right(condition))


def _mce(errors: dict[str, float]) -> float | None:
    return mce(errors) if set(names("mce15")) <= set(errors) else None


def _intervals(answers: Answers, conditions: Sequence[Condition]) -> dict[str, tuple[float, float]]:
    intervals = {"clean_accuracy": bootstrap_interval(answers.right(CLEAN))}
    if conditions:
        low, high = bootstrap_interval(wrong_counts(answers, conditions))
        intervals["mean_error"] = (low / len(conditions), high / len(conditions))
    return intervals
