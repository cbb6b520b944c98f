"""The closed form against quadrature in numpy float64, which shares nothing with it."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from groupnl.analysis import sine_covariance


def by_quadrature(period, shift, scale, distribution):
    """Covariance of [y, sin(w (y - p)), ...] by a Gauss rule; exact for these smooth functions at small w s."""
    if distribution == "normal":
        nodes, weights = np.polynomial.hermite_e.hermegauss(120)
        y = scale * nodes
    else:
        nodes, weights = np.polynomial.legendre.leggauss(120)
        y = math.sqrt(3) * scale * nodes
    weights = weights / weights.sum()
    values = np.stack([y, *(np.sin(w * (y - p)) for w, p in zip(period, shift, strict=True))])
    centred = values - (values @ weights)[:, None]
    return (centred * weights) @ centred.T


@pytest.mark.parametrize("distribution", ["normal", "uniform"])
@settings(deadline=None, max_examples=30)
@given(
    pairs=st.lists(st.tuples(st.floats(0.1, 4), st.floats(-5, 5)), min_size=1, max_size=4),
    scale=st.floats(0.01, 2),
)
def test_equals_quadrature(distribution, pairs, scale):
    period, shift = np.array(pairs).T
    found = sine_covariance(
        torch.from_numpy(period.copy()), torch.from_numpy(shift.copy()), scale=scale, distribution=distribution
    )
    expected = by_quadrature(period, shift, scale, distribution)
    unit = np.sqrt(np.outer(np.maximum(np.diag(expected), 1e-12), np.maximum(np.diag(expected), 1e-12)))
    np.testing.assert_allclose(found.numpy() / unit, expected / unit, atol=1e-6)
    assert found.dtype == torch.float64


@pytest.mark.parametrize("distribution", ["normal", "uniform"])
def test_equals_random_draws(distribution):
    random = np.random.default_rng(0)
    scale, period, shift = 0.7, np.array([1.3, 2.0]), np.array([1.1, 4.0])
    side = math.sqrt(3) * scale
    y = random.normal(0, scale, 400_000) if distribution == "normal" else random.uniform(-side, side, 400_000)
    expected = np.cov(np.stack([y, *np.sin(period[:, None] * (y - shift[:, None]))]))
    found = sine_covariance(torch.tensor(period), torch.tensor(shift), scale=scale, distribution=distribution)
    np.testing.assert_allclose(found.numpy(), expected, atol=3e-3)


def test_a_cosine_is_uncorrelated_and_has_its_known_variance():
    # sin(2 (y - 3 pi / 4)) = cos(2 y); Var cos(2 y) = (1 - exp(-4 s^2))^2 / 2 for y ~ N(0, s^2)
    found = sine_covariance(torch.tensor([2.0]), torch.tensor([3 * math.pi / 4], dtype=torch.float64), scale=0.5)
    assert abs(found[0, 1]) < 1e-15
    assert found[1, 1].item() == pytest.approx((1 - math.exp(-1)) ** 2 / 2, rel=1e-12)


def test_small_scales_keep_their_digits():
    # cos(w y) = 1 - w^2 y^2 / 2 + ..., so Var = w^4 Var(y^2) / 4, Var(y^2) = 2 s^4 (normal), 4/5 s^4 (uniform)
    shift = torch.tensor([math.pi / 4], dtype=torch.float64)
    for distribution, constant in (("normal", 2.0), ("uniform", 0.8)):
        found = sine_covariance(torch.tensor([2.0]).double(), shift, scale=0.003, distribution=distribution)
        assert found[1, 1].item() == pytest.approx(4 * constant * 0.003**4, rel=1e-4)


def test_large_scales_are_finite():
    found = sine_covariance(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 2.0]), scale=500.0)
    assert bool(torch.isfinite(found).all())
    assert found[1, 1].item() == pytest.approx(0.5)  # a sine of anything spread wide


def test_refusals():
    one, two = torch.ones(1), torch.ones(2)
    with pytest.raises(ValueError, match=r"expected two vectors"):
        sine_covariance(one, two)
    with pytest.raises(ValueError, match=r"expected two vectors"):
        sine_covariance(one[None], one[None])
    with pytest.raises(ValueError, match=r"scale=0\.0: expected"):
        sine_covariance(one, one, scale=0.0)
    with pytest.raises(ValueError, match=r"distribution='cauchy': expected one of normal, uniform"):
        sine_covariance(one, one, distribution="cauchy")
