"""Patterns for PixMix made from a seed: Julia sets, waves, noise and cells, in random colours; no files."""

import math

import torch
from torch import Tensor

_BANK_BYTES = 2**25
_MOST, _FEWEST = 512, 16
_ESCAPE_STEPS = 40


def mixing_pictures(size: tuple[int, int], generator: torch.Generator) -> Tensor:
    """Make a bank of patterns: 512, or as many as fit in 32 MiB, but at least 16.

    Args:
        size: Height and width, pixels.
        generator: Of the CPU.

    Returns:
        uint8, shape (P, 3, H, W); the four kinds in turn.
    """
    count = max(_FEWEST, min(_MOST, _BANK_BYTES // (3 * size[0] * size[1]))) // 4
    kinds = [kind(count, size, generator) for kind in (_julia_sets, _waves, _noise, _cells)]
    return torch.stack(kinds, 1).flatten(0, 1).mul_(255).round_().to(torch.uint8)


def _julia_sets(count: int, size: tuple[int, int], generator: torch.Generator) -> Tensor:
    """How soon ``z^2 + c`` escapes, c just outside the main cardioid or the circle of the Mandelbrot set."""
    angle = 2 * math.pi * torch.rand(count, generator=generator)
    turn = torch.polar(torch.ones(count), angle)
    cardioid, circle = turn / 2 - turn**2 / 4, turn / 4 - 1
    c = torch.where(torch.rand(count, generator=generator) < 0.7, cardioid, circle)
    c = c * (1 + 0.1 * torch.rand(count, generator=generator))
    y, x = _grid(size)
    zoom = 0.4 + 1.2 * torch.rand(count, 1, 1, generator=generator)
    centre = torch.rand(2, count, 1, 1, generator=generator) - 0.5
    z = torch.complex(zoom * x + centre[0], zoom * y + centre[1])
    steps = torch.zeros(z.shape)
    for _ in range(_ESCAPE_STEPS):
        inside = z.abs() < 4
        z = torch.where(inside, z * z + c.view(-1, 1, 1), z)
        steps += inside
    smooth = steps - torch.log2(z.abs().clamp(min=4).log() / math.log(4))  # no rings: the escape's fraction of a step
    return _coloured(smooth / _ESCAPE_STEPS, generator)


def _waves(count: int, size: tuple[int, int], generator: torch.Generator) -> Tensor:
    """Sums of three plane waves; long ones are gradients, short ones gratings."""
    y, x = _grid(size)
    total = torch.zeros(count, *size)
    for _ in range(3):
        angle, phase = 2 * math.pi * torch.rand(2, count, 1, 1, generator=generator)
        frequency = 0.3 * 30 ** torch.rand(count, 1, 1, generator=generator)
        total += torch.sin(frequency * (x * angle.cos() + y * angle.sin()) + phase)
    return _coloured(total / 6, generator)


def _noise(count: int, size: tuple[int, int], generator: torch.Generator) -> Tensor:
    """Noise whose amplitude falls with the frequency to a power between 0.5 and 2, as in photographs about 1."""
    height, width = size
    frequency = torch.hypot(torch.fft.fftfreq(height).view(-1, 1), torch.fft.rfftfreq(width).view(1, -1))
    power = 0.5 + 1.5 * torch.rand(count, 1, 1, 1, generator=generator)
    white = torch.fft.rfft2(torch.randn(count, 3, height, width, generator=generator))
    colored = torch.fft.irfft2(white * frequency.clamp(min=1 / max(size)) ** -power, s=size)
    low, high = colored.amin((1, 2, 3), keepdim=True), colored.amax((1, 2, 3), keepdim=True)
    stretched: Tensor = (colored - low) / (high - low).clamp(min=1e-6)
    return stretched


def _cells(count: int, size: tuple[int, int], generator: torch.Generator) -> Tensor:
    """Polygons of one colour each: the pixels nearest to each of 24 points."""
    y, x = _grid(size)
    points = 3 * torch.rand(2, count, 24, 1, 1, generator=generator) - 1.5
    colours = torch.rand(count, 3, 24, generator=generator)
    nearest = torch.zeros(count, *size, dtype=torch.int64)
    distance = torch.full((count, *size), math.inf)
    for point in range(24):
        to_point = (x - points[0, :, point]) ** 2 + (y - points[1, :, point]) ** 2
        nearest = torch.where(to_point < distance, point, nearest)
        distance = torch.minimum(distance, to_point)
    return colours.gather(2, nearest.view(count, 1, -1).expand(-1, 3, -1)).view(count, 3, *size)


def _coloured(values: Tensor, generator: torch.Generator) -> Tensor:
    """Values (N, H, W) to colours (N, 3, H, W) in [0, 1], each channel a cosine of its own."""
    speed = 1 + 3 * torch.rand(len(values), 3, 1, 1, generator=generator)
    phase = torch.rand(len(values), 3, 1, 1, generator=generator)
    return 0.5 + 0.5 * torch.cos(2 * math.pi * (speed * values.unsqueeze(1) + phase))


def _grid(size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Rows (H, 1) and columns (1, W) from -1 to 1 along the longer side."""
    longest = max(size)
    y, x = ((torch.arange(side) + 0.5 - side / 2) * (2 / longest) for side in size)
    return y.view(-1, 1), x.view(1, -1)
