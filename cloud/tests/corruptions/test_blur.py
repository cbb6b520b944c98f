import math

import numpy as np
import pytest
import scipy.ndimage
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from groupnl.corruptions.blur import defocus_blur, disk_kernel, gaussian_blur

STEPS = [(0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1), (3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5)]


def slow_kernel(radius: float, sigma: float) -> np.ndarray:
    """The definition, tap by tap: hard disk, then a small Gaussian that mirrors the kernel's border; in float32."""
    half, soft = (8, 1) if radius <= 8 else (int(radius), 2)
    size = 2 * half + 1
    inside = [[math.hypot(y - half, x - half) <= radius for x in range(size)] for y in range(size)]
    disk = np.array(inside, np.float32) / np.float32(sum(map(sum, inside)))
    bell = np.array([math.exp(-(t * t) / (2 * sigma * sigma)) for t in range(-soft, soft + 1)])
    bell = (bell / bell.sum()).astype(np.float32)
    soften = scipy.ndimage.correlate1d(disk, bell, axis=1, mode="mirror")
    return scipy.ndimage.correlate1d(soften, bell, axis=0, mode="mirror")


@pytest.mark.parametrize(("radius", "sigma"), STEPS)
def test_kernel(radius: float, sigma: float) -> None:
    kernel = disk_kernel(radius, sigma)
    assert kernel.dtype == np.float32
    np.testing.assert_allclose(kernel, slow_kernel(radius, sigma), rtol=3e-7, atol=1e-12)
    assert np.array_equal(kernel, kernel[::-1])
    np.testing.assert_allclose(kernel, kernel.T, rtol=3e-7)


@pytest.mark.parametrize(("radius", "sigma"), STEPS[:6])
def test_sum_of_the_published_kernel(radius: float, sigma: float) -> None:
    # Sums of OpenCV's kernels (5.0, GaussianBlur of the float32 disk): they decide whether flat areas keep their level.
    published = [1.3969838619232178e-09, 1.862645149230957e-08, 4.470348358154297e-08, 1.807205229908959e-08]
    published += [7.450580596923828e-09, -3.725290298461914e-09]
    assert disk_kernel(radius, sigma).astype(np.float64).sum() - 1 == published[STEPS.index((radius, sigma))]


@pytest.mark.parametrize(("radius", "sigma"), STEPS)
def test_defocus_blur_is_a_correlation_with_mirrored_borders(pictures: Tensor, radius: float, sigma: float) -> None:
    some = pictures[::4]
    kernel = disk_kernel(radius, sigma).astype(np.float64)
    unit = some.numpy() / 255.0
    blurred = np.array([[scipy.ndimage.correlate(c, kernel, mode="mirror") for c in picture] for picture in unit])
    expected = np.uint8(np.clip(blurred, 0, 1) * 255).astype(int)
    difference = np.abs(defocus_blur(some, radius=radius, alias_sigma=sigma).numpy().astype(int) - expected)
    assert difference.max() <= 1
    assert (difference > 0).mean() <= 1e-3


@settings(deadline=None, max_examples=15)
@given(height=st.integers(1, 12), width=st.integers(1, 12), step=st.sampled_from(STEPS[3:]))
def test_pictures_smaller_than_the_kernel(height: int, width: int, step: tuple[float, float]) -> None:
    generator = torch.Generator().manual_seed(height * 100 + width)
    images = torch.randint(0, 256, (2, 3, height, width), dtype=torch.uint8, generator=generator)
    kernel = disk_kernel(*step).astype(np.float64)
    half = len(kernel) // 2
    for picture, blurred in zip(
        images.numpy(), defocus_blur(images, radius=step[0], alias_sigma=step[1]).numpy(), strict=True
    ):
        for before, after in zip(picture, blurred, strict=True):
            # "symmetric about the edge pixel", repeated: numpy's own padding does it for any width, one pixel included
            padded = np.pad(before.astype(np.float64), half, mode="reflect" if min(height, width) > 1 else "edge")
            if min(height, width) == 1 and max(height, width) > 1:
                along = 0 if height > 1 else 1
                padded = np.pad(
                    before.astype(np.float64), [(half, half) if a == along else (0, 0) for a in (0, 1)], "reflect"
                )
                padded = np.pad(padded, [(0, 0) if a == along else (half, half) for a in (0, 1)], "edge")
            windows = np.lib.stride_tricks.sliding_window_view(padded, kernel.shape)
            exact = np.clip((windows * kernel).sum((2, 3)), 0, 255)
            assert np.abs(after - exact + 0.5).max() <= 0.5 + 1e-6


@pytest.mark.parametrize("sigma", [0.4, 0.6, 0.7, 0.8, 1, 2, 3, 4, 6])
def test_gaussian_blur_is_scipys_bit_for_bit(pictures: Tensor, sigma: float) -> None:
    some = torch.cat([pictures[::4], torch.full((1, 3, 27, 34), 77, dtype=torch.uint8)])
    unit = some.numpy() / 255.0
    expected = scipy.ndimage.gaussian_filter(unit, (0, 0, sigma, sigma), mode="nearest", truncate=4)
    assert np.array_equal(gaussian_blur(some, sigma=sigma).numpy(), np.uint8(np.clip(expected, 0, 1) * 255))
