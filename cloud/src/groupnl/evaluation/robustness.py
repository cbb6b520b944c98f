"""``evaluate``: clean accuracy, then the error under every corruption at every severity."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import cast

import torch
from torch import Tensor

from groupnl.corruptions import FAMILIES, SEVERITIES, Selection, Variant, corrupt, names
from groupnl.data import ImageSet
from groupnl.evaluation.inference import Net, Pass, open_pass
from groupnl.evaluation.metrics import ce, mean, mean_error
from groupnl.evaluation.result import CorruptionErrors, Evaluation
from groupnl_device.preprocessing import Preprocessing

Progress = Callable[[str, int, int], None]  # (what runs, images done, images in all)


def evaluate(
    model: Net,
    data: ImageSet,
    *,
    preprocessing: Preprocessing,
    corruptions: Sequence[str] | Selection = "all",
    severities: Sequence[int] = SEVERITIES,
    variant: Variant = "cifar",
    batch_size: int = 256,
    device: torch.device | str | None = None,
    seed: int = 0,
    baseline: Evaluation | None = None,
    progress: Progress | None = None,
    name: str | None = None,
) -> Evaluation:
    """Measure a net on clean and on corrupted images.

    Each batch is corrupted where the net is, used and dropped, so memory does not grow with the data. An image's
    corruption depends on its index in ``data`` and on ``seed``, not on ``batch_size`` or the device.

    Source: Hendrycks & Dietterich, arXiv 1903.12261.

    Args:
        model: Any callable from normalised images (N, 3, H, W) to logits (N, K). A module runs in ``eval()``, on its
            own device and in its weights' dtype, and gets its training flags back; another callable is given float32.
        data: N images of K classes.
        preprocessing: Only its size, mean and std matter here: the images are decoded already.
        corruptions: Names, or ``"all"``, or a family such as ``"noise"``; ``()`` is clean accuracy only.
        severities: From 1 to 5; a subset is allowed and recorded.
        variant: Whose constants: ``cifar`` for 32x32 images, ``imagenet`` for 224x224.
        batch_size: Images at a time.
        device: Where to run a plain callable (default: where the data are); a module must be there already.
        seed: Of the corruptions' draws.
        baseline: Another net's evaluation on the same data, variant, corruptions and severities; gives each corruption
            a ``ce``.
        progress: Called after each batch with ("clean" or such as "fog 3", images done, images in all).
        name: What to call the net in the result; by default its class.

    Returns:
        The accuracies and errors, each a share of the N images.

    Raises:
        ValueError: An argument is outside what is allowed above; the net's output is no (N, K) logits or holds a NaN;
            the baseline does not cover the run.
    """
    chosen = _chosen_corruptions(corruptions)
    steps = _checked_severities(severities)
    _check_corruptions(data, chosen, variant=variant, seed=seed)
    if baseline is not None:
        _check_baseline(baseline, data, chosen, steps, variant)
    report = _Counter(progress, len(data) * (1 + len(chosen) * len(steps)))
    errors: dict[str, dict[int, float]] = {}
    with open_pass(model, data, preprocessing=preprocessing, batch_size=batch_size, device=device) as run:
        wrong = _wrong_answers(run, report, "clean", lambda images, _first_index: images)
        for corruption in chosen:
            errors[corruption] = {}
            for severity in steps:
                spoil = partial(_corrupted, corruption=corruption, severity=severity, variant=variant, seed=seed)
                label = f"{corruption} {severity}"
                errors[corruption][severity] = _wrong_answers(run, report, label, spoil) / len(data)
    return Evaluation(
        name=type(model).__name__ if name is None else name,
        data=data.name,
        split=data.split,
        images=len(data),
        clean_accuracy=(len(data) - wrong) / len(data),
        mean_error=mean_error(errors),
        corruptions={corruption: _summary(corruption, found, baseline) for corruption, found in errors.items()},
        variant=variant,
        severities=steps,
        seed=seed,
        baseline=None if baseline is None else baseline.name,
    )


def _corrupted(
    images: Tensor, first_index: int, *, corruption: str, severity: int, variant: Variant, seed: int
) -> Tensor:
    return corrupt(images, corruption, severity=severity, variant=variant, seed=seed, first_index=first_index)


def _wrong_answers(run: Pass, report: "_Counter", label: str, prepare: Callable[[Tensor, int], Tensor]) -> int:
    """Count the wrong top-1 answers over the data, each batch prepared first, given its images and first index."""
    wrong = 0
    for batch in run.batches():
        answers = run.logits(prepare(run.images(batch), batch.start), batch).argmax(1)
        wrong += int((answers != run.labels(batch)).sum())
        report.add(label, len(batch))
    return wrong


class _Counter:
    """Counts images and tells the caller."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self.progress, self.total, self.done = progress, total, 0

    def add(self, label: str, images: int) -> None:
        self.done += images
        if self.progress is not None:
            self.progress(label, self.done, self.total)


def _summary(corruption: str, errors: dict[int, float], baseline: Evaluation | None) -> CorruptionErrors:
    summary = CorruptionErrors(
        error=mean(list(errors.values())),
        severities={str(severity): error for severity, error in errors.items()},
    )
    if baseline is not None:
        summary["ce"] = ce(errors, _baseline_errors(baseline, corruption))
    return summary


def _baseline_errors(baseline: Evaluation, corruption: str) -> dict[int, float]:
    return {int(severity): error for severity, error in baseline.corruptions[corruption]["severities"].items()}


def _chosen_corruptions(corruptions: Sequence[str] | Selection) -> tuple[str, ...]:
    if isinstance(corruptions, str):
        if corruptions not in ("all", *FAMILIES):
            raise ValueError(
                f"corruptions={corruptions!r}: expected 'all', a family ({', '.join(FAMILIES)}) or a list of names; "
                f"names are {', '.join(names('all'))}"
            )
        return names(cast("Selection", corruptions))
    return tuple(corruptions)


def _checked_severities(severities: Sequence[int]) -> tuple[int, ...]:
    given = tuple(severities) if isinstance(severities, Sequence) and not isinstance(severities, str) else ()
    if not given or len(set(given)) != len(given):
        raise ValueError(f"severities={severities!r}: expected one or more different integers from 1 to 5")
    for severity in given:
        if isinstance(severity, bool) or not isinstance(severity, int) or severity not in SEVERITIES:
            raise ValueError(f"severities={severities!r}: expected integers from 1 (mild) to 5 (strong)")
    return tuple(sorted(given))


def _check_corruptions(data: ImageSet, chosen: tuple[str, ...], *, variant: Variant, seed: int) -> None:
    """Refuse what ``corrupt`` would refuse, before any work is done."""
    if len(set(chosen)) != len(chosen):
        raise ValueError(f"corruptions={chosen!r}: each may be named once")
    for corruption in chosen:
        corrupt(data.images[:0], corruption, severity=1, variant=variant, seed=seed)


def _check_baseline(
    baseline: Evaluation, data: ImageSet, chosen: tuple[str, ...], severities: tuple[int, ...], variant: Variant
) -> None:
    """Refuse a baseline that says nothing about this run: CE compares like with like."""
    if not chosen:
        raise ValueError(f"baseline {baseline.name!r} given, but no corruption is run: CE is about corruptions")
    mine = (data.name, data.split, len(data), variant)
    theirs = (baseline.data, baseline.split, baseline.images, baseline.variant)
    if mine != theirs:
        raise ValueError(
            f"baseline {baseline.name!r} was measured on {_describe(*theirs)}, this run is on {_describe(*mine)}: "
            "evaluate the baseline net on the same"
        )
    if missing := [corruption for corruption in chosen if corruption not in baseline.corruptions]:
        raise ValueError(
            f"baseline {baseline.name!r} has no {', '.join(missing)} (it has "
            f"{', '.join(baseline.corruptions) or 'none'}): evaluate the baseline net on the same corruptions"
        )
    for corruption in chosen:
        try:
            ce(dict.fromkeys(severities, 0.0), _baseline_errors(baseline, corruption))
        except ValueError as error:
            raise ValueError(f"baseline {baseline.name!r}, {corruption}: {error}") from error


def _describe(data: str, split: str, images: int, variant: str) -> str:
    return f"{data}/{split} ({images} images, {variant} constants)"
