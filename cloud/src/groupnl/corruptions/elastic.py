"""Elastic transform: a picture as on rubber, first sheared as a whole, then pulled about pixel by pixel.

Source of the definition and constants: Hendrycks & Dietterich, arXiv 1903.12261, as published for CIFAR-10-C and
ImageNet-C. The picture is float32 throughout, as published.
"""

import torch
from torch import Tensor

from groupnl.corruptions.filters import gaussian_filter
from groupnl.corruptions.levels import TOP_LEVEL, divide, to_levels

_SUBPIXELS = 32  # OpenCV's warpAffine reads a picture at multiples of 1/32 pixel
_FRACTION_BITS = 10  # of its fixed-point coordinates


def elastic_transform(
    images: Tensor, *, corners: Tensor, pulls: Tensor, alpha: float, sigma: float, jitter: float
) -> Tensor:
    """A random affine map, then a smooth random displacement; what lies beyond the border is mirrored.

    Args:
        images: uint8, shape (N, C, H, W).
        corners: Uniform draws in (0, 1), float64, shape (N, 3, 2): by how much the three corners of a triangle in
            the middle move in x and y.
        pulls: Uniform draws in (0, 1), float64, shape (N, 2, H, W): displacements in x and y, before smoothing.
        alpha: The smoothed displacement of a draw of 1, in pixels.
        sigma: Of the Gaussian that smooths the displacements, in pixels; 0 for none.
        jitter: Farthest move of a corner, in pixels.

    Returns:
        uint8, the same shape.
    """
    unit = divide(images.to(torch.float32), TOP_LEVEL)
    sheared = warp_affine(unit, triangle_map(corners, images.shape[-2], images.shape[-1], jitter))
    moves = gaussian_filter((pulls * 2.0).sub_(1.0), sigma=sigma, truncate=3.0, border="mirror")
    moved = displace(sheared, moves.mul_(alpha).to(torch.float32)) if alpha else sheared
    return to_levels(moved)


def triangle_map(corners: Tensor, height: int, width: int, jitter: float) -> Tensor:
    """The affine map of three corners of the middle square to where the draws move them.

    Args:
        corners: Uniform draws in (0, 1), float64, shape (N, 3, 2), last axis (x, y).
        height: Of the picture.
        width: Of the picture.
        jitter: Farthest move, in pixels.

    Returns:
        Rows ``(a, b, c)`` of ``x' = a x + b y + c`` and of y', float64 of shape (N, 2, 3).
    """
    centre_x, centre_y, side = width // 2, height // 2, max(1, min(height, width) // 3)
    right, left = centre_x + side, centre_x - side
    low, high = centre_y + side, centre_y - side
    start = torch.tensor([[right, low], [right, high], [left, high]], dtype=torch.float32, device=corners.device)
    shift = (corners * (jitter - -jitter)).add_(-jitter).to(torch.float32)
    moved = (start + shift).to(torch.float64)
    by_x = divide(moved[:, 1] - moved[:, 2], 2 * side)
    by_y = divide(moved[:, 0] - moved[:, 1], 2 * side)
    constant = moved[:, 2] - by_x * left - by_y * high
    return torch.stack((by_x, by_y, constant), 2)


def warp_affine(images: Tensor, maps: Tensor) -> Tensor:
    """Move every picture by its map, as OpenCV's ``warpAffine``: linear, at 1/32 pixel, the border mirrored.

    Args:
        images: float32, shape (N, C, H, W).
        maps: From the picture to the result, float64, shape (N, 2, 3).

    Returns:
        float32, the same shape.
    """
    height, width = images.shape[-2:]
    a, b, c, d, e, f = (part.reshape(-1, 1) for part in maps.reshape(-1, 6).unbind(1))
    determinant = a * e - b * d
    inverse = torch.where(determinant == 0, 0.0, 1.0 / determinant)
    a, b, d, e = e * inverse, -b * inverse, -d * inverse, a * inverse
    c, f = -a * c - b * f, -d * c - e * f
    x = torch.arange(width, dtype=torch.float64, device=images.device)
    y = torch.arange(height, dtype=torch.float64, device=images.device)
    at_x = _fixed(a * x).unsqueeze(1) + _fixed(b * y + c).unsqueeze(2)
    at_y = _fixed(d * x).unsqueeze(1) + _fixed(e * y + f).unsqueeze(2)
    half = 1 << (_FRACTION_BITS - 6)  # half of 1/32 pixel, so that the shift rounds
    at_x, at_y = (at_x + half) >> (_FRACTION_BITS - 5), (at_y + half) >> (_FRACTION_BITS - 5)
    left, top = at_x >> 5, at_y >> 5
    part_x, part_y = ((at & (_SUBPIXELS - 1)).to(torch.float32).mul_(1.0 / _SUBPIXELS) for at in (at_x, at_y))
    rows = [_mirror(top + step, height) * width for step in (0, 1)]
    columns = [_mirror(left + step, width) for step in (0, 1)]
    weights_y, weights_x = (1.0 - part_y, part_y), (1.0 - part_x, part_x)
    total = torch.zeros_like(images)
    for row, weight_y in zip(rows, weights_y, strict=True):
        for column, weight_x in zip(columns, weights_x, strict=True):
            total += _pick(images, row + column).mul_((weight_y * weight_x).unsqueeze(1))
    return total


def _fixed(coordinates: Tensor) -> Tensor:
    """Coordinates as integers in units of 2**-10 pixel."""
    return (coordinates * (1 << _FRACTION_BITS)).round_().to(torch.int64)


def _mirror(places: Tensor, size: int) -> Tensor:
    """The pixel at each place, the picture mirrored about its edge pixels: ``c b | a b c | b a``."""
    period = max(2 * (size - 1), 1)
    phase = places.remainder(period)
    return torch.minimum(phase, period - phase) if size > 1 else torch.zeros_like(places)


def displace(images: Tensor, moves: Tensor) -> Tensor:
    """Read every pixel at its place plus its move, linearly; the picture mirrored, edge pixel included, at its border.

    Args:
        images: float32, shape (N, C, H, W); the sums are float64.
        moves: In x and y, in pixels, float32, shape (N, 2, H, W).

    Returns:
        float32, the same shape as ``images``.
    """
    height, width = images.shape[-2:]
    y = torch.arange(height, dtype=torch.float64, device=images.device).reshape(1, -1, 1) + moves[:, 1]
    x = torch.arange(width, dtype=torch.float64, device=images.device) + moves[:, 0]
    rows, weights_y = _taps(y, height)
    columns, weights_x = _taps(x, width)
    total = torch.zeros(images.shape, dtype=torch.float64, device=images.device)
    for row, weight_y in zip(rows, weights_y, strict=True):
        for column, weight_x in zip(columns, weights_x, strict=True):
            taken = _pick(images, row * width + column).to(torch.float64)
            total += taken.mul_(weight_y.unsqueeze(1)).mul_(weight_x.unsqueeze(1))
    return total.to(torch.float32)


def _taps(places: Tensor, size: int) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """The two pixels about each place, and their weights; ``b a | a b c | c b`` beyond the border."""
    period = 2 * size
    inside = torch.where(places < 0, -1.0 - places, places)
    whole = inside.floor()
    part = inside - whole
    near = whole.to(torch.int64).remainder_(period)
    far = near + 1
    far.masked_fill_(far == period, 0)
    fold = 2 * size - 1
    return (torch.minimum(near, fold - near), torch.minimum(far, fold - far)), (1.0 - part, part)


def _pick(images: Tensor, places: Tensor) -> Tensor:
    """The pixels of every channel at places (N, H, W) counted along the rows."""
    count, channels, height, width = images.shape
    flat = places.reshape(count, 1, height * width).expand(count, channels, height * width)
    return images.reshape(count, channels, height * width).gather(2, flat).reshape(images.shape)
