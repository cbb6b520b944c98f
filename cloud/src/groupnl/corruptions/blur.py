"""Blur: what a lens does to a picture.

Source of the definitions and constants: Hendrycks & Dietterich, arXiv 1903.12261, as published for CIFAR-10-C and
ImageNet-C.
"""

import functools

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from groupnl.corruptions.edges import mirror_about_pixels
from groupnl.corruptions.filters import gaussian_filter
from groupnl.corruptions.levels import TOP_LEVEL, to_levels, to_unit


def gaussian_blur(images: Tensor, *, sigma: float) -> Tensor:
    """A soft lens: a Gaussian filter, the edge pixels repeated.

    Args:
        images: uint8, shape (N, C, H, W).
        sigma: In pixels.

    Returns:
        uint8, the same shape.
    """
    return to_levels(gaussian_filter(to_unit(images), sigma=sigma))


def defocus_blur(images: Tensor, *, radius: float, alias_sigma: float) -> Tensor:
    """A lens out of focus: correlation with an antialiased disk, borders mirrored about the edge pixel (reflect101).

    The levels under equal taps are added as integers first, which is exact in any order, and only then weighted, in a
    fixed order in float64.

    Args:
        images: uint8, shape (N, C, H, W).
        radius: Of the disk, in pixels.
        alias_sigma: Of the Gaussian that softens the disk's edge, in pixels.

    Returns:
        uint8, the same shape.
    """
    height, width = images.shape[-2:]
    weights, taps = _disk_taps(radius, alias_sigma)
    reach = max(max(abs(dy), abs(dx)) for offsets in taps for dy, dx in offsets)
    padded = mirror_about_pixels(mirror_about_pixels(images.to(torch.int32), 2, reach, reach), 3, reach, reach)
    blurred = torch.zeros(images.shape, dtype=torch.float64, device=images.device)
    for weight, offsets in zip(weights, taps, strict=True):
        total = torch.zeros(images.shape, dtype=torch.int32, device=images.device)
        for dy, dx in offsets:
            total += padded[:, :, reach + dy : reach + dy + height, reach + dx : reach + dx + width]
        blurred += total.to(torch.float64).mul_(weight)
    return blurred.clamp_(0.0, TOP_LEVEL).to(torch.uint8)


@functools.lru_cache(maxsize=32)
def _disk_taps(radius: float, alias_sigma: float) -> tuple[tuple[float, ...], tuple[tuple[tuple[int, int], ...], ...]]:
    """The kernel as (weights, offsets (dy, dx) that have each weight); taps too small to count at all are left out."""
    kernel = disk_kernel(radius, alias_sigma)
    half = len(kernel) // 2
    weights = np.unique(kernel[kernel > 0])
    offsets = tuple(
        tuple((int(row) - half, int(column) - half) for row, column in np.argwhere(kernel == weight))
        for weight in weights
    )
    return tuple(float(weight) for weight in weights), offsets


def disk_kernel(radius: float, alias_sigma: float) -> NDArray[np.float32]:
    """The disk of ``defocus_blur``: hard, of sum 1, then softened by a 3x3 (radius above 8: 5x5) Gaussian.

    In float32, as published: whether the sum then lies a little above or below 1 decides, through the truncation,
    whether a constant area keeps its level. The softening mirrors the kernel's own border (reflect101), so a disk
    that touches it sums to more than 1, as published too.

    Returns:
        Shape (17, 17), or (2 radius + 1, 2 radius + 1) when the radius is above 8.
    """
    half, soft = (8, 1) if radius <= 8 else (int(radius), 2)
    axis = np.arange(-half, half + 1)
    disk = (axis[:, None] ** 2 + axis[None, :] ** 2 <= radius**2).astype(np.float32)
    disk /= np.float32(disk.sum())
    bell = np.exp(-(np.arange(-soft, soft + 1) ** 2) / (2.0 * alias_sigma**2))
    bell = (bell / bell.sum()).astype(np.float32)
    return _soften(_soften(disk, bell).T, bell).T


def _soften(rows: NDArray[np.float32], bell: NDArray[np.float32]) -> NDArray[np.float32]:
    """Correlate each row with a symmetric bell in float32, from the centre outwards."""
    soft, size = len(bell) // 2, rows.shape[1]
    padded = np.pad(rows, ((0, 0), (soft, soft)), mode="reflect")
    result = bell[soft] * padded[:, soft : soft + size]
    for step in range(1, soft + 1):
        pair = padded[:, soft - step : soft - step + size] + padded[:, soft + step : soft + step + size]
        result = result + bell[soft + step] * pair
    return np.asarray(result, dtype=np.float32)
