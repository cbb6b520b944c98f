"""RandAugment (Cubuk et al., arXiv 1909.13719): a few operations drawn at random, all of one magnitude.

Operations and magnitudes are torchvision's (0 to 30). Brightness, contrast and colour are among them, so results on the
corruptions brightness, contrast and saturate are not those of unseen corruptions.
"""

import torch
from torch import Tensor

from groupnl.training.augment.operations import NOTHING, apply_, numbers

STRONGEST = 30.0


def draw_randaugment(
    shape: tuple[int, ...], *, magnitude: float, size: tuple[int, int], generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Draw operations; each of the 14, doing nothing among them, is as likely as another.

    Args:
        shape: Of the results.
        magnitude: 0 to 30.
        size: Height and width of the pictures, pixels.
        generator: Of the CPU.

    Returns:
        Numbers of operations or ``NOTHING``, int64, and their values, float64, both of ``shape``.
    """
    share = magnitude / STRONGEST
    sign = 1.0 - 2.0 * torch.randint(2, shape, generator=generator)
    height, width = size
    units: dict[str, Tensor | float] = {
        "autocontrast": 0.0,
        "equalize": 0.0,
        "posterize": 8.0 - round(4 * share),  # bits
        "solarize": 255 * (1 - share),
        "brightness": 1 + sign * 0.9 * share,
        "contrast": 1 + sign * 0.9 * share,
        "color": 1 + sign * 0.9 * share,
        "sharpness": 1 + sign * 0.9 * share,
        "rotate": sign * 30 * share,
        "shear_x": sign * 0.3 * share,
        "shear_y": sign * 0.3 * share,
        "translate_x": sign * int(150 / 331 * width * share),
        "translate_y": sign * int(150 / 331 * height * share),
    }
    kinds = torch.tensor([NOTHING, *numbers(*units)])[torch.randint(len(units) + 1, shape, generator=generator)]
    values = torch.zeros(shape, dtype=torch.float64)
    for number, unit in zip(numbers(*units), units.values(), strict=True):
        values = torch.where(kinds == number, unit, values)
    return kinds, values


def randaugment(images: Tensor, kinds: Tensor, values: Tensor) -> Tensor:
    """Apply the operations one after the other.

    Args:
        images: uint8, shape (N, C, H, W), on any device.
        kinds: Shape (D, V, N), on the CPU, for D operations in a row and V views.
        values: The same.

    Returns:
        Levels from 0 to 255, float32, shape (V, N, C, H, W).
    """
    views = images.repeat(kinds.shape[1], 1, 1, 1)
    for kind, value in zip(kinds, values, strict=True):
        apply_(views, kind.flatten(), value.flatten())
    return views.view(-1, *images.shape).float()
