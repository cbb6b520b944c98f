"""The Gaussian filter that several corruptions share: separable, its sums always in the same order, in float64."""

import functools
from typing import Literal

import numpy as np
import torch
from torch import Tensor

Border = Literal["edge", "mirror"]


def gaussian_filter(values: Tensor, *, sigma: float, truncate: float = 4.0, border: Border = "edge") -> Tensor:
    """Weigh every pixel and its neighbours by a Gaussian, along the rows' axis first, as ``scipy.ndimage`` does.

    Each pixel's sum starts at the centre and goes on with the pairs of neighbours from the farthest to the nearest:
    the same bits whatever the batch and the device. A filter that reaches farther than the picture is folded at the
    borders into one weight for every pair of pixels first.

    Args:
        values: float32 or float64, shape (..., H, W). The sums are float64; between the two axes the values take the
            given dtype.
        sigma: In pixels, at least 0; 0 changes nothing.
        truncate: Where the Gaussian is cut off, in sigmas.
        border: What lies beyond the picture: its ``edge`` pixel repeated (``a a | a b c``), or the picture
            ``mirror``-ed, edge pixel included (``b a | a b c``).

    Returns:
        The same shape and dtype.
    """
    if sigma == 0:
        return values
    return _along(_along(values, -2, sigma, truncate, border), -1, sigma, truncate, border)


def _along(values: Tensor, axis: int, sigma: float, truncate: float, border: Border) -> Tensor:
    """Filter one of the last two axes."""
    size = values.shape[axis]
    weights = _bell(sigma, truncate)
    radius = len(weights) // 2
    wide = values.to(torch.float64)
    if radius >= size:
        total = _folded_sum(wide, axis, _fold(size, sigma, truncate, border))
    else:
        padded = wide.index_select(axis, _beyond(radius, size, border).to(values.device))
        total = wide * weights[radius]
        for step in range(radius, 0, -1):
            before, after = padded.narrow(axis, radius - step, size), padded.narrow(axis, radius + step, size)
            total += (before + after).mul_(weights[radius + step])
    return total.to(values.dtype)


def _folded_sum(values: Tensor, axis: int, weights: Tensor) -> Tensor:
    """``sum_k weights[:, k] * values[k]`` along an axis, k ascending; weights of shape (size, size)."""
    weights = weights.to(values.device)
    shape = (-1, 1) if axis == -2 else (1, -1)
    total = torch.zeros_like(values)
    for source in range(values.shape[axis]):
        total += values.narrow(axis, source, 1) * weights[:, source].reshape(shape)
    return total


@functools.lru_cache(maxsize=64)
def _bell(sigma: float, truncate: float) -> tuple[float, ...]:
    """Weights of sum 1 at whole pixels up to ``truncate`` sigmas on both sides."""
    radius = int(truncate * sigma + 0.5)
    weights = np.exp(-0.5 / (sigma * sigma) * np.arange(-radius, radius + 1) ** 2)
    return tuple((weights / weights.sum()).tolist())


@functools.lru_cache(maxsize=64)
def _beyond(radius: int, size: int, border: Border) -> Tensor:
    """The pixel that stands at each place from ``-radius`` to ``size + radius - 1``, int64."""
    places = torch.arange(-radius, size + radius)
    if border == "edge":
        return places.clamp_(0, size - 1)
    phase = places.remainder_(2 * size)
    return torch.minimum(phase, 2 * size - 1 - phase)


@functools.lru_cache(maxsize=16)
def _fold(size: int, sigma: float, truncate: float, border: Border) -> Tensor:
    """The filter as a matrix, float64 of shape (size, size): row i weighs the pixels that make pixel i."""
    weights = _bell(sigma, truncate)
    beyond = _beyond(len(weights) // 2, size, border).numpy()
    matrix = np.zeros((size, size))
    for row in range(size):
        np.add.at(matrix[row], beyond[row : row + len(weights)], weights)
    return torch.from_numpy(matrix)
