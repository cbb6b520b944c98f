"""Spatter: drops of water, or of mud, on the lens.

Source of the definition and constants: Hendrycks & Dietterich, arXiv 1903.12261, as published for CIFAR-10-C and
ImageNet-C. The picture is float32 throughout, as published; the filters are OpenCV's, written in torch.
"""

import torch
from torch import Tensor

from groupnl.corruptions.canny import CHAMFER_ONE, canny, distance_to
from groupnl.corruptions.edges import mirror_about_pixels
from groupnl.corruptions.filters import gaussian_filter
from groupnl.corruptions.levels import TOP_LEVEL, divide, to_levels

_TURQUOISE = (175, 238, 238)  # of water, RGB
_BROWN = (63, 42, 20)  # of mud, RGB
_FARTHEST = 20  # pixels from the rim of a drop up to which it is shaded
_SHADE = ((-2, -1, 0), (-1, 1, 1), (0, 1, 2))  # light from the upper left
_ONES = ((1, 1, 1),) * 3
_MUD_EDGE = 0.8  # what is less of a blurred blot is no mud


def spatter(
    images: Tensor,
    *,
    noise: Tensor,
    mean: float,
    scale: float,
    sigma: float,
    threshold: float,
    strength: float,
    mud: int,
) -> Tensor:
    """Drops are what exceeds a threshold in blurred noise: water shines in the shade of its rim, mud covers.

    A picture on which no drop falls stays as it is (the published generators would divide 0 by 0 and make it black).

    Args:
        images: uint8 RGB, shape (N, 3, H, W).
        noise: Standard normal draws, float64, shape (N, H, W).
        mean: Of the noise, in units of the full range.
        scale: Standard deviation of the noise, in the same units.
        sigma: Of the blur that makes drops of noise, in pixels.
        threshold: What is below is dry.
        strength: Of water: its brightest value. Of mud: sigma of the blur of its blots, in pixels.
        mud: 1 for mud, 0 for water.

    Returns:
        uint8, the same shape.
    """
    liquid = gaussian_filter((noise * scale).add_(mean), sigma=sigma)
    unit = divide(images.to(torch.float32), TOP_LEVEL)
    if mud:
        cover = gaussian_filter((liquid > threshold).to(torch.float32), sigma=strength)
        cover = cover.masked_fill_(cover < _MUD_EDGE, 0.0).unsqueeze(1)
        mixed = unit.mul_(1.0 - cover).add_(cover * _colour(_BROWN, images.device))
    else:
        shine = _shine(liquid.masked_fill_(liquid < threshold, 0.0)).mul_(strength).unsqueeze(1)
        mixed = unit.add_(shine * _colour(_TURQUOISE, images.device))
    return to_levels(mixed)


def _colour(levels: tuple[int, int, int], device: torch.device) -> Tensor:
    """A colour in [0, 1], float32 of shape (3, 1, 1)."""
    return torch.tensor([level / TOP_LEVEL for level in levels], dtype=torch.float32, device=device).reshape(3, 1, 1)


def _shine(liquid: Tensor) -> Tensor:
    """How brightly the water shines, in [0, 1]: its height times the shade of its distance to the nearest rim.

    Args:
        liquid: Heights, 0 where it is dry, float64 of shape (N, H, W).

    Returns:
        float32, the same shape.
    """
    heights = (liquid * TOP_LEVEL).to(torch.int32).remainder_(256)  # the published cast to 8 bits wraps around
    rims = canny(heights.to(torch.uint8), low=50, high=150)
    distances = distance_to(rims, farthest=_FARTHEST)
    near = correlate(distances, _ONES).div_(9 * CHAMFER_ONE, rounding_mode="floor")  # the mean, in whole pixels
    shade = correlate(equalize(near, levels=_FARTHEST + 1), _SHADE).clamp_(0, TOP_LEVEL)
    soft = correlate(shade, _ONES).mul_(2).add_(9).div_(18, rounding_mode="floor")  # to the nearest level
    bright = (heights * soft).to(torch.float32)
    brightest = bright.amax((1, 2), keepdim=True)
    return bright / brightest.masked_fill(brightest == 0, 1.0)


def correlate(values: Tensor, kernel: tuple[tuple[int, ...], ...]) -> Tensor:
    """Correlate with a 3x3 kernel of integers, the picture mirrored about its edge pixels (``b | a b c | b``).

    Args:
        values: Integers, shape (N, H, W).
        kernel: Rows of weights.
    """
    height, width = values.shape[-2:]
    padded = mirror_about_pixels(mirror_about_pixels(values, 1, 1, 1), 2, 1, 1)
    total = torch.zeros_like(values)
    for dy, row in enumerate(kernel):
        for dx, weight in enumerate(row):
            if weight:
                total += padded[:, dy : dy + height, dx : dx + width] * weight
    return total


def equalize(values: Tensor, *, levels: int) -> Tensor:
    """Spread each picture's levels so that they are used equally often, from 0 to 255; a flat picture stays flat.

    Args:
        values: Integers from 0 to ``levels - 1``, shape (N, H, W).
        levels: How many levels there may be.

    Returns:
        int32, the same shape.
    """
    flat_values = values.reshape(len(values), -1).to(torch.int64)
    own = torch.arange(len(values), device=values.device).unsqueeze(1) * levels  # a picture's place in the long count
    counts = torch.bincount((flat_values + own).reshape(-1), minlength=len(values) * levels).reshape(-1, levels)
    sums = counts.cumsum(1)
    total = values.shape[1] * values.shape[2]
    lowest = counts.gather(1, (counts > 0).to(torch.int64).argmax(1, keepdim=True))
    rest = total - lowest
    flat = rest == 0
    scale = torch.full((), TOP_LEVEL, dtype=torch.float32, device=values.device) / rest.masked_fill(flat, 1)
    spread = ((sums - lowest).to(torch.float32) * scale).round_().clamp_(0, TOP_LEVEL).to(torch.int32)
    table = torch.where(flat, torch.arange(levels, dtype=torch.int32, device=values.device), spread)
    return table.gather(1, flat_values).reshape(values.shape)
