"""Edges of a grey picture, and how far each pixel is from one: integers throughout, batched, as OpenCV finds them."""

import torch
from torch import Tensor
from torch.nn.functional import pad

from groupnl.corruptions.edges import repeat_edges

_TAN_22 = 13573  # tan(22.5 degrees) in units of 2**-15, rounded, as in OpenCV's Canny

CHAMFER_ONE = 10_000  # units of a chamfer distance in one pixel
_CHAMFER_STEPS = (  # length of a step, and the steps (dy, dx) that have it, one of each pair of opposites
    (10_000, ((0, 1), (1, 0))),
    (14_000, ((1, 1), (1, -1))),
    (21_969, ((1, 2), (1, -2), (2, 1), (2, -1))),
)


def canny(levels: Tensor, *, low: int, high: int) -> Tensor:
    """Canny's edges: 3x3 Sobel, the sum of absolute derivatives, non-maximum suppression, hysteresis.

    Args:
        levels: uint8, shape (N, H, W); beyond the border the edge pixel is repeated.
        low: A pixel with a gradient up to this is no edge.
        high: A pixel with a gradient above this is one, and so is a local maximum above ``low`` that hangs together
            with it.

    Returns:
        bool, the same shape.
    """
    right, down = _sobel(levels)
    steepness = right.abs() + down.abs()
    thin = _thin(steepness, right, down) & (steepness > low)
    return _grow(thin & (steepness > high), thin)


def _sobel(levels: Tensor) -> tuple[Tensor, Tensor]:
    """Derivatives in x and y, int32."""
    padded = repeat_edges(repeat_edges(levels.to(torch.int32), 1, 1, 1), 2, 1, 1)
    above, middle, below = padded[:, :-2], padded[:, 1:-1], padded[:, 2:]
    smooth, slope = above + 2 * middle + below, below - above
    right = smooth[:, :, 2:] - smooth[:, :, :-2]
    down = slope[:, :, :-2] + 2 * slope[:, :, 1:-1] + slope[:, :, 2:]
    return right, down


def _thin(steepness: Tensor, right: Tensor, down: Tensor) -> Tensor:
    """Where the gradient is a maximum along its own direction, to 45 degrees; a tie counts for the later pixel only."""
    padded = pad(steepness, (1, 1, 1, 1))
    height, width = steepness.shape[-2:]

    def neighbour(dy: int, dx: int) -> Tensor:
        return padded[:, 1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width]

    along = right.abs().to(torch.int64) * _TAN_22
    across = down.abs().to(torch.int64) << 15
    flat = across < along
    steep = across > along + (right.abs().to(torch.int64) << 16)  # tan(67.5 degrees) = tan(22.5 degrees) + 2
    level = (steepness > neighbour(0, -1)) & (steepness >= neighbour(0, 1))
    upright = (steepness > neighbour(-1, 0)) & (steepness >= neighbour(1, 0))
    falling = (steepness > neighbour(-1, -1)) & (steepness > neighbour(1, 1))
    rising = (steepness > neighbour(-1, 1)) & (steepness > neighbour(1, -1))
    slanted = torch.where((right ^ down) < 0, rising, falling)
    return torch.where(flat, level, torch.where(steep, upright, slanted))


def _grow(seeds: Tensor, within: Tensor) -> Tensor:
    """All pixels of a mask that hang together with a seed, corners included."""
    grown = seeds
    while True:
        before = grown
        for _ in range(4):  # looking whether anything changed costs as much as a step
            grown = _thicken(_thicken(grown, 1), 2) & within
        if torch.equal(grown, before):
            return grown


def _thicken(mask: Tensor, axis: int) -> Tensor:
    """Add the neighbours on both sides along an axis."""
    thick = mask.clone()
    rest = mask.shape[axis] - 1
    thick.narrow(axis, 1, rest).logical_or_(mask.narrow(axis, 0, rest))
    thick.narrow(axis, 0, rest).logical_or_(mask.narrow(axis, 1, rest))
    return thick


def distance_to(edges: Tensor, *, farthest: int) -> Tensor:
    """Chamfer distance of every pixel to the nearest edge, by steps of length 1, 1.4 and 2.1969.

    The order of a path's steps does not change its length, so each kind of step is taken as often as it helps, one
    kind after the other, doubling the stride.

    Args:
        edges: bool, shape (N, H, W).
        farthest: In pixels; what is farther, or has no edge at all, gets this.

    Returns:
        In units of 1 / ``CHAMFER_ONE`` pixel, int32, the same shape.
    """
    limit = farthest * CHAMFER_ONE
    distance = torch.where(edges, 0, limit).to(torch.int32)
    for length, directions in _CHAMFER_STEPS:
        for dy, dx in directions:
            stride = 1
            while stride * length < limit:
                distance = _step(distance, dy * stride, dx * stride, length * stride)
                stride *= 2
    return distance


def _step(distance: Tensor, dy: int, dx: int, length: int) -> Tensor:
    """One step of ``length`` each way: the lesser of a pixel's distance and its neighbours' plus the step."""
    height, width = distance.shape[-2:]
    if dy >= height or abs(dx) >= width:
        return distance
    longer = distance + length
    nearer = distance.clone()
    one = (slice(None), slice(0, height - dy), slice(max(0, -dx), width - max(0, dx)))
    other = (slice(None), slice(dy, height), slice(max(0, dx), width - max(0, -dx)))
    torch.minimum(nearer[other], longer[one], out=nearer[other])
    torch.minimum(nearer[one], longer[other], out=nearer[one])
    return nearer
