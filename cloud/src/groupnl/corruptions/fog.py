"""Fog: a cloudy, periodic height map between the picture and its viewer.

Source of the definition and constants: Hendrycks & Dietterich, arXiv 1903.12261, as published for CIFAR-10-C and
ImageNet-C.
"""

from torch import Tensor

from groupnl.corruptions.levels import to_levels, to_unit

_FIRST_RANGE = 100.0  # half the range of the first random step, and its factor too, as published


def fog(images: Tensor, *, fractions: Tensor, amount: float, decay: float) -> Tensor:
    """Mist: ``(x + amount * map) * top / (top + amount)``, ``top`` the picture's brightest value.

    Args:
        images: uint8, shape (N, C, H, W).
        fractions: Uniform draws in (0, 1), float64, shape (N, S * S - 1) with S = :func:`map_size`.
        amount: Thickness of the fog, in units of the full range.
        decay: How much smoother the map is at half the distance; smaller is rougher.

    Returns:
        uint8, the same shape.
    """
    height, width = images.shape[-2:]
    unit = to_unit(images)
    top = unit.amax((1, 2, 3), keepdim=True)
    heights = height_map(fractions, map_size(height, width), decay)[:, None, :height, :width]
    return to_levels(unit.add_(heights.mul_(amount)).mul_(top).div_(top + amount))


def map_size(height: int, width: int) -> int:
    """Side of the map: the next power of two, at least 2; the picture is its upper left corner."""
    return max(2, 1 << (max(height, width) - 1).bit_length())


def height_map(fractions: Tensor, size: int, decay: float) -> Tensor:
    """The diamond-square algorithm on a torus, scaled to [0, 1].

    From one corner at height 0, each round halves the distance: first the centre of every square is the mean of its
    corners plus a random step, then the centre of every edge the mean of the four points about it plus one.

    Args:
        fractions: Uniform draws, float64, shape (N, size * size - 1), in the order in which the points are filled.
        size: Side of the map, a power of two, at least 2.
        decay: Divides the range of the random steps after each round.

    Returns:
        float64, shape (N, size, size).
    """
    count = len(fractions)
    heights = fractions.new_zeros((count, size, size))
    used, step, half_range = 0, size, _FIRST_RANGE
    while step >= 2:
        half, side = step // 2, size // step
        low, span = -half_range, half_range - -half_range
        draws = fractions[:, used : used + 3 * side * side].reshape(count, 3, side, side)
        steps = (draws * span).add_(low).mul_(half_range)
        corners = heights[:, ::step, ::step]
        pairs = corners + corners.roll(-1, 1)
        centres = (pairs + pairs.roll(-1, 2)).div_(4).add_(steps[:, 0])
        heights[:, half::step, half::step] = centres
        across = (centres + centres.roll(1, 1)) + (corners + corners.roll(-1, 2))
        heights[:, ::step, half::step] = across.div_(4).add_(steps[:, 1])
        down = (centres + centres.roll(1, 2)) + (corners + corners.roll(-1, 1))
        heights[:, half::step, ::step] = down.div_(4).add_(steps[:, 2])
        used, step, half_range = used + 3 * side * side, half, half_range / decay
    heights -= heights.amin((1, 2), keepdim=True)
    return heights.div_(heights.amax((1, 2), keepdim=True))
