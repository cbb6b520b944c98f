import numpy as np
import pytest
import torch
from torch import Tensor

from groupnl.corruptions import CORRUPTIONS, SEVERITIES
from groupnl.corruptions.fog import fog, height_map, map_size


def slow_height_map(draws: list[float], size: int, decay: float) -> np.ndarray:
    """Diamond-square on a torus, one point at a time."""
    heights = np.zeros((size, size))
    left = iter(draws)
    step, half_range = size, 100.0
    while step >= 2:
        half = step // 2

        def random_step(half_range: float = half_range) -> float:
            return half_range * (-half_range + (half_range + half_range) * next(left))

        def at(y: int, x: int) -> float:
            return float(heights[y % size, x % size])

        for y in range(half, size, step):
            for x in range(half, size, step):
                corners = at(y - half, x - half), at(y - half, x + half), at(y + half, x - half), at(y + half, x + half)
                heights[y, x] = sum(corners) / 4 + random_step()
        for first_y, first_x in ((0, half), (half, 0)):
            for y in range(first_y, size, step):
                for x in range(first_x, size, step):
                    about = at(y - half, x), at(y + half, x), at(y, x - half), at(y, x + half)
                    heights[y, x] = sum(about) / 4 + random_step()
        step, half_range = half, half_range / decay
    heights -= heights.min()
    return heights / heights.max()


@pytest.mark.parametrize("size", [2, 4, 16, 32])
@pytest.mark.parametrize("decay", [3, 1.75, 1.4])
def test_the_map_is_diamond_square(size: int, decay: float) -> None:
    draws = np.random.default_rng(size).random((3, size * size - 1))
    found = height_map(torch.from_numpy(draws), size, decay)
    for map_, own in zip(found.numpy(), draws, strict=True):
        np.testing.assert_allclose(map_, slow_height_map(own.tolist(), size, decay), rtol=0, atol=1e-13)
    assert (found.amin((1, 2)) == 0).all()
    assert (found.amax((1, 2)) == 1).all()


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("variant", ["cifar", "imagenet"])
def test_fog_is_its_definition(pictures: Tensor, severity: int, variant: str) -> None:
    constants = CORRUPTIONS["fog"].constants(variant, severity)  # type: ignore[arg-type]
    images = pictures[::9]
    draws = np.random.default_rng(severity).random((len(images), 64 * 64 - 1))
    found = fog(images, fractions=torch.from_numpy(draws), **constants).permute(0, 2, 3, 1).numpy()
    for picture, corrupted, own in zip(images.permute(0, 2, 3, 1).numpy() / 255.0, found, draws, strict=True):
        mist = slow_height_map(own.tolist(), 64, constants["decay"])[:27, :34, None]
        brightest = picture.max()
        exact = (picture + constants["amount"] * mist) * brightest / (brightest + constants["amount"])
        difference = np.abs(np.uint8(np.clip(exact, 0, 1) * 255).astype(int) - corrupted)
        assert difference.max() <= 1
        assert (difference > 0).mean() < 1e-3


def test_a_black_picture_stays_black() -> None:
    images = torch.zeros(1, 3, 8, 8, dtype=torch.uint8)
    draws = torch.rand(1, 63, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    assert not fog(images, fractions=draws, amount=1.5, decay=2).any()


def test_the_map_is_the_next_power_of_two() -> None:
    sides = [map_size(*size) for size in ((32, 32), (224, 224), (33, 5), (1, 64), (65, 64), (1, 1))]
    assert sides == [32, 256, 64, 64, 128, 2]
