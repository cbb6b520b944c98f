"""Between the 256 levels of a picture and the [0, 1] floats in which the corruptions are defined.

Everything is float64 (float32 where the published code is) and made of single correctly rounded operations, so that a
CPU and a GPU give the same bits.
"""

import torch
from torch import Tensor

TOP_LEVEL = 255


def to_unit(images: Tensor) -> Tensor:
    """Levels to [0, 1]: ``x / 255`` in float64.

    Args:
        images: uint8, any shape.
    """
    return divide(images.to(torch.float64), TOP_LEVEL)


def divide(values: Tensor, by: float) -> Tensor:
    """``values / by``, correctly rounded on every device.

    torch multiplies by the reciprocal where a GPU tensor is divided by a Python number; a divisor that lives on the
    same device is divided by.

    Args:
        values: float64 or float32, any shape.
        by: The divisor.
    """
    return values / torch.full((), by, dtype=values.dtype, device=values.device)


def to_levels(unit: Tensor) -> Tensor:
    """[0, 1] to levels as the published benchmarks were written: clip, times 255, **truncate** (never round).

    Args:
        unit: float64 or float32, any shape; overwritten.

    Returns:
        uint8, the same shape.
    """
    return unit.clamp_(0.0, 1.0).mul_(TOP_LEVEL).to(torch.uint8)
