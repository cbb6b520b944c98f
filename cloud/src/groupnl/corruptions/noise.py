"""Noise: what a camera's sensor and electronics add, pixel by pixel.

Source of the definitions and constants: Hendrycks & Dietterich, arXiv 1903.12261, as published for CIFAR-10-C and
ImageNet-C.
"""

import functools
import math

import numpy as np
import torch
from torch import Tensor

from groupnl.corruptions.levels import TOP_LEVEL, to_levels, to_unit


def gaussian_noise(images: Tensor, *, noise: Tensor, scale: float) -> Tensor:
    """Electronic noise: ``x + scale * noise``.

    Args:
        images: uint8, shape (N, C, H, W).
        noise: Standard normal draws, float64, the same shape.
        scale: Standard deviation, in units of the full range.

    Returns:
        uint8, the same shape.
    """
    return to_levels(to_unit(images).add_(noise * scale))


def impulse_noise(images: Tensor, *, fractions: Tensor, amount: float) -> Tensor:
    """Bit errors, as salt and pepper: a value turns white below ``amount / 2``, black below ``amount``.

    Args:
        images: uint8, shape (N, C, H, W).
        fractions: Uniform draws in (0, 1), float64, the same shape: the channels of a pixel go wrong independently.
        amount: Share of the values that turn, half of them white.

    Returns:
        uint8, the same shape.
    """
    corrupted = to_levels(to_unit(images)).masked_fill_(fractions <= amount, 0)
    return corrupted.masked_fill_(fractions <= amount / 2, TOP_LEVEL)


def speckle_noise(images: Tensor, *, noise: Tensor, scale: float) -> Tensor:
    """Noise that grows with the light: ``x + x * scale * noise``.

    Args:
        images: uint8, shape (N, C, H, W).
        noise: Standard normal draws, float64, the same shape.
        scale: Standard deviation, in units of the value itself.

    Returns:
        uint8, the same shape.
    """
    unit = to_unit(images)
    return to_levels((noise * scale).mul_(unit).add_(unit))


def shot_noise(images: Tensor, *, fractions: Tensor, photons: float) -> Tensor:
    """Photon noise: ``Poisson(x * photons) / photons``, the count being the Poisson quantile of a uniform draw.

    There are 256 levels, hence 256 distributions: a table per ``photons`` answers nearly every draw with one
    look-up, and the few draws that fall into a cell with a step of the distribution are searched for exactly.

    Args:
        images: uint8, shape (N, C, H, W).
        fractions: Uniform draws in (0, 1), float64, the same shape.
        photons: Expected count of a white pixel; fewer photons, more noise.

    Returns:
        uint8, the same shape.
    """
    steps, outputs, cells = (table.to(images.device) for table in _poisson_tables(photons))
    levels = images.reshape(-1).to(torch.int64)
    draws = fractions.reshape(-1)
    corrupted = cells[levels * _CELLS + (draws * _CELLS).to(torch.int64)]
    unsettled = (corrupted < 0).nonzero().squeeze(1)
    at = levels[unsettled]
    counts = torch.searchsorted(steps, at.to(torch.float64) + draws[unsettled]) - at * (len(outputs) - 1)
    corrupted[unsettled] = outputs[counts]
    return corrupted.to(torch.uint8).reshape(images.shape)


_CELLS = 4096  # cells of (0, 1) in the look-up table, a power of 2 so that the cell of a draw is exact


@functools.lru_cache(maxsize=16)
def _poisson_tables(photons: float) -> tuple[Tensor, Tensor, Tensor]:
    """Tables of Poisson(level / 255 * photons) for the 256 levels, cut where the picture saturates.

    Returns:
        The distribution functions P(count <= k), k = 0 .. K - 1, float64 of shape (256 K,), that of level l raised
        by l so that the whole is sorted; the output level of each count 0 .. K, int16; and the output level of each
        (level, cell), int16 of shape (256 * 4096,), -1 where a step falls inside the cell.
    """
    saturated = math.ceil(photons)  # this count and all above are white
    mean = np.arange(TOP_LEVEL + 1) / TOP_LEVEL * photons
    probability = np.exp(-mean)
    distribution = np.empty((TOP_LEVEL + 1, saturated))
    distribution[:, 0] = probability
    for count in range(1, saturated):
        probability = probability * mean / count
        distribution[:, count] = distribution[:, count - 1] + probability
    np.minimum(distribution, 1.0, out=distribution)
    outputs = (np.clip(np.arange(saturated + 1) / photons, 0, 1) * TOP_LEVEL).astype(np.int16)
    cells = np.empty((TOP_LEVEL + 1, _CELLS), np.int16)
    edges = np.arange(_CELLS + 1) / _CELLS
    for level, steps in enumerate(distribution):
        at_edge = outputs[np.searchsorted(steps, edges)]
        cells[level] = np.where(at_edge[1:] == at_edge[:-1], at_edge[1:], -1)
    raised = distribution + np.arange(TOP_LEVEL + 1)[:, None]
    return torch.from_numpy(raised.reshape(-1)), torch.from_numpy(outputs), torch.from_numpy(cells.reshape(-1))
