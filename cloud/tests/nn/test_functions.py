"""The nonlinear functions at values worked by hand."""

import math

import pytest
import torch

from groupnl.nn import apply_nlf

Y = torch.tensor([-2.0, -0.5, 0.0, 0.25, 1.0], dtype=torch.double).reshape(1, 1, 1, 5)


def at(nlf, period=1.0, shift=0.0, copies=1):
    return apply_nlf(nlf, Y, torch.tensor([period]), torch.tensor([shift]), copies=copies).flatten().tolist()


def test_values_by_hand():
    assert at("sine", 1.5, 0.5) == pytest.approx([math.sin(1.5 * (v - 0.5)) for v in Y.flatten().tolist()])
    assert at("gaussian", 2.0, 1.0)[4] == 1.0
    assert at("gaussian", 2.0, 1.0)[3] == pytest.approx(math.exp(-2.25))
    assert at("monomial", 2.0) == [-4.0, -0.25, 0.0, 0.0625, 1.0]
    # P_2 = (3 y^2 - 1) / 2 and P_3 = (5 y^3 - 3 y) / 2, with -2 clamped to -1
    assert at("legendre", 2.0) == pytest.approx([1.0, -0.125, -0.5, -0.40625, 1.0])
    assert at("legendre", 3.0, copies=2) == pytest.approx([-1.0, 0.4375, 0.0, -0.3359375, 1.0])
    assert at("identity") == Y.flatten().tolist()


def test_each_map_has_its_own_constants():
    maps = torch.ones(1, 2, 2, 3, dtype=torch.double)
    made = apply_nlf("sine", maps, torch.tensor([1.0, 2.0]), torch.tensor([0.0, 3.0]))
    assert made[0, 0].unique().item() == pytest.approx(math.sin(1.0))
    assert made[0, 1].unique().item() == pytest.approx(math.sin(-4.0))


def test_an_unknown_function_is_refused():
    with pytest.raises(ValueError, match="nlf='tan': expected one of sine"):
        apply_nlf("tan", Y, torch.ones(1), torch.zeros(1))
