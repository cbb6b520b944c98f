"""Does the bundle answer as the net does? Both are run on the same pictures before anything is written."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from groupnl.export.errors import DisagreementError, ExportError
from groupnl_device.preprocessing import Preprocessing
from groupnl_device.runtime import Session

Images = NDArray[np.uint8]
Logits = NDArray[np.float32]

TOLERANCE = 1e-4  # largest difference of two logits, relative to the largest absolute logit
_LARGEST = 0.5  # the same in a lower precision, where only nonsense is refused: accuracy is for the gate to judge
_BATCH = 64


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How close the exported net comes to PyTorch.

    Attributes:
        images: Number of pictures compared.
        max_abs_difference: Largest absolute difference of two logits.
        logits_scale: Largest absolute logit of PyTorch.
        max_relative_difference: The quotient of both.
        same_top1: Pictures for which both choose the same class.
        near_ties: Pictures whose two best logits lie so close together (twice the tolerance) that the choice between
            them is rounding; only these may differ in class.
        tolerance: What ``max_relative_difference`` was allowed to be.
    """

    images: int
    max_abs_difference: float
    logits_scale: float
    max_relative_difference: float
    same_top1: int
    near_ties: int
    tolerance: float = TOLERANCE

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return dict(vars(self))


def torch_logits(model: nn.Module, images: Images, preprocessing: Preprocessing) -> Logits:
    """Logits (N, K) of a net on the CPU in evaluation mode, for uint8 pictures (N, C, H, W)."""
    with torch.no_grad():
        return torch.cat([model(torch.from_numpy(batch)) for batch in _batches(images, preprocessing)]).numpy()


def session_logits(session: Session, images: Images) -> Logits:
    """The same through the device's runtime."""
    batches = _batches(images, session.bundle.manifest.preprocessing)
    return np.concatenate([session.logits(batch) for batch in batches])


def compare(expected: Logits, found: Logits, *, rounded: bool = False) -> Agreement:
    """Compare the logits of a net (``expected``) with those of its bundle, both of shape (N, K).

    Args:
        expected: Of PyTorch, in float32.
        found: Of the bundle.
        rounded: Whether the bundle's weights or arithmetic are in a lower precision: then how far it is off is told,
            not judged.

    Raises:
        DisagreementError: They differ by more than the tolerance, or choose another class where that is no near tie;
            of rounded ones: they are not finite, or as far off as they are large.
    """
    if not np.isfinite(expected).all():
        raise ExportError("the net gives logits that are not finite; nothing can be compared with them")
    if found.shape != expected.shape:
        raise ExportError(f"the exported net gives logits of shape {found.shape}, PyTorch {expected.shape}")
    scale = float(np.abs(expected).max())
    difference = float(np.abs(found.astype(np.float64) - expected).max())
    relative = difference / scale if scale > 0 else (0.0 if difference == 0 else float("inf"))
    same = expected.argmax(axis=1) == found.argmax(axis=1)
    if expected.shape[1] > 1:
        best = np.sort(expected.astype(np.float64), axis=1)[:, -2:]
        near = best[:, 1] - best[:, 0] <= 2 * TOLERANCE * scale
    else:
        near = np.zeros(len(expected), bool)
    allowed = _LARGEST if rounded else TOLERANCE
    if not relative <= allowed:  # NaN fails as well
        raise DisagreementError(
            f"the exported net differs from PyTorch: logits by {relative:.2e} of their scale; allowed: {allowed:.0e}"
        )
    if not rounded and (wrong := int((~same & ~near).sum())):
        raise DisagreementError(
            f"the exported net chooses another class than PyTorch on {wrong} of {len(same)} pictures"
        )
    return Agreement(
        images=len(same),
        max_abs_difference=difference,
        logits_scale=scale,
        max_relative_difference=relative,
        same_top1=int(same.sum()),
        near_ties=int(near.sum()),
        tolerance=allowed,
    )


def _batches(images: Images, preprocessing: Preprocessing) -> Iterator[NDArray[np.float32]]:
    """Normalised; the first picture alone, so that more than one batch size is tried."""
    for begin, end in pairwise([0, *range(1, len(images), _BATCH), len(images)]):
        yield preprocessing.normalize(images[begin:end])
