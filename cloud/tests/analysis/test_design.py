"""Designed pairs: known optima, dense random search cannot beat them, bounds and ranges hold."""

import math

import numpy as np
import pytest
import torch
from torch import nn

import groupnl
from groupnl.analysis import design_nlf, design_pairs_, diversity, log_determinant, sine_covariance
from groupnl.nn import GroupNLConv2d


def quality(period, shift, scale, distribution="normal"):
    """(log-determinant, least variance ratio) of one group's pairs."""
    matrix = sine_covariance(period.double(), shift.double(), scale=scale, distribution=distribution)
    return log_determinant(matrix), float(matrix.diagonal()[1:].min() / scale**2)


def best_of_random(copies, scale, distribution, bound, draws):
    """Dense random search, in numpy alone: quadrature instead of the closed form, slogdet instead of eigenvalues."""
    random = np.random.default_rng(1)
    nodes, weights = (
        np.polynomial.hermite_e.hermegauss(40) if distribution == "normal" else np.polynomial.legendre.leggauss(40)
    )
    y, weights = scale * nodes * (1 if distribution == "normal" else math.sqrt(3)), weights / weights.sum()
    period, shift = random.uniform(1, 2, (draws, copies, 1)), random.uniform(1, 5, (draws, copies, 1))
    values = np.concatenate([np.broadcast_to(y, (draws, 1, len(y))), np.sin(period * (y - shift))], axis=1)
    values = values - (values * weights).sum(axis=2, keepdims=True)
    covariance = np.einsum("dip,djp,p->dij", values, values, weights)
    variance = np.einsum("dii->di", covariance)
    correlation = covariance / np.sqrt(variance[:, :, None] * variance[:, None, :])
    found = np.linalg.slogdet(correlation)[1]
    return found[(variance[:, 1:] >= bound * scale**2).all(axis=1)].max()


@pytest.mark.parametrize("scale", [8**-0.5, 64**-0.5, 256**-0.5, 1.0])
def test_one_copy_is_the_fastest_cosine(scale):
    period, shift = design_nlf(2, scale, nl_groups=1)
    assert period.dtype == shift.dtype == torch.float32
    assert period.shape == shift.shape == (1, 1)
    assert period.item() == 2
    assert shift.item() == pytest.approx(3 * math.pi / 4, abs=1e-4)
    # the cosine has the variance (1 - exp(-4 s^2))^2 / 2
    assert quality(period[0], shift[0], scale) == pytest.approx(
        (0.0, (1 - math.exp(-4 * scale**2)) ** 2 / 2 / scale**2), abs=1e-6
    )


@pytest.mark.parametrize("distribution", ["normal", "uniform"])
@pytest.mark.parametrize(("copies", "scale", "bound"), [(1, 0.125, 0.5), (1, 1.0, 0.3), (2, 0.35, 0.01), (3, 1.0, 0.1)])
def test_dense_random_search_finds_nothing_better(distribution, copies, scale, bound):
    period, shift = design_nlf(copies + 1, scale, distribution=distribution, least_variance=bound, nl_groups=1)
    found, variance = quality(period[0], shift[0], scale, distribution)
    assert found >= best_of_random(copies, scale, distribution, bound, 60_000) - 1e-4
    assert variance >= bound * (1 - 1e-5)


def test_a_binding_bound_is_met_and_no_more():
    period, shift = design_nlf(2, 1 / 16, least_variance=0.3)
    for group in range(4):
        found, variance = quality(period[group], shift[group], 1 / 16)
        assert variance == pytest.approx(0.3, rel=1e-4)
        assert found == pytest.approx(-2.3484, abs=1e-3)  # between the copy (about -7) and the cosine (0)


@pytest.mark.parametrize(
    ("period_range", "shift_range"),
    [((1.0, 1.5), (1.0, 5.0)), ((0.5, 3.0), (-0.2, 0.3)), ((1.7, 1.7), (1.0, 1.4)), ((1.0, 2.0), (2.0, 2.0))],
)
def test_ranges_hold(period_range, shift_range):
    period, shift = design_nlf(3, 0.5, period_range=period_range, shift_range=shift_range)
    for values, (low, high) in ((period, period_range), (shift, shift_range)):
        assert low - 1e-6 <= values.min()
        assert values.max() <= high + 1e-6


def test_groups_take_turns_with_equally_good_variants():
    period, shift = design_nlf(3, 0.5, nl_groups=5, least_variance=0.7, shift_range=(-5, 5))
    y = torch.linspace(-1, 1, 41, dtype=torch.float64)
    maps = torch.sin(period[:, :, None].double() * (y - shift[:, :, None]))
    torch.testing.assert_close(maps[1], -maps[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(maps[2], maps[0].flip(1), atol=1e-5, rtol=0)  # of -y
    torch.testing.assert_close(maps[3], -maps[0].flip(1), atol=1e-5, rtol=0)
    torch.testing.assert_close(maps[4], maps[0])
    qualities = [quality(p, s, 0.5) for p, s in zip(period, shift, strict=True)]
    assert qualities == [pytest.approx(qualities[0], abs=1e-4)] * 5


def test_variants_without_room_are_left_as_found():
    period, shift = design_nlf(2, 0.5, period_range=(1, 1), shift_range=(1.5, 1.6), nl_groups=4)
    assert period.unique().tolist() == [1]
    torch.testing.assert_close(shift, torch.full((4, 1), math.pi / 2), atol=1e-4, rtol=0)


def test_it_draws_nothing():
    torch.manual_seed(0)
    state = torch.random.get_rng_state()
    design_nlf(4, 0.21)
    assert torch.equal(state, torch.random.get_rng_state())


def test_refusals():
    with pytest.raises(ValueError, match="reduction=1: expected an integer of at least 2"):
        design_nlf(1)
    with pytest.raises(ValueError, match="nl_groups=0"):
        design_nlf(2, nl_groups=0)
    with pytest.raises(ValueError, match=r"scale=1e-05: expected the standard deviation of y, from 0\.001 to 1000"):
        design_nlf(2, 1e-5)
    with pytest.raises(ValueError, match="distribution='x'"):
        design_nlf(2, distribution="x")
    with pytest.raises(ValueError, match="least_variance=-1"):
        design_nlf(2, least_variance=-1)
    with pytest.raises(ValueError, match="expected positive periods"):
        design_nlf(2, period_range=(0, 1))
    with pytest.raises(ValueError, match=r"period_range=\(2, 1\)"):
        design_nlf(2, period_range=(2, 1))
    # at s = 1/16 a sine of period 2 has at most the variance 4 s^2 of the line 2 y
    with pytest.raises(ValueError, match=r"the most there is, is about 3\.93\d*: ask for less or widen the ranges"):
        design_nlf(2, 1 / 16, least_variance=5)


def two_layers(**options):
    return nn.Sequential(
        GroupNLConv2d(3, 16, 3, padding=1, key="a", **options),
        nn.ReLU(),
        GroupNLConv2d(16, 32, 3, padding=1, reduction=4, key="b", **options),
        GroupNLConv2d(32, 16, 1, nlf="identity", key="c"),
    )


@pytest.mark.parametrize("normalize", ["l2", "rms", "batch"])
def test_every_sine_layer_gets_pairs_for_its_scale(normalize):
    model = two_layers(normalize=normalize)
    untouched = model[3].period.clone()
    first, second = design_pairs_(model)
    assert (first.layer, first.copies, second.layer, second.copies) == ("0", 1, "2", 3)
    assert first.scale == second.scale == pytest.approx(1.0 if normalize == "rms" else 8**-0.5)
    assert model[0].explicit
    assert not model[3].explicit
    torch.testing.assert_close(model[3].period, untouched)
    period, shift = design_nlf(4, second.scale)
    assert torch.equal(model[2].period, period)
    assert torch.equal(model[2].shift, shift)
    assert (second.log_determinant, second.variance_ratio) == pytest.approx(quality(period[0], shift[0], second.scale))


def test_designed_pairs_travel_with_the_weights():
    model = groupnl.create_model("groupnl_resnet8", num_classes=4)
    design_pairs_(model)
    other = groupnl.create_model("groupnl_resnet8", num_classes=4)
    other.load_state_dict(model.state_dict())
    assert torch.equal(other.layer1.conv1.shift, model.layer1.conv1.shift)


def test_without_a_norm_the_scale_is_measured():
    with pytest.raises(ValueError, match=r"layer '0' has normalize='clamp'.*measure it"):
        design_pairs_(two_layers(normalize="clamp"))
    model = two_layers(normalize="none").eval()
    before = model[0].shift.clone()
    with pytest.raises(ValueError, match=r"layer '0' has normalize='none'.*measure it"):
        design_pairs_(model)
    with pytest.raises(ValueError, match="layer '2' has normalize='none'"):
        design_pairs_(model, scales={"0": 1.0})
    assert torch.equal(model[0].shift, before)  # all or nothing
    images = torch.randn(2, 3, 6, 5, generator=torch.Generator().manual_seed(0))
    scales = {found.layer: found.seed_std for found in diversity(model, images) if found.layer != "3"}
    assert [done.scale for done in design_pairs_(model, scales=scales)] == list(scales.values())


def test_design_refusals():
    with pytest.raises(ValueError, match="no GroupNL layer with nlf='sine'"):
        design_pairs_(nn.Conv2d(3, 4, 1))
    with pytest.raises(ValueError, match="scales names nothing: expected sine layers, 0, 2"):
        design_pairs_(two_layers(), scales={"nothing": 1.0})
    with pytest.raises(ValueError, match="layer '0': least_variance=9"):
        design_pairs_(two_layers(), least_variance=9)
