"""Resampling: what remains of a picture that was stored smaller than it is shown.

Source of the definitions and constants: Hendrycks & Dietterich, arXiv 1903.12261, as published for CIFAR-10-C and
ImageNet-C.
"""

import functools

import numpy as np
import torch
from torch import Tensor

_PRECISION_BITS = 22  # of Pillow's fixed-point weights (32 - 8 bits of the pixel - 2 of headroom)


def pixelate(images: Tensor, *, scale: float) -> Tensor:
    """Shrink to ``int(scale * size)`` with Pillow's box filter, grow back to the nearest pixel: Pillow's own bits.

    The horizontal axis goes first, as in every Pillow up to 12, with which the benchmarks were made; from 13 on Pillow
    itself takes the vertical one first where that is the cheaper way, which moves a level here and there.

    Args:
        images: uint8, shape (N, C, H, W).
        scale: In (0, 1]; the small picture has at least one pixel a side.

    Returns:
        uint8, the same shape.
    """
    height, width = images.shape[-2:]
    small_height, small_width = max(1, int(height * scale)), max(1, int(width * scale))
    small = _box_shrink(_box_shrink(images, 3, small_width), 2, small_height)
    rows = _nearest(small_height, height).to(images.device)
    columns = _nearest(small_width, width).to(images.device)
    return small.index_select(2, rows).index_select(3, columns)


def _box_shrink(images: Tensor, axis: int, size: int) -> Tensor:
    """Shrink one axis as Pillow does: integer weights, rounded to uint8 after each axis, the horizontal one first."""
    if images.shape[axis] == size:
        return images
    first, weights = (table.to(images.device) for table in _box_weights(images.shape[axis], size))
    last = images.shape[axis] - 1
    shape = [1] * images.dim()
    shape[axis] = size
    total = torch.full((), 1 << (_PRECISION_BITS - 1), dtype=torch.int32, device=images.device)
    for tap in range(weights.shape[1]):
        pixels = images.index_select(axis, (first + tap).clamp_(max=last)).to(torch.int32)
        total = total + pixels * weights[:, tap].reshape(shape)
    return (total >> _PRECISION_BITS).clamp_(0, 255).to(torch.uint8)


@functools.lru_cache(maxsize=64)
def _box_weights(source: int, size: int) -> tuple[Tensor, Tensor]:
    """Pillow's coefficients (``precompute_coeffs``, ``normalize_coeffs_8bpc`` of its Resample.c) for the box filter.

    Returns:
        First source pixel of each output pixel, int64 of shape (size,), and the weights in units of 2**-22, int32
        of shape (size, taps), 0 where a pixel has fewer taps.
    """
    scale = source / size
    support = 0.5 * scale
    first = []
    rows = []
    for pixel in range(size):
        centre = (pixel + 0.5) * scale
        start = max(int(centre - support + 0.5), 0)
        stop = min(int(centre + support + 0.5), source)
        inside = [-0.5 < (tap - centre + 0.5) * (1.0 / scale) <= 0.5 for tap in range(start, stop)]
        first.append(start)
        rows.append([int(0.5 + hit / sum(inside) * (1 << _PRECISION_BITS)) for hit in inside])
    taps = max(len(row) for row in rows)
    weights = [row + [0] * (taps - len(row)) for row in rows]
    return torch.tensor(first, dtype=torch.int64), torch.tensor(weights, dtype=torch.int32)


@functools.lru_cache(maxsize=64)
def _nearest(source: int, size: int) -> Tensor:
    """Source pixel of each output pixel when Pillow grows an axis to the nearest pixel, int64 of shape (size,).

    Pillow adds the step up from pixel to pixel, so its rounding accumulates, and where a centre falls on a pixel's
    edge that decides.
    """
    step = source / size
    return torch.from_numpy(np.floor(np.cumsum([step * 0.5, *[step] * (size - 1)])).astype(np.int64))
