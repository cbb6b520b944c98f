import numpy as np
import pytest
import scipy.ndimage
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from groupnl.corruptions.zoom import clipped_zoom, zoom_blur

STEPS = [(1.06, 0.01), (1.11, 0.01), (1.16, 0.01), (1.21, 0.01), (1.26, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03)]


def with_scipy(pixels: np.ndarray, factor: float) -> np.ndarray:
    """The definition, on (H, W, C): crop the middle, enlarge it, trim what is too much."""
    height, width, _ = pixels.shape
    rows, columns = int(np.ceil(height / factor)), int(np.ceil(width / factor))
    top, left = (height - rows) // 2, (width - columns) // 2
    grown = scipy.ndimage.zoom(pixels[top : top + rows, left : left + columns], (factor, factor, 1), order=1)
    top, left = (grown.shape[0] - height) // 2, (grown.shape[1] - width) // 2
    return grown[top : top + height, left : left + width]


def slow_zoom_blur(pixels: np.ndarray, stop: float, step: float) -> np.ndarray:
    unit = (pixels / 255.0).astype(np.float32)
    total = np.zeros_like(unit)
    factors = np.arange(1, stop, step)
    for factor in factors:
        total += with_scipy(unit, factor)
    return np.uint8(np.clip((unit + total) / (len(factors) + 1), 0, 1) * 255)


@pytest.mark.parametrize(("stop", "step"), STEPS)
def test_zoom_blur_is_its_definition(pictures: Tensor, stop: float, step: float) -> None:
    found = zoom_blur(pictures[::3], stop=stop, step=step)
    assert found.is_contiguous()
    for picture, result in zip(pictures[::3], found, strict=True):
        expected = slow_zoom_blur(picture.permute(1, 2, 0).numpy(), stop, step)
        assert np.array_equal(result.permute(1, 2, 0).numpy(), expected)


@pytest.mark.parametrize("size", [32, 64, 224])
def test_zoom_blur_at_the_sizes_of_the_benchmarks(size: int) -> None:
    generator = torch.Generator().manual_seed(size)
    noise = torch.randint(0, 256, (3, size, size), dtype=torch.uint8, generator=generator)
    flat = torch.randint(0, 256, (3, 1, 1), dtype=torch.uint8, generator=generator).expand(3, size, size)
    for picture in (noise, flat):
        expected = slow_zoom_blur(picture.permute(1, 2, 0).numpy(), 1.16, 0.01)
        found = zoom_blur(picture.unsqueeze(0), stop=1.16, step=0.01)[0].permute(1, 2, 0).numpy()
        assert np.array_equal(found, expected)


@settings(deadline=None, max_examples=60)
@given(height=st.integers(1, 70), width=st.integers(1, 70), factor=st.floats(1, 5))
def test_clipped_zoom_equals_scipy_at_any_size(height: int, width: int, factor: float) -> None:
    layers = np.random.default_rng(height * 100 + width).standard_normal((2, 1, height, width))
    found = clipped_zoom(torch.from_numpy(layers), factor).numpy()
    for layer, result in zip(layers, found, strict=True):
        np.testing.assert_allclose(result[0], with_scipy(layer[0][..., None], factor)[..., 0], rtol=0, atol=1e-13)


def test_the_factors_reach_the_stop_through_rounding() -> None:
    assert len(np.arange(1, 1.06, 0.01)) == 7


@pytest.mark.parametrize(("size", "factor"), [(26, 1.75), (36, 1.2), (42, 1.75), (71, 1.21)])
def test_a_last_position_rounded_beyond_the_picture_reads_nothing(size: int, factor: float) -> None:
    layer = np.ones((size, size, 1))
    expected = with_scipy(layer, factor)[..., 0]
    assert (expected[-1] == 0).all()
    found = clipped_zoom(torch.ones(1, 1, size, size, dtype=torch.float64), factor)[0, 0].numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13)
