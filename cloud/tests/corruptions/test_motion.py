import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from groupnl.corruptions.motion import motion_blur, motion_blur_levels

STEPS = [(6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5), (10, 3), (15, 5), (15, 8), (15, 12), (20, 15)]


def slow_smear(channel: np.ndarray, angle: float, radius: int, sigma: float) -> np.ndarray:
    """The definition, pixel by pixel: step by step along the angle, the edge repeated, rounded to 16 bits, cut to 8."""
    height, width = channel.shape
    bell = np.exp(-(np.arange(2 * radius + 1) ** 2) / (2 * sigma**2))
    bell /= bell.sum()
    turn = math.radians(angle)
    smeared = np.empty_like(channel)
    for y in range(height):
        for x in range(width):
            quanta = 0.0
            for step, weight in enumerate(bell):
                right, down = math.ceil(step * math.cos(turn) - 0.5), math.ceil(step * math.sin(turn) - 0.5)
                row, column = min(max(y + down, 0), height - 1), min(max(x + right, 0), width - 1)
                quanta += weight * int(channel[row, column]) * 257
            smeared[y, x] = math.floor(quanta + 0.5) // 257
    return smeared


@pytest.mark.parametrize(("radius", "sigma"), STEPS)
def test_motion_blur_is_its_definition(pictures: Tensor, radius: int, sigma: float) -> None:
    some = pictures[[3, 13, 25, 35], :, :14, :19]
    angles = torch.tensor([-44.9, -12.34, 7.7, 31.0], dtype=torch.float64)
    blurred = motion_blur(some, angles=angles, radius=radius, sigma=sigma)
    assert blurred.dtype == torch.uint8
    for picture, angle, found in zip(some.numpy(), angles.tolist(), blurred.numpy(), strict=True):
        for channel, smeared in zip(picture, found, strict=True):
            assert np.array_equal(smeared, slow_smear(channel, angle, radius, sigma))


@settings(deadline=None, max_examples=20)
@given(
    angle=st.floats(-180, 180),
    height=st.integers(1, 6),
    width=st.integers(1, 6),
    step=st.sampled_from([(6, 1), (2, 9)]),
)
def test_any_angle_and_pictures_smaller_than_the_smear(
    angle: float, height: int, width: int, step: tuple[int, float]
) -> None:
    levels = torch.randint(
        0, 256, (1, 1, height, width), dtype=torch.uint8, generator=torch.Generator().manual_seed(height * 9 + width)
    )
    found = motion_blur_levels(levels, torch.tensor([angle], dtype=torch.float64), radius=step[0], sigma=step[1])
    difference = found[0, 0].numpy().astype(int) - slow_smear(levels[0, 0].numpy(), angle, *step)
    on_a_tie = any(abs(i * f(math.radians(angle)) % 1 - 0.5) < 1e-9 for i in range(13) for f in (math.cos, math.sin))
    assert on_a_tie or not difference.any()


def test_a_smear_to_the_right_by_hand() -> None:
    bell = [math.exp(-step * step / 2) for step in range(3)]
    row = [0, 255, 0, 0, 100]
    exact = [sum(w * row[min(x + step, 4)] for step, w in enumerate(bell)) / sum(bell) for x in range(5)]
    levels = torch.tensor(row, dtype=torch.uint8).reshape(1, 1, 1, 5)
    smeared = motion_blur_levels(levels, torch.zeros(1, dtype=torch.float64), radius=1, sigma=1)
    assert smeared.flatten().tolist() == [math.floor(value * 257 + 0.5) // 257 for value in exact]


def test_every_flat_picture_stays_as_it_is() -> None:
    levels = torch.arange(256, dtype=torch.uint8).reshape(-1, 1, 1, 1).expand(-1, 3, 5, 7)
    angles = torch.linspace(-135, 45, 256, dtype=torch.float64)
    assert torch.equal(motion_blur_levels(levels, angles, radius=9, sigma=2.5), levels)


def test_rounding_before_the_cut_is_what_keeps_a_level() -> None:
    # A mean that misses a whole level by less than half a quantum still counts as that level.
    weights = [Fraction(math.exp(-step * step / 2)) for step in range(13)]
    assert sum(weights) * 200 / sum(weights) == 200
    levels = torch.full((1, 1, 3, 30), 200, dtype=torch.uint8)
    assert motion_blur_levels(
        levels, torch.tensor([10.0], dtype=torch.float64), radius=6, sigma=1
    ).unique().tolist() == [200]
