"""The fit of one layer and of one norm, against numpy."""

import numpy as np
import torch
from torch import nn

from groupnl.models.reconstruction import fit_, refit_norm_
from groupnl.nn import GroupNLConv2d


def unexplained(made, wanted):
    """Share of variance that the best affine function of each channel leaves, by numpy's correlation."""
    left = total = 0.0
    for a, b in zip(made.transpose(0, 1).flatten(1).double(), wanted.transpose(0, 1).flatten(1).double(), strict=True):
        correlation = np.corrcoef(a.numpy(), b.numpy())[0, 1]
        left += (1 - correlation**2) * b.numpy().var()
        total += b.numpy().var()
    return left / total


def test_a_layer_learns_the_maps_of_its_like():
    torch.manual_seed(0)
    teacher, layer = (GroupNLConv2d(4, 8, 3, padding=1, nl_groups=2, key="a").eval() for _ in range(2))
    x = torch.randn(16, 4, 6, 5)
    maps = teacher(x).detach()
    start = unexplained(layer(x).detach(), maps)
    fit_(layer, layer.seed_conv, [(x[:8], maps[:8]), (x[8:], maps[8:])])
    assert unexplained(layer(x).detach(), maps) < 0.3 * start


def test_a_fit_that_makes_nothing_better_changes_nothing():
    torch.manual_seed(0)
    layer = GroupNLConv2d(4, 8, 3, nl_groups=2).eval()
    before = layer.seed_conv.weight.detach().clone()
    x = torch.randn(4, 4, 6, 5)
    fit_(layer, layer.seed_conv, [(x, layer(x).detach() * 3 + 1)])  # perfect up to scale and shift
    torch.testing.assert_close(layer.seed_conv.weight, before, rtol=0, atol=0)


def test_a_frozen_half_precision_layer_is_fitted_and_stays_so():
    torch.manual_seed(0)
    layer = GroupNLConv2d(4, 8, 3, nl_groups=2).eval().requires_grad_(False).half()
    before = layer.seed_conv.weight.clone()
    fit_(layer, layer.seed_conv, [(torch.randn(4, 4, 6, 5).half(), torch.randn(4, 8, 4, 3).half())])
    assert layer.seed_conv.weight.dtype == torch.half
    assert not layer.seed_conv.weight.requires_grad
    assert not torch.equal(layer.seed_conv.weight, before)


def test_a_refitted_norm_is_the_least_squares_line_of_each_channel():
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(3).eval()
    x = torch.randn(5, 3, 4, 2) * 2 + 1
    wanted = -0.7 * x + 0.3 * torch.randn_like(x) + 5
    refit_norm_(norm, [(x[:2], wanted[:2]), (x[2:], wanted[2:])])
    made = norm(x).detach()
    for channel in range(3):
        a, b = (v[:, channel].flatten().double().numpy() for v in (x, wanted))
        slope, intercept = np.polyfit(a, b, 1)
        np.testing.assert_allclose(made[:, channel].flatten().numpy(), slope * a + intercept, atol=1e-5)
    # training mode, which takes the batch's own statistics, starts alike
    torch.testing.assert_close(norm.train()(x), made)


def test_a_constant_map_becomes_the_mean():
    norm = nn.BatchNorm2d(1).eval()
    refit_norm_(norm, [(torch.full((2, 1, 2, 2), 3.0), torch.arange(8.0).reshape(2, 1, 2, 2))])
    torch.testing.assert_close(norm(torch.full((1, 1, 1, 1), 3.0)), torch.full((1, 1, 1, 1), 3.5))
