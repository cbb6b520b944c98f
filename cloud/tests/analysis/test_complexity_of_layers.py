"""Each layer's multiply-adds against the paper's complexity table, and against numbers worked by hand.

Source of the formulas: Ding et al., GroupNL, arXiv 2506.12335, and the table "Comparison with Standard Convs" in the
README of github.com/jianhayes/GroupNL. There w h is the output's size, n and m are input and output channels, k the
kernel, r the reduction, d Ghost's cheap kernel, t SineFM's sinusoids, xi = gcd(n, m / r).
"""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import groupnl
from groupnl.nn import GhostConv2d, GroupNLConv2d, MonoConv2d, SineFMConv2d

sizes = st.integers(1, 9)


@st.composite
def shapes(draw):
    """(n, m, k, r, (H, W)) with r a divisor of m, so that the formulas hold to the unit."""
    reduction = draw(st.integers(2, 4))
    return (
        draw(st.integers(1, 24)),
        reduction * draw(st.integers(4, 12)),
        draw(st.sampled_from((1, 3, 5))),
        reduction,
        (draw(sizes), draw(sizes)),
    )


def measured(layer, inputs, size):
    """Cost of one layer, whose output has the input's size."""
    (cost,) = groupnl.complexity(nn.Sequential(layer), (inputs, *size)).layers
    return cost


@settings(deadline=None, max_examples=12)
@given(shapes())
def test_standard_groupnl_and_mono(shape):
    n, m, k, r, (h, w) = shape
    options = {"padding": k // 2, "bias": False}
    assert measured(nn.Conv2d(n, m, k, **options), n, (h, w)).macs == w * h * m * n * k**2
    cost = measured(GroupNLConv2d(n, m, k, reduction=r, **options), n, (h, w))
    assert cost.macs == w * h * (m // r) * n * k**2
    assert cost.params == (m // r) * n * k**2
    assert cost.transcendentals == w * h * (m - m // r)  # one sine for each generated value
    if n * k**2 > 1:  # a filter of one value cannot be standardised
        cost = measured(MonoConv2d(n, m, k, reduction=r, **options), n, (h, w))
        assert cost.macs == w * h * m * n * k**2  # it saves parameters, not arithmetic
        assert cost.params == (m // r) * n * k**2
        assert cost.transcendentals == (m - m // r) * n * k**2  # one power for each generated weight


@settings(deadline=None, max_examples=12)
@given(shapes())
def test_sparse_groupnl(shape):
    n, m, k, r, (h, w) = shape
    xi = math.gcd(n, m // r)
    cost = measured(GroupNLConv2d(n, m, k, padding=k // 2, bias=False, reduction=r, sparse=True), n, (h, w))
    assert cost.macs * xi == w * h * (m // r) * n * k**2


@settings(deadline=None, max_examples=12)
@given(shapes(), st.sampled_from((1, 3, 5)))
def test_ghost(shape, d):
    n, m, k, r, (h, w) = shape
    cost = measured(GhostConv2d(n, m, k, padding=k // 2, bias=False, reduction=r, cheap_kernel_size=d), n, (h, w))
    assert cost.macs == w * h * (m // r) * (n * k**2 + (r - 1) * d**2)
    assert cost.transcendentals == 0


@settings(deadline=None, max_examples=12)
@given(shapes(), st.integers(1, 4))
def test_sinefm(shape, t):
    n, m, k, r, (h, w) = shape
    cost = measured(SineFMConv2d(n, m, k, padding=k // 2, bias=False, reduction=r, sinusoids=t), n, (h, w))
    batch_norms = t * (m // r) * w * h  # elements: a product and a sum each, which are no multiply-adds here
    assert cost.macs == w * h * (m // r) * (n * k**2 + t * (r - 1))
    assert cost.macs + 2 * batch_norms == w * h * (m // r) * (n * k**2 + t * (r + 1))  # the published form counts both
    assert cost.transcendentals == t * (m // r) * w * h


@settings(deadline=None, max_examples=12)
@given(shapes())
def test_depthwise_and_the_sparse_layer_in_its_place(shape):
    _, n, k, r, (h, w) = shape
    depthwise = measured(nn.Conv2d(n, n, k, padding=k // 2, groups=n, bias=False), n, (h, w))
    sparse = measured(GroupNLConv2d(n, n, k, padding=k // 2, bias=False, reduction=r, sparse=True), n, (h, w))
    assert depthwise.macs == w * h * n * k**2
    assert sparse.macs == depthwise.macs  # r inputs for each of n / r maps: nothing saved
    assert sparse.params == depthwise.params


@pytest.mark.parametrize(
    ("layer", "macs", "params", "elementwise", "transcendentals"),
    [
        # n = 16, m = 24, k = 3, 10x6 pixels: 60 x 24 x 16 x 9
        (nn.Conv2d(16, 24, 3, padding=1, bias=False), 207_360, 3_456, 0, 0),
        # S = 12. Norm: 720 read, 60 clamped, 720 divided; 720 each of difference, product, sine
        (GroupNLConv2d(16, 24, 3, padding=1, bias=False), 103_680, 1_728, 3_660, 720),
        # xi = gcd(16, 12) = 4
        (GroupNLConv2d(16, 24, 3, padding=1, bias=False, sparse=True), 25_920, 432, 3_660, 720),
        # + 60 x 12 x 9; two batch norms and two ReLUs of 720
        (GhostConv2d(16, 24, 3, padding=1, bias=False), 103_680 + 6_480, 1_728 + 108 + 48, 2_880, 0),
        # + 60 x 12 x 2; for each of two: difference, product, sine and batch norm of 720
        (SineFMConv2d(16, 24, 3, padding=1, bias=False), 103_680 + 1_440, 1_728 + 24 + 48, 5_760, 1_440),
        # 1728 weights: sign, size, power, product; 3456: mean, difference, deviation, quotient; 24: deviation + epsilon
        (MonoConv2d(16, 24, 3, padding=1, bias=False), 207_360, 1_728, 4 * 1_728 + 4 * 3_456 + 24, 1_728),
    ],
    ids=["standard", "groupnl", "sparse", "ghost", "sinefm", "mono"],
)
def test_by_hand(layer, macs, params, elementwise, transcendentals):
    cost = measured(layer, 16, (10, 6))
    assert (cost.macs, cost.params) == (macs, params)
    assert (cost.elementwise, cost.transcendentals) == (elementwise, transcendentals)
    assert cost.output_shape == (24, 10, 6)


def test_depthwise_by_hand():
    cost = measured(nn.Conv2d(16, 16, 3, padding=1, groups=16, bias=False), 16, (10, 6))
    assert (cost.macs, cost.params) == (60 * 16 * 9, 144)


@pytest.mark.parametrize(
    ("nlf", "transcendentals"), [("sine", 1), ("gaussian", 1), ("monomial", 1), ("legendre", 0), ("identity", 0)]
)
def test_what_each_nonlinear_function_calls(nlf, transcendentals):
    cost = measured(GroupNLConv2d(16, 24, 3, padding=1, nlf=nlf), 16, (10, 6))
    assert cost.transcendentals == 720 * transcendentals


def test_channels_that_do_not_divide():
    cost = measured(GroupNLConv2d(5, 10, 3, padding=1, reduction=3, bias=False), 5, (4, 4))
    assert cost.macs == 16 * 4 * 5 * 9  # S = ceil(10 / 3) = 4
    assert cost.transcendentals == 16 * 6
