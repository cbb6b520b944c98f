from typing import Any

import numpy as np
import pytest
import scipy.ndimage
import torch

from groupnl.corruptions.filters import gaussian_filter

SCIPY_MODE = {"edge": "nearest", "mirror": "reflect"}


@pytest.mark.parametrize("border", ["edge", "mirror"])
@pytest.mark.parametrize("sigma", [0.05, 0.4, 0.7, 1.0, 3.7, 6.0, 40.0])
@pytest.mark.parametrize("truncate", [3.0, 4.0])
def test_it_is_the_filter_of_scipy(border: Any, sigma: float, truncate: float) -> None:
    values = np.random.default_rng(1).normal(size=(3, 2, 13, 22))
    found = gaussian_filter(torch.from_numpy(values), sigma=sigma, truncate=truncate, border=border)
    expected = scipy.ndimage.gaussian_filter(values, (0, 0, sigma, sigma), mode=SCIPY_MODE[border], truncate=truncate)
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("sigma", [0.5, 0.6, 1.5])
def test_float32_is_rounded_after_each_axis_as_in_scipy(sigma: float) -> None:
    mask = (np.random.default_rng(2).random((5, 19, 16)) > 0.6).astype(np.float32)
    found = gaussian_filter(torch.from_numpy(mask), sigma=sigma)
    expected = scipy.ndimage.gaussian_filter(mask, (0, sigma, sigma), mode="nearest", truncate=4)
    assert found.dtype == torch.float32
    assert np.array_equal(found.numpy(), expected)


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (2, 3)])
@pytest.mark.parametrize("sigma", [0.3, 2.0, 30.0])
def test_the_smallest_pictures(size: tuple[int, int], sigma: float) -> None:
    values = np.random.default_rng(3).normal(size=(2, *size))
    for border, mode in SCIPY_MODE.items():
        found = gaussian_filter(torch.from_numpy(values), sigma=sigma, border=border)  # type: ignore[arg-type]
        expected = scipy.ndimage.gaussian_filter(values, (0, sigma, sigma), mode=mode)
        np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-14)


def test_sigma_0_changes_nothing() -> None:
    values = torch.randn(2, 4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    assert torch.equal(gaussian_filter(values, sigma=0), values)
