"""The figures of one net, read from what ``groupnl evaluate`` wrote: one checkpoint, or several training seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

_NEEDED = (
    "name",
    "data",
    "split",
    "images",
    "clean_accuracy",
    "mean_error",
    "corruptions",
    "families",
    "variant",
    "severities",
    "seed",
    "corruption_set",
    "corrupted_by",
    "corrupted_source",
)


@dataclass(frozen=True)
class Measure:
    """A figure and its 95 % interval, where there is one."""

    value: float
    interval: tuple[float, float] | None = None


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """On what a net was measured: what two nets must share for their figures to be compared.

    Attributes:
        data: Dataset, such as "cifar10".
        split: "train" or "test".
        images: How many.
        variant: Whose constants the corruptions had, "cifar" or "imagenet"; None: those of a set that was read.
        severities: Those that were run.
        corruptions: Those that were run, in order.
        corruption_set: "mce15", "all" or "custom".
        corrupted_by: "generated" on the fly or "published" files.
        corrupted_source: Which program and seed, or which files.
        frost_source: Where frost's photographs come from; None: no frost, or not known.
        seed: Of the draws of generated corruptions; None: those of a set that was read.
    """

    data: str
    split: str
    images: int
    variant: str | None
    severities: tuple[int, ...]
    corruptions: tuple[str, ...]
    corruption_set: str
    corrupted_by: str
    corrupted_source: str
    frost_source: str | None
    seed: int | None


@dataclass(frozen=True, kw_only=True)
class NetFigures:
    """What was measured of one net; means over its training seeds where there are several.

    Attributes:
        name: Of the net.
        training_seeds: How many checkpoints the figures are the mean of. With one, intervals are those of a bootstrap
            over the images; with several, those of the mean over training seeds.
        conditions: On what it was measured.
        clean_accuracy: Share from 0 to 1.
        clean_ece: Expected calibration error on clean pictures, 0 to 1.
        mean_error: Plain mean over corruptions and severities, 0 to 1; None where no corruption was run.
        mean_ece: Mean calibration error over corruptions and severities.
        families: Family -> mean error of its corruptions.
        corruptions: Name -> ``family``, ``error``, ``severities`` ({"1": error}), and with a baseline ``ce``.
        baseline: Net that ``ce`` and the mCE refer to.
        mce: Mean of the 15 CE; 1 means as many errors as the baseline.
        relative_mce: The same for the errors beyond each net's clean error.
        train_minus_test: Accuracy on the training set, nothing augmented, minus that on the test set; None: not known.
    """

    name: str
    training_seeds: int
    conditions: Conditions
    clean_accuracy: Measure
    clean_ece: float | None
    mean_error: Measure | None
    mean_ece: float | None
    families: Mapping[str, float]
    corruptions: Mapping[str, Mapping[str, Any]]
    baseline: str | None
    mce: Measure | None
    relative_mce: float | None
    train_minus_test: float | None = None

    def drawn(self) -> dict[str, Any]:
        """What the pictures need."""
        return {"clean_accuracy": self.clean_accuracy.value, "corruptions": self.corruptions}

    def by_severity(self) -> dict[int, float]:
        """Severity -> mean error over the corruptions."""
        rows = list(self.corruptions.values())
        return {s: _mean([row["severities"][str(s)] for row in rows]) for s in self.conditions.severities if rows}


def read_net(record: Mapping[str, Any]) -> NetFigures:
    """Read what ``groupnl evaluate --json`` wrote.

    Args:
        record: An evaluation; or ``{"name", "evaluations": [evaluation, ...], "summary"}`` of several training seeds;
            or an experiment's result, ``{"evaluation", "training": {"train_minus_test"}, ...}``.

    Raises:
        ValueError: It is neither, or its seeds were not measured alike.
    """
    if "evaluation" in record:
        trained = record.get("training") or {}
        return replace(_from_one(record["evaluation"]), train_minus_test=trained.get("train_minus_test"))
    if "evaluations" not in record:
        return _from_one(record)
    evaluations = record["evaluations"]
    if not isinstance(evaluations, Sequence) or isinstance(evaluations, str) or not evaluations:
        raise ValueError(f"'evaluations' is {evaluations!r}: expected a list of at least one evaluation")
    return _from_seeds(str(record["name"]), [_from_one(one) for one in evaluations], record.get("summary") or {})


def _from_one(record: Mapping[str, Any]) -> NetFigures:
    missing = [key for key in _NEEDED if not isinstance(record, Mapping) or key not in record]
    if missing:
        raise ValueError(f"no evaluation, {', '.join(missing)} missing: expected what groupnl evaluate --json writes")
    intervals = record.get("intervals") or {}
    return NetFigures(
        name=record["name"],
        training_seeds=1,
        conditions=Conditions(
            data=record["data"],
            split=record["split"],
            images=record["images"],
            variant=record["variant"],
            severities=tuple(record["severities"]),
            corruptions=tuple(record["corruptions"]),
            corruption_set=record["corruption_set"],
            corrupted_by=record["corrupted_by"],
            corrupted_source=record["corrupted_source"],
            frost_source=record.get("frost_source"),
            seed=record["seed"],
        ),
        clean_accuracy=Measure(record["clean_accuracy"], _interval(intervals.get("clean_accuracy"))),
        clean_ece=record.get("clean_ece"),
        mean_error=_measure(record["mean_error"], intervals.get("mean_error")),
        mean_ece=record.get("mean_ece"),
        families=dict(record["families"]),
        corruptions=dict(record["corruptions"]),
        baseline=record.get("baseline"),
        mce=_measure(record.get("mce"), intervals.get("mce")),
        relative_mce=record.get("relative_mce"),
    )


def _from_seeds(name: str, nets: Sequence[NetFigures], summary: Mapping[str, Any]) -> NetFigures:
    first = nets[0]
    for net in nets[1:]:
        if net.conditions != first.conditions or net.baseline != first.baseline:
            raise ValueError(f"{name}: its training seeds were not measured alike: evaluate all of them in one command")
    return NetFigures(
        name=name,
        training_seeds=len(nets),
        conditions=first.conditions,
        clean_accuracy=Measure(
            _mean([net.clean_accuracy.value for net in nets]), _summary_interval(summary, "clean_accuracy")
        ),
        clean_ece=_mean_if_all([net.clean_ece for net in nets]),
        mean_error=_mean_measure([net.mean_error for net in nets], _summary_interval(summary, "mean_error")),
        mean_ece=_mean_if_all([net.mean_ece for net in nets]),
        families={family: _mean([net.families[family] for net in nets]) for family in first.families},
        corruptions={
            corruption: _mean_row([net.corruptions[corruption] for net in nets]) for corruption in first.corruptions
        },
        baseline=first.baseline,
        mce=_mean_measure([net.mce for net in nets], _summary_interval(summary, "mce")),
        relative_mce=_mean_if_all([net.relative_mce for net in nets]),
    )


def _mean_row(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    row: dict[str, Any] = {
        "family": rows[0]["family"],
        "error": _mean([one["error"] for one in rows]),
        "severities": {s: _mean([one["severities"][s] for one in rows]) for s in rows[0]["severities"]},
    }
    for key in ("ce", "relative_ce", "ece"):
        mean = _mean_if_all([one.get(key) for one in rows])
        if mean is not None:
            row[key] = mean
    return row


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _mean_if_all(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return _mean(known) if len(known) == len(values) else None


def _measure(value: float | None, interval: Sequence[float] | None) -> Measure | None:
    return None if value is None else Measure(value, _interval(interval))


def _mean_measure(measures: Sequence[Measure | None], interval: tuple[float, float] | None) -> Measure | None:
    value = _mean_if_all([None if measure is None else measure.value for measure in measures])
    return None if value is None else Measure(value, interval)


def _summary_interval(summary: Mapping[str, Any], key: str) -> tuple[float, float] | None:
    return _interval((summary.get(key) or {}).get("interval"))


def _interval(ends: Sequence[float] | None) -> tuple[float, float] | None:
    return None if ends is None else (ends[0], ends[1])
