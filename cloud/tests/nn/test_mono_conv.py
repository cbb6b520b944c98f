"""MonoConv2d against a plain numpy version of its filters."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from groupnl.nn import MonoConv2d


def numpy_filters(layer):
    """Value by value in float64; shares nothing with the layer but its weights and exponents."""
    learned, exponent = layer.conv.weight.detach().double().numpy(), layer.exponent.double().numpy()
    filters = [learned[o] for o in range(len(learned))]
    for index in range(layer.out_channels - layer.seed_channels):
        base = learned[index % layer.seed_channels]
        made = np.zeros_like(base)
        for position in np.ndindex(*base.shape):
            value = float(base[position])
            made[position] = math.copysign(abs(value) ** float(exponent[index, position[0], 0, 0]), value)
        filters.append(made)
    return np.stack([(f - f.mean()) / (f.std(ddof=1) + 1e-5) for f in filters])


@pytest.mark.parametrize(("out_channels", "reduction", "groups"), [(8, 2, 1), (10, 3, 1), (8, 4, 2), (9, 2, 3)])
def test_forward_equals_numpy_in_float64(out_channels, reduction, groups):
    layer = MonoConv2d(
        6, out_channels, (3, 2), padding=1, groups=groups, reduction=reduction, seed=3, key="a", dtype=torch.double
    )
    filters = torch.from_numpy(numpy_filters(layer))
    x = torch.randn(2, 6, 4, 5, dtype=torch.double)
    torch.testing.assert_close(
        layer(x), F.conv2d(x, filters, layer.bias, padding=1, groups=groups), atol=1e-12, rtol=1e-12
    )


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_shape(data):
    out_channels, reduction = data.draw(st.integers(1, 20)), data.draw(st.integers(2, 5))
    options = {
        "stride": data.draw(st.sampled_from([1, 2])),
        "padding": data.draw(st.sampled_from([0, 1, (0, 1)])),
        "dilation": data.draw(st.sampled_from([1, 2])),
        "padding_mode": data.draw(st.sampled_from(["zeros", "reflect", "circular"])),
    }
    layer = MonoConv2d(3, out_channels, 3, reduction=reduction, **options)
    x = torch.randn(2, 3, 7, 6)
    assert layer(x).shape == nn.Conv2d(3, out_channels, 3, **options)(x).shape


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("padding_mode", ["zeros", "replicate"])
def test_padding_by_name(padding, padding_mode):
    layer = MonoConv2d(3, 4, 3, padding=padding, padding_mode=padding_mode)
    plain = nn.Conv2d(3, 4, 3, padding=padding, padding_mode=padding_mode)
    with torch.no_grad():
        plain.weight.copy_(layer.filters())
        plain.bias.copy_(layer.bias)
    x = torch.randn(1, 3, 6, 5)
    torch.testing.assert_close(layer(x), plain(x))


def test_gradients_match_finite_differences():
    layer = MonoConv2d(2, 6, 3, padding=1, dtype=torch.double)
    x = torch.randn(1, 2, 3, 4, dtype=torch.double, requires_grad=True)
    weight = layer.conv.weight.detach().clone().requires_grad_()

    def forward(x, weight):
        return torch.func.functional_call(layer, {"conv.weight": weight}, (x,))

    assert torch.autograd.gradcheck(forward, (x, weight))


def test_it_saves_parameters_and_the_exponents_guard_the_weights():
    layer = MonoConv2d(8, 16, 3, bias=False, key="conv")
    assert sum(p.numel() for p in layer.parameters()) == 8 * 8 * 9
    assert layer.exponent.shape == (8, 8, 1, 1)
    assert float(layer.exponent.min()) >= 1
    assert float(layer.exponent.max()) <= 7
    assert list(layer.named_buffers()) == []
    with pytest.raises(RuntimeError, match="other hyperparameters"):
        MonoConv2d(8, 16, 3, bias=False, key="conv", exponent_range=(1, 3)).load_state_dict(layer.state_dict())


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((8, 8, 3), {"reduction": 1}, "reduction=1: expected an integer of at least 2"),
        ((8, 8, 3), {"groups": 3}, "groups=3: must divide in_channels=8 and out_channels=8"),
        ((8, 8, 3), {"exponent_range": (0.5, 2)}, r"exponent_range=\(0.5, 2\)"),
        ((1, 8, 1), {}, "a filter of one value cannot be standardised"),
    ],
)
def test_refusals(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        MonoConv2d(*arguments, **options)


@pytest.mark.parametrize("options", [{"padding": "same"}, {"stride": 2, "groups": 3, "bias": False}])
def test_as_a_plain_convolution(options):
    layer = MonoConv2d(6, 9, 3, key="a", **options).eval()
    plain = layer.as_conv2d()
    x = torch.randn(2, 6, 7, 5)
    assert type(plain) is nn.Conv2d
    assert not plain.training
    assert torch.equal(plain(x), layer(x))
