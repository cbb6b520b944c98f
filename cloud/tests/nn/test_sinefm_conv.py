"""SineFMConv2d against a plain numpy version of its five steps."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from groupnl.nn import SineFMConv2d


def numpy_forward(layer, x):
    """Channel by channel in float64, evaluation mode; shares nothing with the layer but its weights."""
    seeds = layer.seed_conv(x).detach().numpy()
    period, shift = layer.period.numpy().astype(np.float64), layer.shift.numpy().astype(np.float64)
    mix = layer.mix.weight.detach().numpy()  # (S (r - 1), t, 1, 1)
    per_seed = layer.reduction - 1
    others = []
    for channel in range(layer.seed_channels):
        waves = []
        for k in range(layer.sinusoids):
            norm = layer.norms[k]
            mean, var = float(norm.running_mean[channel]), float(norm.running_var[channel])
            wave = (np.sin(period[k] * (seeds[:, channel] - shift[k])) - mean) / np.sqrt(var + norm.eps)
            waves.append(wave * norm.weight[channel].item() + norm.bias[channel].item())
        for j in range(per_seed):
            weights = mix[channel * per_seed + j, :, 0, 0]
            others.append(sum(float(w) * wave for w, wave in zip(weights, waves, strict=True)))
    return np.concatenate([seeds, np.stack(others, axis=1)], axis=1)[:, : layer.out_channels]


@pytest.mark.parametrize(("out_channels", "reduction", "sinusoids"), [(8, 2, 2), (10, 3, 1), (9, 2, 3)])
def test_forward_equals_numpy_in_float64(out_channels, reduction, sinusoids):
    layer = SineFMConv2d(
        3, out_channels, 3, padding=1, reduction=reduction, sinusoids=sinusoids, seed=4, key="a", dtype=torch.double
    )
    x = torch.randn(2, 3, 4, 5, dtype=torch.double)
    layer(x)  # training mode: the batch norms' statistics are no longer those of a fresh layer
    for norm in layer.norms:
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
    layer.eval()
    np.testing.assert_allclose(layer(x).detach().numpy(), numpy_forward(layer, x), rtol=1e-10, atol=1e-12)


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_shape(data):
    out_channels, reduction = data.draw(st.integers(1, 20)), data.draw(st.integers(2, 5))
    options = {"stride": data.draw(st.sampled_from([1, 2])), "padding": data.draw(st.sampled_from([0, 1, "valid"]))}
    layer = SineFMConv2d(3, out_channels, 3, reduction=reduction, sinusoids=data.draw(st.integers(1, 3)), **options)
    x = torch.randn(2, 3, 7, 6)
    assert layer(x).shape == nn.Conv2d(3, out_channels, 3, **options)(x).shape


def test_gradients_match_finite_differences():
    layer = SineFMConv2d(2, 6, 3, padding=1, dtype=torch.double).eval()
    x = torch.randn(1, 2, 3, 4, dtype=torch.double, requires_grad=True)
    weight = layer.seed_conv.weight.detach().clone().requires_grad_()

    def forward(x, weight):
        return torch.func.functional_call(layer, {"seed_conv.weight": weight}, (x,))

    assert torch.autograd.gradcheck(forward, (x, weight))


def test_parameters_are_those_of_the_published_cost():
    # (m / r) (n k^2 + t (r - 1)) weights and t batch norms over m / r channels
    layer = SineFMConv2d(8, 16, 3, bias=False)
    assert sum(p.numel() for p in layer.parameters()) == 8 * (8 * 9 + 2) + 2 * 2 * 8


def test_pairs_are_no_parameters_and_guard_the_weights():
    layer = SineFMConv2d(3, 8, 3, seed=1, key="conv")
    assert "period" not in dict(layer.named_buffers())
    assert layer.half().period.dtype == torch.float32
    assert layer(torch.randn(1, 3, 5, 5, dtype=torch.half)).dtype == torch.half
    with pytest.raises(RuntimeError, match="other hyperparameters"):
        SineFMConv2d(3, 8, 3, seed=2, key="conv").load_state_dict(layer.state_dict())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reduction": 1}, "reduction=1: expected an integer of at least 2"),
        ({"sinusoids": 0}, "sinusoids=0: expected an integer of at least 1"),
        ({"shift_range": (5, 1)}, "shift_range"),
        ({"seed": 0.5}, "seed=0.5: expected an integer"),
    ],
)
def test_refusals(options, message):
    with pytest.raises(ValueError, match=message):
        SineFMConv2d(8, 8, 3, **options)
