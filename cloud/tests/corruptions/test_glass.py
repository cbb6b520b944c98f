import numpy as np
import pytest
import scipy.ndimage
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from groupnl.corruptions.glass import glass_blur

STEPS = [(0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2)]
STEPS += [(0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2)]


def blurred(pixels: np.ndarray, sigma: float) -> np.ndarray:
    return scipy.ndimage.gaussian_filter(pixels / 255.0, (sigma, sigma, 0), mode="nearest", truncate=4)


def slow_glass(pixels: np.ndarray, draws: np.ndarray, sigma: float, reach: int) -> np.ndarray:
    """The definition, one visit after the other, on (H, W, 3), with the views that the published code swaps."""
    height, width, _ = pixels.shape
    pixels = np.uint8(blurred(pixels, sigma) * 255)
    for shuffle in draws:
        for row, h in zip(shuffle, range(height - reach, reach, -1), strict=True):
            for (right, down), w in zip(row, range(width - reach, reach, -1), strict=True):
                pixels[h, w], pixels[h + down, w + right] = pixels[h + down, w + right], pixels[h, w]
    return np.uint8(np.clip(blurred(pixels, sigma), 0, 1) * 255)


def draw(rng: np.random.Generator, count: int, height: int, width: int, reach: int, iterations: int) -> np.ndarray:
    shape = (count, iterations, max(height - 2 * reach, 0), max(width - 2 * reach, 0), 2)
    return rng.integers(-reach, reach, shape)


def test_swapping_two_views_copies_one_way() -> None:
    pixels = np.array([[[1, 2, 3], [7, 8, 9]]])
    pixels[0, 0], pixels[0, 1] = pixels[0, 1], pixels[0, 0]
    assert pixels.tolist() == [[[7, 8, 9], [7, 8, 9]]]


@pytest.mark.parametrize(("sigma", "reach", "iterations"), STEPS)
def test_glass_blur_is_its_definition_on_the_same_draws(
    pictures: Tensor, sigma: float, reach: int, iterations: int
) -> None:
    some = pictures[[2, 17, 28, 33]]
    offsets = draw(np.random.default_rng(4), len(some), *some.shape[2:], reach, iterations)
    found = glass_blur(some, offsets=torch.from_numpy(offsets), sigma=sigma, reach=reach, iterations=iterations)
    for picture, draws, result in zip(some.permute(0, 2, 3, 1).numpy(), offsets, found, strict=True):
        assert np.array_equal(result.permute(1, 2, 0).numpy(), slow_glass(picture, draws, sigma, reach))


@settings(deadline=None, max_examples=40)
@given(
    height=st.integers(1, 13),
    width=st.integers(1, 13),
    reach=st.integers(1, 4),
    iterations=st.integers(1, 3),
    seed=st.integers(0, 99),
)
def test_the_shuffle_at_any_size(height: int, width: int, reach: int, iterations: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    levels = rng.integers(0, 256, (2, 3, height, width)).astype(np.uint8)
    offsets = draw(rng, 2, height, width, reach, iterations)
    found = glass_blur(
        torch.from_numpy(levels), offsets=torch.from_numpy(offsets), sigma=0.05, reach=reach, iterations=iterations
    )
    for picture, draws, result in zip(levels.transpose(0, 2, 3, 1), offsets, found, strict=True):
        assert np.array_equal(result.permute(1, 2, 0).numpy(), slow_glass(picture, draws, 0.05, reach))


@pytest.mark.parametrize("right", [-3, 2])
def test_the_longest_chain_of_copies(right: int) -> None:
    # All neighbours on one side: to the left every pixel moves by 3, to the right the last value runs along the row.
    levels = torch.arange(40, dtype=torch.uint8).reshape(1, 1, 1, 40).expand(1, 3, 12, 40).contiguous()
    offsets = torch.tensor([right, 0]).expand(1, 1, 12 - 6, 40 - 6, 2)
    row = glass_blur(levels, offsets=offsets, sigma=0.05, reach=3, iterations=1)[0, 0, 6].tolist()
    copied = list(range(1, 35)) if right < 0 else [38, 39] * 17
    assert row[4:38] == copied
    assert row[:4] == [0, 1, 2, 3]
    assert row[38:] == [38, 39]
