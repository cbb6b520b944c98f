"""Is a net in 8 or 16 bits still as accurate, clean and under corruption? Asked before its bundle is written."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from groupnl.cli.datasets import variant_of

if TYPE_CHECKING:
    from groupnl.data import ImageSet
    from groupnl.evaluation import Evaluation
    from groupnl_device.preprocessing import Preprocessing
    from groupnl_device.runtime import Session

LARGEST_DROP = 0.01  # of an accuracy: one point
CORRUPTIONS, SEVERITY = "mce15", 3  # the fifteen of mCE, at the middle of the five severities
_ADVICE = {
    "int8": "Give more calibration pictures (--calibration-images), or train the net with normalize='batch' "
    "(docs/int8.md)",
    "float16": "Export it in float32",
}
MOST_IMAGES = 1000  # of the test pictures, evenly spread: they are run sixteen times, in both precisions


def pictures_for_calibration(train_set: "ImageSet", count: int) -> Tensor:
    """Training pictures for calibration, drawn without replacement, the same ones each time: uint8, (N, 3, H, W).

    Raises:
        ValueError: ``count`` is below 1.
    """
    if count < 1:
        raise ValueError(f"--calibration-images {count}: expected at least 1; a few hundred are usual")
    order = torch.randperm(len(train_set), generator=torch.Generator().manual_seed(0))
    return train_set.images[order[:count]]


def gate_of(
    model: nn.Module,
    test_set: "ImageSet",
    preprocessing: "Preprocessing",
    *,
    precision: str = "int8",
    largest_drop: float = LARGEST_DROP,
    corruptions: Sequence[str] | None = None,
) -> "Callable[[Session], dict[str, Any]]":
    """The question, for :func:`groupnl.export.export_bundle`.

    Args:
        model: The net in float32.
        test_set: Pictures that neither training nor calibration saw.
        preprocessing: Of both.
        precision: Of the bundle, ``int8`` or ``float16``.
        largest_drop: Of an accuracy, a share.
        corruptions: By default ``CORRUPTIONS``.

    Returns:
        A function from the session of the bundle to figures for the manifest. It raises ``DisagreementError``
        where the clean accuracy, or the mean accuracy under corruption, falls by more than ``largest_drop``.
    """
    from groupnl.evaluation import evaluate
    from groupnl.export import DisagreementError

    step = -(-len(test_set) // MOST_IMAGES)
    some = test_set.subset(range(0, len(test_set), step))

    def measure(net: Any) -> "Evaluation":
        return evaluate(
            net,
            some,
            preprocessing=preprocessing,
            corruptions=CORRUPTIONS if corruptions is None else corruptions,
            severities=(SEVERITY,),
            variant=variant_of(None, some),
        )

    def judge(session: "Session") -> dict[str, Any]:
        before, after = measure(model), measure(lambda x: torch.from_numpy(session.logits(x.numpy())))
        accuracies = {"clean": (before.clean_accuracy, after.clean_accuracy)}
        if before.mean_error is not None and after.mean_error is not None:
            accuracies["under corruption"] = (1 - before.mean_error, 1 - after.mean_error)
        if complaint := complaint_of(accuracies, largest_drop, precision):
            raise DisagreementError(f"{complaint} ({len(some)} pictures of {some.name})")
        return {"quantization": figures_of(accuracies, len(some), some.name, precision)}

    return judge


def complaint_of(accuracies: Mapping[str, tuple[float, float]], largest_drop: float, precision: str = "int8") -> str:
    """What is wrong with accuracies in (float32, precision); empty where none falls by more than the largest drop."""
    lost = {what: before - after for what, (before, after) in accuracies.items()}
    words = [
        f"{what} from {accuracies[what][0]:.1%} to {accuracies[what][1]:.1%}"
        for what, drop in lost.items()
        if not drop <= largest_drop  # NaN fails as well
    ]
    if not words:
        return ""
    return f"{precision} costs more than {largest_drop:.1%} of accuracy: {', '.join(words)}. {_ADVICE[precision]}"


def figures_of(
    accuracies: Mapping[str, tuple[float, float]], images: int, data: str, precision: str = "int8"
) -> dict[str, Any]:
    """What the manifest says of accuracies in (float32, precision)."""
    figures: dict[str, Any] = {"data": data, "images": images, "severity": SEVERITY}
    for what, (before, after) in accuracies.items():
        key = what.replace(" ", "_")
        figures[f"float32_accuracy_{key}"], figures[f"{precision}_accuracy_{key}"] = before, after
    return figures
