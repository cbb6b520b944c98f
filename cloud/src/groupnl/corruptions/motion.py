"""Motion blur: a picture smeared along one direction, as the program behind the published benchmarks does it.

Source of the definitions and constants: Hendrycks & Dietterich, arXiv 1903.12261, as published for CIFAR-10-C and
ImageNet-C; the smear is ``MotionBlurImage`` of ImageMagick 6 with 16 bits a value.
"""

import math

import torch
from torch import Tensor

from groupnl.corruptions.edges import repeat_edges

_QUANTA = 257  # 16-bit quanta in one 8-bit level


def motion_blur(images: Tensor, *, angles: Tensor, radius: int, sigma: float) -> Tensor:
    """The camera moves while the shutter is open: :func:`motion_blur_levels` of every channel.

    Args:
        images: uint8, shape (N, C, H, W).
        angles: One a picture, in degrees, float64 of shape (N,).
        radius: Half the number of steps of the smear.
        sigma: Of the one-sided Gaussian that weighs the steps, in pixels.

    Returns:
        uint8, the same shape.
    """
    return motion_blur_levels(images, angles, radius=radius, sigma=sigma)


def motion_blur_levels(levels: Tensor, angles: Tensor, *, radius: int, sigma: float) -> Tensor:
    """Smear each picture along its own angle: a pixel is a Gaussian mean of itself and the next ``2 radius`` pixels.

    Step i reads the pixel ``ceil(i cos - 1/2)`` to the right and ``ceil(i sin - 1/2)`` below; outside the picture
    the nearest edge pixel stands in. The mean is rounded to 16 bits, then truncated to 8.

    Args:
        levels: uint8, shape (N, C, H, W).
        angles: In degrees, clockwise from the right, float64 of shape (N,).
        radius: Half the number of steps; the smear has ``2 radius + 1`` pixels.
        sigma: Of the one-sided Gaussian, in pixels.

    Returns:
        uint8, the same shape.
    """
    count, channels, height, width = levels.shape
    weights = _one_sided_bell(2 * radius + 1, sigma)
    right, down = _steps(angles, 2 * radius + 1)
    above, below = _reach(down)
    before, after = _reach(right)
    padded = repeat_edges(repeat_edges(levels, 2, above, below), 3, before, after)
    full_height, full_width = padded.shape[-2:]
    # Every run of `width` neighbours, by where it starts: a shifted picture is then a choice of H runs.
    runs = (padded.to(torch.float64) * _QUANTA).reshape(-1).unfold(0, width, 1)
    plane = torch.arange(count * channels, device=levels.device).reshape(count, channels, 1) * full_height
    first = (plane + torch.arange(above, above + height, device=levels.device)) * full_width + before
    shift = (down * full_width + right).to(levels.device)
    total = torch.zeros(levels.shape, dtype=torch.float64, device=levels.device)
    for step, weight in enumerate(weights):
        total += runs[first + shift[:, step].reshape(-1, 1, 1)].mul_(weight)
    return total.add_(0.5).div_(_QUANTA, rounding_mode="floor").to(torch.uint8)


def _one_sided_bell(size: int, sigma: float) -> list[float]:
    """Weights ``exp(-i^2 / (2 sigma^2))``, i from 0, of sum 1."""
    bell = [
        math.exp(-(step * step) / (2.0 * sigma * sigma)) / (math.sqrt(2.0 * math.pi) * sigma) for step in range(size)
    ]
    whole = sum(bell)
    return [weight / whole for weight in bell]


def _steps(angles: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Pixels to the right and below that each step reads, int64 of shape (N, size), on the CPU.

    Made on the CPU with the C library's sine and cosine, so that the pixels do not depend on the device.
    """
    turns = [math.radians(angle) for angle in angles.tolist()]
    along = torch.tensor([(size * math.cos(turn), size * math.sin(turn)) for turn in turns], dtype=torch.float64)
    along = along.reshape(-1, 2, 1)
    length = torch.tensor([math.hypot(x, y) for x, y in along.squeeze(2).tolist()], dtype=torch.float64)
    pixels = (torch.arange(size, dtype=torch.float64) * along / length.reshape(-1, 1, 1) - 0.5).ceil().to(torch.int64)
    return pixels[:, 0], pixels[:, 1]


def _reach(offsets: Tensor) -> tuple[int, int]:
    """How far the offsets go to the negative and to the positive side."""
    return (max(0, -int(offsets.min())), max(0, int(offsets.max()))) if offsets.numel() else (0, 0)
