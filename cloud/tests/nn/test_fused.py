"""FusedLayer: what it computes against float64 written plainly, on every path; what the parts of a fused net refuse."""

import copy
import math
import pickle

import pytest
import torch
from torch import nn

from groupnl.nn import GhostConv2d, GroupNLConv2d, using_backend
from groupnl.nn.fused import FoldedNorm, FusedLayer


def fused(layer, dtype=torch.float32):
    generator = torch.Generator().manual_seed(5)
    scale = torch.empty(layer.out_channels).uniform_(-1, 2, generator=generator)
    bias = torch.randn(layer.out_channels, generator=generator)
    return FusedLayer(layer.to(dtype).eval(), scale.to(dtype), bias.to(dtype))


def plainly(part, x):
    """Steps 2 to 5 and the affine map in float64, channel by channel."""
    layer = part.layer
    y = copy.deepcopy(layer.seed_conv).double()(x.double()).detach()
    if layer.normalize == "batch":
        mean, var = (v.double().reshape(-1, 1, 1) for v in (layer.seed_norm.running_mean, layer.seed_norm.running_var))
        y = (y - mean) / (var + 1e-5).sqrt() / math.sqrt(layer.seed_channels)
    if layer.normalize == "clamp":
        y = y.clamp(-1, 1)
    if layer.normalize in ("l2", "rms"):
        y = y / y.pow(2).sum(1, keepdim=True).sqrt().clamp(min=1e-12)
    if layer.normalize == "rms":
        y = y * math.sqrt(layer.seed_channels)
    maps = list(y.unbind(1))
    first = 0
    for group, size in enumerate(len(part) for part in torch.arange(layer.seed_channels).tensor_split(layer.nl_groups)):
        for copy_index in range(layer.copies):
            omega, phi = (float(values[group, copy_index]) for values in (layer.period, layer.shift))
            maps += [torch.sin(omega * (y[:, first + i] - phi)) for i in range(size)]
        first += size
    maps = maps[: layer.out_channels]
    scale, bias = part.scale.double().flatten(), part.bias.double().flatten()
    return torch.stack([m * scale[c] + bias[c] for c, m in enumerate(maps)], dim=1)


CASES = {
    "r2": {"out_channels": 16},
    "r4": {"out_channels": 16, "reduction": 4},
    "uneven groups, cut": {"out_channels": 13, "reduction": 3, "nl_groups": 3},
    "fewer generated than seeds": {"out_channels": 9, "nl_groups": 2},
    "rms": {"out_channels": 16, "normalize": "rms"},
    "none": {"out_channels": 16, "normalize": "none"},
    "batch": {"out_channels": 16, "normalize": "batch"},
    "clamp": {"out_channels": 16, "normalize": "clamp"},
    "sparse": {"out_channels": 12, "sparse": True},
}


@pytest.mark.parametrize("options", CASES.values(), ids=CASES)
@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
def test_both_paths_compute_what_is_written_plainly(options, order):
    torch.manual_seed(0)
    part = fused(GroupNLConv2d(6, **options, kernel_size=3, padding=1, stride=2, key="a"))
    x = torch.randn(2, 6, 9, 7).to(memory_format=order)
    expected = plainly(part, x).float()
    with torch.inference_mode():
        own_path = part(x)
        with using_backend("reference"):
            other_path = part(x)
    for found in (own_path, other_path, part(x)):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=2e-6)
    assert own_path.is_contiguous(memory_format=order)


def test_a_pixel_without_a_signal_stays_finite():
    part = fused(GroupNLConv2d(3, 8, 1, bias=False))
    with torch.no_grad():
        assert bool(torch.isfinite(part(torch.zeros(1, 3, 2, 2))).all())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("layer", [GroupNLConv2d, GhostConv2d])
def test_half_precision_is_as_close_as_a_norm_of_its_own(layer, dtype):
    """At most twice the error of layer and batch norm one after another, both against float64."""
    torch.manual_seed(0)
    part = fused(layer(8, 32, 3, padding=1), dtype)
    norm = nn.BatchNorm2d(32, eps=0).eval().to(dtype)  # with these statistics it is just this affine map
    with torch.no_grad():
        norm.weight.copy_(part.scale.flatten())
        norm.bias.copy_(part.bias.flatten())
        x = torch.randn(4, 8, 10, 9).to(dtype)
        exact = copy.deepcopy(part).double()(x.double())
        apart = (norm(part.layer(x)).double() - exact).abs()
        found = part(x)
    assert found.dtype == dtype
    error = (found.double() - exact).abs()
    assert error.max() <= 2 * apart.max()
    assert error.mean() <= 2 * apart.mean()


def test_gradients_of_the_input_go_through():
    part = fused(GroupNLConv2d(4, 8, 3), torch.double)
    x = torch.randn(1, 4, 5, 4, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(part, (x,))


def test_under_autocast_the_type_is_the_layers():
    part = fused(GroupNLConv2d(4, 8, 3))
    x = torch.randn(1, 4, 5, 4)
    with torch.autocast("cpu", torch.bfloat16):
        with torch.no_grad():
            assert part(x).dtype == torch.bfloat16
        assert part(x).dtype == torch.bfloat16


def test_other_functions_and_layers():
    torch.manual_seed(0)
    layers = [GroupNLConv2d(4, 8, 3, nlf=nlf) for nlf in ("gaussian", "monomial", "legendre", "identity")]
    x = torch.randn(2, 4, 5, 6)
    for layer in (*layers, GhostConv2d(4, 9, 3), nn.Conv2d(4, 8, 3)):
        part = fused(layer)
        with torch.no_grad():
            expected = layer(x) * part.scale + part.bias
            torch.testing.assert_close(part(x), expected)


def test_it_follows_changes_of_its_layer():
    """The pairs are kept by channel: other pairs, a copy and a pickle must not see old ones."""
    part = fused(GroupNLConv2d(4, 8, 3, key="a"))
    x = torch.randn(2, 4, 5, 6)
    with torch.inference_mode():
        part(x)
    with torch.no_grad():
        torch.testing.assert_close(copy.deepcopy(part)(x), plainly(part, x).float(), rtol=1e-5, atol=2e-6)
        part.layer.set_pairs_(torch.full((4, 1), 1.5), torch.arange(4.0).reshape(4, 1))
        expected = plainly(part, x).float()
        for same in (part, copy.deepcopy(part), pickle.loads(pickle.dumps(part))):
            torch.testing.assert_close(same(x), expected, rtol=1e-5, atol=2e-6)
        torch.testing.assert_close(part.double()(x.double()), plainly(part, x))


def test_one_graph_when_compiled_and_plain_operators_when_exported():
    part = fused(GroupNLConv2d(4, 8, 3))
    x = torch.randn(2, 4, 5, 6)
    with torch.no_grad():
        expected = part(x)
        compiled = torch.compile(part, fullgraph=True, backend="aot_eager")
        torch.testing.assert_close(compiled(x), expected)
        program = torch.export.export(part, (x,))
    torch.testing.assert_close(program.module()(x), expected)
    assert all("groupnl" not in str(node.target) for node in program.graph.nodes)


def test_training_is_refused_and_evaluation_is_not():
    for part in (FoldedNorm(nn.Sequential(nn.ReLU())), fused(GroupNLConv2d(4, 8, 3))):
        with pytest.raises(RuntimeError, match="fused for inference, its batch norms are gone: train the net as it wa"):
            part.train()
        assert part.eval() is part
        assert not any(module.training for module in part.modules())


def test_a_folded_norm_keeps_its_activation():
    x = torch.randn(1, 2, 3, 3)
    assert torch.equal(FoldedNorm(nn.Sequential())(x), x)
    assert torch.equal(FoldedNorm(nn.Sequential(nn.ReLU()))(x), x.relu())


def test_weights_of_a_norm_are_refused_even_when_not_strict():
    net = nn.Sequential(nn.Conv2d(3, 4, 1), FoldedNorm(nn.Sequential())).eval()
    weights = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)).state_dict()
    with pytest.raises(RuntimeError, match="1: these weights are of a net with batch norms, this one is fused for inf"):
        net.load_state_dict(weights, strict=False)
    net.load_state_dict(net.state_dict())
