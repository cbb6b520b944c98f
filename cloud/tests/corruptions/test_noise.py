import numpy as np
import pytest
import scipy.stats
import torch
from torch import Tensor

from groupnl.corruptions.noise import gaussian_noise, impulse_noise, shot_noise, speckle_noise

SCALES = [0.04, 0.06, 0.08, 0.09, 0.10, 0.12, 0.18, 0.26, 0.38]
PHOTONS = [500, 250, 100, 75, 50, 60, 25, 12, 5, 3]


@pytest.mark.parametrize("scale", SCALES)
def test_gaussian_noise_equals_its_definition_on_the_same_draws(pictures: Tensor, scale: float) -> None:
    noise = np.random.default_rng(1).standard_normal(pictures.shape)
    expected = np.uint8(np.clip(pictures.numpy() / 255.0 + scale * noise, 0, 1) * 255)
    corrupted = gaussian_noise(pictures, noise=torch.from_numpy(noise), scale=scale)
    assert corrupted.dtype == torch.uint8
    assert np.array_equal(corrupted.numpy(), expected)


@pytest.mark.parametrize("scale", [0.06, 0.1, 0.12, 0.16, 0.2, 0.15, 0.35, 0.45, 0.6])
def test_speckle_noise_equals_its_definition_on_the_same_draws(pictures: Tensor, scale: float) -> None:
    noise = np.random.default_rng(3).standard_normal(pictures.shape)
    unit = pictures.numpy() / 255.0
    expected = np.uint8(np.clip(unit + unit * (scale * noise), 0, 1) * 255)
    assert np.array_equal(speckle_noise(pictures, noise=torch.from_numpy(noise), scale=scale).numpy(), expected)


@pytest.mark.parametrize("amount", [0.01, 0.02, 0.03, 0.05, 0.07, 0.06, 0.09, 0.17, 0.27])
def test_impulse_noise_equals_its_definition_on_the_same_choices(pictures: Tensor, amount: float) -> None:
    rng = np.random.default_rng(4)
    flipped, salted = rng.random(pictures.shape) <= amount, rng.random(pictures.shape) <= 0.5
    expected = pictures.numpy() / 255.0
    expected[flipped & salted] = 1
    expected[flipped & ~salted] = 0
    fractions = np.where(flipped, np.where(salted, amount / 4, amount * 3 / 4), (1 + amount) / 2)
    corrupted = impulse_noise(pictures, fractions=torch.from_numpy(fractions), amount=amount)
    assert np.array_equal(corrupted.numpy(), np.uint8(expected * 255))


@pytest.mark.parametrize("photons", PHOTONS)
def test_shot_noise_equals_the_poisson_quantile_on_the_same_draws(pictures: Tensor, photons: int) -> None:
    some = pictures[::2]
    fractions = (np.random.default_rng(2).integers(0, 2**32, some.shape) + 0.5) / 2**32
    counts = scipy.stats.poisson.ppf(fractions, some.numpy() / 255.0 * photons)
    expected = np.uint8(np.clip(counts / photons, 0, 1) * 255)
    assert np.array_equal(shot_noise(some, fractions=torch.from_numpy(fractions), photons=photons).numpy(), expected)


@pytest.mark.parametrize("photons", [500, 3])
def test_shot_noise_far_out_in_the_tails(photons: int) -> None:
    levels = np.arange(256, dtype=np.uint8).repeat(4)
    fractions = np.tile([2.0**-33, 1 - 2.0**-33, 2047 / 4096, 2048 / 4096], 256)
    counts = scipy.stats.poisson.ppf(fractions, levels / 255.0 * photons)
    expected = np.uint8(np.clip(counts / photons, 0, 1) * 255)
    assert np.array_equal(
        shot_noise(torch.from_numpy(levels), fractions=torch.from_numpy(fractions), photons=photons).numpy(), expected
    )


def test_noise_takes_one_dimensional_views_and_empty_batches() -> None:
    empty = torch.empty(0, 3, 4, 5, dtype=torch.uint8)
    draws = torch.empty(0, 3, 4, 5, dtype=torch.float64)
    assert gaussian_noise(empty, noise=draws, scale=0.1).shape == empty.shape
    assert shot_noise(empty, fractions=draws, photons=5).shape == empty.shape
    assert impulse_noise(empty, fractions=draws, amount=0.1).shape == empty.shape
    assert speckle_noise(empty, noise=draws, scale=0.1).shape == empty.shape
