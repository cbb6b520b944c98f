"""What one operator counts: modules and functions of torch, by hand."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import groupnl

SIZE = (3, 5, 7)
ELEMENTS = 3 * 5 * 7


class Function(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


@pytest.mark.parametrize(
    ("function", "elementwise", "transcendentals"),
    [
        (torch.sin, 1, 1),
        (lambda x: x.clone().exp_(), 1, 1),
        (torch.tanh, 1, 1),
        (torch.erf, 1, 1),
        (lambda x: torch.atan2(x, x), 1, 1),
        (torch.sqrt, 1, 0),
        (torch.rsqrt, 1, 0),
        (torch.reciprocal, 1, 0),
        (lambda x: x**2, 1, 0),
        (lambda x: x**0.5, 1, 0),
        (lambda x: x**1.3, 1, 1),
        (lambda x: x.pow(x.new_ones(3, 1, 1)), 1, 1),
        (lambda x: 2.0**x, 1, 1),
        (torch.clone, 0, 0),
        (torch.flatten, 0, 0),
        (F.relu, 1, 0),
        (F.hardswish, 1, 0),
        (F.hardsigmoid, 1, 0),
        (F.leaky_relu, 1, 0),
        (torch.sigmoid, 1, 1),
        (F.silu, 1, 1),
        (lambda x: F.silu(x.clone(), inplace=True), 1, 1),
        (lambda x: F.hardswish(x.clone(), inplace=True), 1, 0),
        (F.gelu, 1, 1),
        (lambda x: F.gelu(x, approximate="tanh"), 1, 1),
        (F.elu, 1, 1),
        (F.softplus, 1, 2),
        (F.logsigmoid, 1, 2),
        (F.mish, 1, 3),
        (lambda x: F.softmax(x, dim=1), 1, 1),
        (lambda x: F.log_softmax(x, dim=1), 1, 1),
        (lambda x: x.mean(dim=(2, 3)), 1, 0),
        (lambda x: x.std(dim=1), 1, 0),
        (lambda x: x.amax(dim=1), 1, 0),
        (lambda x: F.max_pool2d(x, 3), 1, 0),
        (lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"), 4, 0),
        (lambda x: F.interpolate(x, scale_factor=2, mode="nearest"), 0, 0),
        (nn.PReLU(3), 1, 0),
        (nn.BatchNorm2d(3), 1, 0),
        (nn.GroupNorm(3, 3), 1, 0),
    ],
)
def test_operators_for_each_element(function, elementwise, transcendentals):
    cost = groupnl.complexity(Function(function).requires_grad_(False), SIZE)
    assert (cost.elementwise, cost.transcendentals) == (elementwise * ELEMENTS, transcendentals * ELEMENTS)
    assert cost.macs == 0


class Attention(nn.Module):
    """35 positions of 4 channels in 2 heads."""

    def __init__(self, fused):
        super().__init__()
        self.fused = fused

    def forward(self, x):
        heads = x.reshape(len(x), 2, 2, 35).transpose(2, 3)
        if self.fused:
            return F.scaled_dot_product_attention(heads, heads, heads)
        return F.softmax(heads @ heads.transpose(2, 3), dim=-1) @ heads


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_a_fused_attention_counts_as_its_parts(device):
    anchor = nn.Conv2d(4, 4, 1, groups=4, bias=False, device=device)  # so that the net lies on a device
    fused, parts = (groupnl.complexity(nn.Sequential(anchor, Attention(kind)), (4, 5, 7)) for kind in (True, False))
    assert fused.transcendentals == parts.transcendentals == 2 * 35 * 35
    assert fused.macs == parts.macs == 2 * (2 * 35 * 35 * 2) + 4 * 35


def test_an_attention_module_of_torch_is_seen_into():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = nn.MultiheadAttention(4, 2, batch_first=True)

        def forward(self, x):
            positions = x.flatten(2).transpose(1, 2)
            return self.attention(positions, positions, positions, need_weights=False)[0]

    cost = groupnl.complexity(Net(), (4, 5, 7))
    # queries, keys, values and the projection; then scores and their product with the values
    assert cost.macs == 35 * 4 * 4 * 4 + 2 * (2 * 35 * 35 * 2)
    assert cost.transcendentals == 2 * 35 * 35
    assert cost.params == sum(layer.params for layer in cost.layers) == 4 * 4 * 4 + 4 * 4
    assert torch.backends.mha.get_fastpath_enabled()
