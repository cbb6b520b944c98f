"""The plain form computes what the layer computes, with constants that a device rebuilds."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from groupnl.export import ExportError
from groupnl.export.plain_form import PlainGroupNL, describe, plain_form, roles
from groupnl.nn import GroupNLConv2d, expand_reference
from groupnl_device.constants import layer_constants
from groupnl_device.nlf import NLFS, NORMALIZES

# out_channels, reduction, nl_groups: even; cut to fewer maps than seeds; one group; several copies, uneven and cut
LAYOUTS = [(16, 2, 4), (11, 2, 3), (10, 2, 1), (17, 4, 3), (10, 3, 2), (12, 5, 3)]


def maps(seed: int = 0) -> torch.Tensor:
    x = torch.randn(2, 3, 6, 5, generator=torch.Generator().manual_seed(seed)) * 3
    x[0, :, 2:4, 1] = 0  # without a bias these pixels stay zero
    x[1, :, 0, 0] = 1e-20
    return x


@pytest.mark.parametrize(("nlf", "normalize"), list(itertools.product(NLFS, NORMALIZES)))
@pytest.mark.parametrize(("out_channels", "reduction", "nl_groups"), LAYOUTS)
def test_equals_the_layer_and_the_reference(nlf, normalize, out_channels, reduction, nl_groups) -> None:
    torch.manual_seed(1)
    layer = GroupNLConv2d(
        3,
        out_channels,
        (3, 1),
        padding=(1, 0),
        bias=False,
        reduction=reduction,
        nl_groups=nl_groups,
        nlf=nlf,
        normalize=normalize,
        seed=5,
        key="a.b",
    )
    x = maps()
    if layer.seed_norm is not None:
        layer(4 * x)  # statistics of its own
    layer.eval()
    plain = plain_form(layer).module
    with torch.no_grad():
        found = plain(x)
        seed_maps = layer.seed_conv(x).double()
        if normalize == "batch":
            mean, variance = layer.seed_norm.running_mean, layer.seed_norm.running_var
            seed_maps = (seed_maps - mean.reshape(-1, 1, 1)) / (variance.reshape(-1, 1, 1).double() + 1e-5).sqrt()
            seed_maps = seed_maps / layer.seed_channels**0.5
        scale = layer.seed_channels**0.5 if nlf == "gaussian" and normalize == "batch" else 1.0
        expected = expand_reference(
            seed_maps.clamp(-1, 1) if normalize == "clamp" else seed_maps,
            layer.period * scale,
            layer.shift / scale,
            out_channels=out_channels,
            nlf=nlf,
            normalize=normalize if normalize in ("l2", "rms") else "none",
        )
        scale = expected.abs().max()
        assert found.shape == (2, out_channels, 6, 5)
        assert torch.isfinite(found).all()
        torch.testing.assert_close(found / scale, (expected / scale).float(), rtol=0, atol=2e-6)
        apart = 2e-6 if normalize == "batch" else 1e-6  # folding rounds the weights once more
        torch.testing.assert_close(found / scale, layer(x) / scale, rtol=0, atol=apart)


def test_reduction_1_is_the_convolution() -> None:
    layer = GroupNLConv2d(3, 5, 3, reduction=1, normalize="rms")
    plain = PlainGroupNL(layer, describe("x", layer))
    assert torch.equal(plain(maps()), layer.seed_conv(maps()))
    assert not dict(plain.named_buffers())


def test_buffers_are_those_that_the_function_reads() -> None:
    expected = {
        ("sine", 2): {"period", "shift"},
        ("sine", 4): {"period", "shift", "source"},
        ("monomial", 2): {"period"},
        ("identity", 2): set(),
        ("identity", 4): {"source"},
        ("legendre", 4): set(),
    }
    for (nlf, reduction), names in expected.items():
        layer = GroupNLConv2d(3, 16, 1, reduction=reduction, nlf=nlf, seed=3, key="k")
        description = describe("k", layer)
        plain = PlainGroupNL(layer, description)
        assert {name for name, _ in plain.named_buffers()} == names == set(roles(description))
        assert dict(description.initializers) == {name: f"k.{name}" for name in names}
        constants = layer_constants(description, {})
        for name, buffer in plain.named_buffers():
            np.testing.assert_array_equal(buffer.numpy(), constants[name], strict=True)


def test_the_net_itself_stays_as_it_is() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 1), GroupNLConv2d(4, 8, 1, key="1"), nn.Dropout()).half().train()
    plain = plain_form(net)
    assert isinstance(net[1], GroupNLConv2d)
    assert net.training
    assert net[0].weight.dtype == torch.float16
    assert net[0].weight.requires_grad
    assert isinstance(plain.module.get_submodule("1"), PlainGroupNL)
    assert not any(module.training for module in plain.module.modules())
    assert {tensor.dtype for tensor in plain.module.state_dict().values()} == {torch.float32}
    assert [layer.name for layer in plain.layers] == ["1"]


def test_a_layer_used_twice_is_described_once() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = GroupNLConv2d(4, 4, 1, nl_groups=1, key="first")
            self.second = self.first

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.second(self.first(x))

    net = Twice()
    plain = plain_form(net)
    assert [layer.name for layer in plain.layers] == ["first"]
    assert plain.module.get_submodule("first") is plain.module.get_submodule("second")
    x = torch.randn(1, 4, 3, 3)
    torch.testing.assert_close(plain.module(x), net(x))


def test_pairs_changed_by_hand_are_refused() -> None:
    net = nn.Sequential(GroupNLConv2d(4, 8, 1, seed=3, key="0"))
    net[0].shift = net[0].shift + 1
    with pytest.raises(ExportError, match=r"layer '0': its shift values are not those that seed=3 and key='0' give"):
        plain_form(net)
    net = nn.Sequential(GroupNLConv2d(4, 8, 1, seed=3, key="0"))
    net[0].seed = 4
    with pytest.raises(ExportError, match="period values are not those that seed=4"):
        plain_form(net)
