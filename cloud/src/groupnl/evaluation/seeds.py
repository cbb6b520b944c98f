"""Several checkpoints of one net, trained from different seeds: what is the net's and what is luck."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from groupnl.evaluation.baselines import benchmark
from groupnl.evaluation.intervals import Interval, bootstrap_interval, student_interval
from groupnl.evaluation.metrics import mean
from groupnl.evaluation.result import Evaluation


@dataclass(frozen=True, kw_only=True)
class SeedFigure:
    """One figure over the training seeds.

    Attributes:
        mean: Over the seeds.
        interval: 95 % of the mean by Student's t, which is right for a few seeds; None for a single one.
        bootstrap: 95 % of the mean by the bootstrap over the seeds; of fewer than about ten it is too narrow. None for
            a single one.
        values: One a seed, in the order given.
    """

    mean: float
    interval: Interval | None
    bootstrap: Interval | None
    values: tuple[float, ...]

    @classmethod
    def of(cls, values: Sequence[float]) -> "SeedFigure":
        """Summarise the values of at least one seed."""
        several = len(values) > 1
        return cls(
            mean=mean(values),
            interval=student_interval(values),
            bootstrap=bootstrap_interval(values) if several else None,
            values=tuple(values),
        )

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "mean": self.mean,
            "interval": None if self.interval is None else list(self.interval),
            "bootstrap": None if self.bootstrap is None else list(self.bootstrap),
            "values": list(self.values),
        }


@dataclass(frozen=True, kw_only=True)
class SeedSummary:
    """A net over its training seeds.

    Attributes:
        seeds: How many.
        clean_accuracy: Shares from 0 to 1.
        mean_error: Shares from 0 to 1; None where no corruption was run.
        mce: 1 is the baseline's level; None where the evaluations have none.
        relative_mce: As ``mce``.
    """

    seeds: int
    clean_accuracy: SeedFigure
    mean_error: SeedFigure | None
    mce: SeedFigure | None
    relative_mce: SeedFigure | None

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        figures = {key: getattr(self, key) for key in ("clean_accuracy", "mean_error", "mce", "relative_mce")}
        return {"seeds": self.seeds} | {
            key: None if figure is None else figure.to_dict() for key, figure in figures.items()
        }


def summarize_seeds(evaluations: Sequence[Evaluation]) -> SeedSummary:
    """Mean and interval of each figure over the training seeds of one net.

    Args:
        evaluations: One a checkpoint, at least one; all of one net, on the same data and corruptions and against the
            same baseline.

    Raises:
        ValueError: There is none, or they differ in what they measured.
    """
    if not evaluations:
        raise ValueError("no evaluation given: expected one for each training seed")
    first = evaluations[0]
    for other in evaluations[1:]:
        if (benchmark(other), other.baseline) != (benchmark(first), first.baseline):
            raise ValueError(
                f"the evaluations of {first.name!r} and {other.name!r} are not of the same data, corruptions and "
                "baseline: evaluate all checkpoints in the same way"
            )
    return SeedSummary(
        seeds=len(evaluations),
        clean_accuracy=SeedFigure.of([one.clean_accuracy for one in evaluations]),
        mean_error=_figure([one.mean_error for one in evaluations]),
        mce=_figure([one.mce for one in evaluations]),
        relative_mce=_figure([one.relative_mce for one in evaluations]),
    )


def _figure(values: Sequence[float | None]) -> SeedFigure | None:
    known = [value for value in values if value is not None]
    return SeedFigure.of(known) if len(known) == len(values) else None
