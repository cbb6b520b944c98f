"""Zoom: a picture enlarged about its centre, and the blur of a lens that zooms while the shutter is open.

Source of the definitions and constants: Hendrycks & Dietterich, arXiv 1903.12261, as published for CIFAR-10-C and
ImageNet-C; the enlargement is ``scipy.ndimage.zoom`` of order 1.
"""

import functools
import math

import numpy as np
import torch
from torch import Tensor

from groupnl.corruptions.levels import divide, to_levels, to_unit


def zoom_blur(images: Tensor, *, stop: float, step: float) -> Tensor:
    """The mean of the picture and its enlargements by 1, 1 + step, ..., to about ``stop``; in float32, as published.

    Args:
        images: uint8, shape (N, C, H, W).
        stop: The factors are ``numpy.arange(1, stop, step)``, whose rounding may reach ``stop`` itself.
        step: Between two factors.

    Returns:
        uint8, the same shape.
    """
    picture = _pixels_first(to_unit(images).to(torch.float32))
    exact = picture.to(torch.float64)
    factors = np.arange(1, stop, step).tolist()
    total = torch.zeros_like(picture)
    for factor in factors:
        total += _enlarge(exact, factor).to(torch.float32)
    mean = divide(total.add_(picture), len(factors) + 1)
    return to_levels(mean).movedim((0, 1), (2, 3)).contiguous()


def clipped_zoom(images: Tensor, factor: float) -> Tensor:
    """Enlarge each picture about its centre by linear interpolation, and keep its size.

    Args:
        images: float64, shape (N, C, H, W).
        factor: At least 1.

    Returns:
        float64, the same shape.
    """
    return _enlarge(_pixels_first(images), factor).movedim((0, 1), (2, 3)).contiguous()


def _pixels_first(images: Tensor) -> Tensor:
    """Shape (N, C, H, W) to (H, W, N, C): what a pixel of every picture needs then lies together."""
    return images.movedim((2, 3), (0, 1)).contiguous()


def _enlarge(images: Tensor, factor: float) -> Tensor:
    """``clipped_zoom`` of shape (H, W, ...): between rows first, then between columns."""
    if factor == 1:
        return images
    for axis in (0, 1):
        first, near, far = (table.to(images.device) for table in _linear_taps(images.shape[axis], factor))
        second = (first + 1).clamp_(max=images.shape[axis] - 1)
        shape = (-1,) + (1,) * (images.dim() - axis - 1)
        above = images.index_select(axis, first).mul_(near.reshape(shape))
        images = images.index_select(axis, second).mul_(far.reshape(shape)).add_(above)
    return images


@functools.lru_cache(maxsize=256)
def _linear_taps(size: int, factor: float) -> tuple[Tensor, Tensor, Tensor]:
    """For each pixel of an axis: the first of the two source pixels (int64), and the weights of both (float64).

    The middle ``ceil(size / factor)`` pixels are spread over ``round(that * factor)``, of which the middle ``size``
    are kept. Where rounding puts a position beyond the last source pixel, scipy reads nothing there: the weights are 0.
    """
    crop = math.ceil(size / factor)
    grown = round(crop * factor)
    trim = (grown - size) // 2
    positions = torch.arange(trim, trim + size, dtype=torch.float64) * ((crop - 1) / (grown - 1) if grown > 1 else 1.0)
    whole = positions.floor()
    part = positions - whole
    inside = (positions <= crop - 1).to(torch.float64)
    return whole.to(torch.int64) + (size - crop) // 2, (1.0 - part) * inside, part * inside
