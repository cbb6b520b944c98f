"""The net that corruption errors are compared with: AlexNet, as published, or any evaluation of ours."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from groupnl.corruptions import SEVERITIES, names
from groupnl.data import ImageSet
from groupnl.evaluation.metrics import ce, mean
from groupnl.evaluation.result import Evaluation
from groupnl.evaluation.sources import Source

IMAGENET_CLASSES = 1000


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """The errors of the net that CE, mCE and their relatives refer to.

    Attributes:
        name: What to call it in results.
        clean_error: On the clean images, 0 to 1.
        errors: Per corruption, the mean of ``E_sc`` over ``severities``, 0 to 1.
        severities: Those of the mean: a run is compared at the same ones.
    """

    name: str
    clean_error: float
    errors: Mapping[str, float]
    severities: tuple[int, ...]

    @classmethod
    def of(cls, evaluations: Sequence[Evaluation], severities: Sequence[int] | None = None) -> "Baseline":
        """What evaluations say of a net: of several (training seeds), the mean.

        Args:
            evaluations: At least one, all of one net on one benchmark.
            severities: Of them, those that a run is compared at; None: all.

        Raises:
            ValueError: None is given, they differ in what they measured, or they lack a severity.
        """
        if not evaluations:
            raise ValueError("baseline: no evaluation given, expected at least one")
        first = evaluations[0]
        if any(benchmark(other) != benchmark(first) for other in evaluations):
            raise ValueError(f"baseline {first.name!r}: its evaluations are of different data or corruptions")
        chosen = first.severities if severities is None else tuple(severities)
        if missing := [severity for severity in chosen if severity not in first.severities]:
            raise ValueError(
                f"baseline {first.name!r} has no severity {', '.join(map(str, missing))}: evaluate it at the same "
                "severities"
            )
        return cls(
            name=first.name,
            clean_error=mean([1 - one.clean_accuracy for one in evaluations]),
            errors={
                corruption: mean(
                    [one.corruptions[corruption]["severities"][str(s)] for one in evaluations for s in chosen]
                )
                for corruption in first.corruptions
            },
            severities=chosen,
        )


def benchmark(evaluation: Evaluation) -> tuple[object, ...]:
    """What was measured: equal for two evaluations whose figures may stand side by side."""
    return (
        evaluation.data,
        evaluation.split,
        evaluation.images,
        evaluation.variant,
        evaluation.severities,
        evaluation.corrupted_by,
        tuple(sorted(evaluation.corruptions)),
    )


ALEXNET = Baseline(
    # Hendrycks & Dietterich publish the means over the five severities on ImageNet-C; they are what mCE is made with.
    name="AlexNet",
    clean_error=0.4348,
    errors={
        "gaussian_noise": 0.886428,
        "shot_noise": 0.894468,
        "impulse_noise": 0.922640,
        "defocus_blur": 0.819880,
        "glass_blur": 0.826268,
        "motion_blur": 0.785948,
        "zoom_blur": 0.798360,
        "snow": 0.866816,
        "frost": 0.826572,
        "fog": 0.819324,
        "brightness": 0.564592,
        "contrast": 0.853204,
        "elastic_transform": 0.646056,
        "pixelate": 0.717840,
        "jpeg_compression": 0.606500,
    },
    severities=SEVERITIES,
)


def checked_baseline(
    baseline: Evaluation | Sequence[Evaluation] | Baseline, data: ImageSet, source: Source
) -> Baseline:
    """The baseline of a run, refused where it says nothing about it: CE compares like with like.

    Args:
        baseline: As the user gives it; several evaluations are training seeds of one net.
        data: What the run is on.
        source: Of the run's corrupted images.

    Raises:
        ValueError: It was measured on something else, lacks one of the run's severities or of its corruptions (those
            beyond the 15 of mCE may be missing), or makes no error.
    """
    if not source.corruptions:
        raise ValueError("a baseline is given, but no corruption is run: CE is about corruptions")
    if not isinstance(baseline, Baseline):
        evaluations = [baseline] if isinstance(baseline, Evaluation) else list(baseline)
        for evaluation in evaluations:
            _check_same_benchmark(evaluation, data, source)
        baseline = Baseline.of(evaluations, source.severities)
    if baseline.severities != source.severities:
        raise ValueError(
            f"baseline {baseline.name!r} is known at the severities {_joined(baseline.severities)} together, the run "
            f"is at {_joined(source.severities)}: run the same"
        )
    if baseline is ALEXNET and (len(data.class_names) != IMAGENET_CLASSES or source.variant == "cifar"):
        raise ValueError(
            f"baseline AlexNet was measured on ImageNet-C, this run is on {data.name} ({len(data.class_names)} "
            f"classes{'' if source.variant is None else f', {source.variant} constants'}): take ImageNet's classes and "
            "constants, or a net of your own as the baseline"
        )
    needed = set(names("mce15")) & set(source.corruptions)
    if missing := sorted(needed - set(baseline.errors)):
        raise ValueError(
            f"baseline {baseline.name!r} has no {', '.join(missing)} (it has {', '.join(baseline.errors) or 'none'}): "
            "evaluate the baseline net on the same corruptions"
        )
    for corruption in source.corruptions:
        if corruption in baseline.errors:
            try:
                ce(0.0, baseline.errors[corruption])
            except ValueError as error:
                raise ValueError(f"baseline {baseline.name!r}, {corruption}: {error}") from error
    return baseline


def _check_same_benchmark(baseline: Evaluation, data: ImageSet, source: Source) -> None:
    mine = (data.name, data.split, len(data), source.variant, source.origin)
    theirs = (baseline.data, baseline.split, baseline.images, baseline.variant, baseline.corrupted_by)
    if mine != theirs:
        raise ValueError(
            f"baseline {baseline.name!r} was measured on {_describe(*theirs)}, this run is on {_describe(*mine)}: "
            "evaluate the baseline net on the same"
        )


def _describe(data: str, split: str, images: int, variant: str | None, origin: str) -> str:
    constants = "" if variant is None else f", {variant} constants"
    return f"{data}/{split} ({images} images{constants}, corruptions {origin})"


def _joined(severities: Sequence[int]) -> str:
    return ", ".join(map(str, severities))
