"""GhostConv2d against timm's GhostModule and a plain numpy version."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from timm.models.ghostnet import GhostModule
from torch import nn

from groupnl.nn import GhostConv2d


@pytest.mark.parametrize(("out_channels", "reduction", "stride"), [(16, 2, 1), (15, 2, 2), (10, 3, 1)])
def test_equals_timms_module_with_the_same_weights(out_channels, reduction, stride):
    theirs = GhostModule(6, out_channels, kernel_size=3, ratio=reduction, dw_size=3, stride=stride)
    ours = GhostConv2d(6, out_channels, 3, stride, 1, bias=False, reduction=reduction)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 6, 7, 5)
    for mode in (True, False):
        torch.testing.assert_close(ours.train(mode)(x), theirs.train(mode)(x), rtol=0, atol=0)


def test_without_activation_by_hand():
    layer = GhostConv2d(2, 4, 1, bias=False, activation=False, cheap_kernel_size=1, dtype=torch.double).eval()
    x = torch.randn(1, 2, 3, 2, dtype=torch.double)
    primary = layer.primary_conv[0].weight.detach().numpy()[:, :, 0, 0]
    cheap = layer.cheap_operation[0].weight.detach().numpy()[:, 0, 0, 0]
    norm = 1 / np.sqrt(1 + 1e-5)  # a fresh batch norm in evaluation
    seeds = np.einsum("nchw,oc->nohw", x.numpy(), primary) * norm
    expected = np.concatenate([seeds, seeds * cheap[None, :, None, None] * norm], axis=1)
    np.testing.assert_allclose(layer(x).detach().numpy(), expected, rtol=1e-12)


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_shape(data):
    out_channels, reduction = data.draw(st.integers(1, 20)), data.draw(st.integers(2, 5))
    options = {"stride": data.draw(st.sampled_from([1, 2])), "padding": data.draw(st.sampled_from([0, 1, (0, 1)]))}
    layer = GhostConv2d(3, out_channels, (3, 2), reduction=reduction, **options)
    x = torch.randn(2, 3, 7, 6)
    assert layer(x).shape == nn.Conv2d(3, out_channels, (3, 2), **options)(x).shape


def test_gradients_match_finite_differences():
    layer = GhostConv2d(2, 6, 3, padding=1, activation=False, dtype=torch.double)
    x = torch.randn(2, 2, 3, 4, dtype=torch.double, requires_grad=True)
    weight = layer.primary_conv[0].weight.detach().clone().requires_grad_()

    def forward(x, weight):
        return torch.func.functional_call(layer.eval(), {"primary_conv.0.weight": weight}, (x,))

    assert torch.autograd.gradcheck(forward, (x, weight))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reduction": 1}, "reduction=1: expected an integer of at least 2"),
        ({"cheap_kernel_size": 2}, "cheap_kernel_size=2: expected an odd integer"),
        ({"groups": 3}, "groups=3: must divide in_channels=8 and the 4 seed maps; allowed: 1, 2, 4"),
    ],
)
def test_refusals(options, message):
    with pytest.raises(ValueError, match=message):
        GhostConv2d(8, 8, 3, **options)
