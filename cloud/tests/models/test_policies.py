"""The policies for inverted residual blocks: what goes where, and what it saves."""

import pytest
import timm
import torch
from torch import nn

import groupnl
from groupnl.models import convert_
from groupnl.nn import GroupNLConv2d


class InvertedResidual(nn.Module):
    def __init__(self, channels, wide):
        super().__init__()
        self.conv_pw, self.bn1, self.act1 = nn.Conv2d(channels, wide, 1, bias=False), nn.BatchNorm2d(wide), nn.ReLU6()
        self.conv_dw = nn.Conv2d(wide, wide, 3, padding=1, groups=wide, bias=False)
        self.bn2, self.act2 = nn.BatchNorm2d(wide), nn.ReLU6()
        self.conv_pwl, self.bn3 = nn.Conv2d(wide, channels, 1, bias=False), nn.BatchNorm2d(channels)

    def forward(self, x):
        y = self.act1(self.bn1(self.conv_pw(x)))
        y = self.act2(self.bn2(self.conv_dw(y)))
        return x + self.bn3(self.conv_pwl(y))


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), InvertedResidual(8, 32), InvertedResidual(8, 32))


def test_the_published_sparse_form_saves_nothing_in_inverted_residual_blocks():
    report = convert_(net(), "sparse_depthwise", input_size=(3, 8, 6))
    assert len(report.replaced) == 2
    assert report.params_after == report.params_before
    assert report.macs_after == report.macs_before


def test_pointwise_halves_the_expansion():
    model = net()
    report = convert_(model, "pointwise", input_size=(3, 8, 6))
    assert [row.name for row in report.replaced] == ["1.conv_pw", "2.conv_pw"]
    assert report.macs_before - report.macs_after == 2 * 8 * 16 * 48
    assert isinstance(model[1].conv_pw, GroupNLConv2d)
    assert {row.reason for row in report.skipped} == {"not the 1x1 expansion before a depthwise convolution"}
    assert model(torch.randn(2, 3, 8, 6)).shape == (2, 8, 8, 6)


def test_lean_halves_the_expansion_and_the_depthwise_convolution():
    model = net()
    expansion, norm = model[1].conv_pw.weight.clone(), model[1].bn1
    with torch.no_grad():
        norm.running_mean.copy_(torch.arange(32.0))
    report = convert_(model, "lean", input_size=(3, 8, 6))
    assert [row.name for row in report.replaced] == ["1.conv_dw", "2.conv_dw"]
    assert report.macs_before - report.macs_after == 2 * (8 * 16 + 16 * 9) * 48
    assert report.params_before - report.params_after == 2 * (8 * 16 + 16 * 9 + 2 * 16)
    block = model[1]
    torch.testing.assert_close(block.conv_pw.weight, expansion[:16])
    assert (block.conv_pw.out_channels, block.bn1.num_features, block.bn2.num_features) == (16, 16, 32)
    assert torch.equal(block.bn1.running_mean, torch.arange(16.0))
    layer = block.conv_dw
    assert (layer.in_channels, layer.out_channels, layer.seed_channels, layer.seed_conv.groups) == (16, 32, 16, 16)
    out = model(torch.randn(2, 3, 8, 6))
    assert out.shape == (2, 8, 8, 6)
    out.sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.parametrize("policy", ["pointwise", "lean"])
@pytest.mark.parametrize("name", ["mobilenetv2_100", "mobilenetv3_large_100", "tf_efficientnet_lite0"])
def test_timm_nets_run_and_cost_less(policy, name):
    model = timm.create_model(name, num_classes=10)
    report = convert_(model, policy)
    assert report.macs_after < 0.85 * report.macs_before
    assert report.params_after < report.params_before
    assert model.eval()(torch.randn(1, 3, 64, 64)).shape == (1, 10)


def test_a_converted_net_is_saved_and_comes_back(tmp_path):
    model = groupnl.create_model("mobilenetv3_small_050", num_classes=4)
    convert_(model, "lean", seed=2)
    groupnl.save(model.eval(), tmp_path / "net.safetensors", preprocessing=None, class_names=())
    x = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(groupnl.load(tmp_path / "net.safetensors")(x), model(x), rtol=0, atol=0)


def test_odd_channels_are_left_with_their_reason():
    model = nn.Sequential(InvertedResidual(8, 32), InvertedResidual(8, 33))
    report = convert_(model, "lean")
    assert [row.name for row in report.replaced] == ["0.conv_dw"]
    assert "33 channels do not divide by reduction=2" in {row.reason for row in report.skipped}
