"""The policies for inverted residual blocks: what goes where, and what it saves."""

import pytest
import timm
import torch
import torchvision
from timm.layers import SqueezeExcite
from timm.models import _efficientnet_blocks as timm_blocks
from torch import nn
from torchvision.models import mobilenetv2
from torchvision.ops import FrozenBatchNorm2d

import groupnl
from groupnl.models import POLICIES, convert_
from groupnl.models.convert import apply_, plan
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


class TwoPaths(nn.Module):
    """Two expansions that share a norm and a depthwise convolution."""

    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Conv2d(8, 32, 1), nn.Conv2d(8, 32, 1)
        self.norm, self.depthwise = nn.BatchNorm2d(32), nn.Conv2d(32, 32, 3, padding=1, groups=32)
        self.project = nn.Conv2d(32, 8, 1)

    def forward(self, x):
        return self.project(self.depthwise(self.norm(self.left(x))) + self.depthwise(self.norm(self.right(x))))


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
    assert {row.reason for row in report.skipped} == {
        "not a 1x1 expansion before a depthwise convolution or a 1x1 projection"
    }
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


class Nested(nn.Module):
    """An inverted residual block as torchvision and MobileNetV4 nest it, with what a test puts between the two."""

    def __init__(self, *between):
        super().__init__()
        self.expand = nn.Sequential(nn.Conv2d(8, 32, 1, bias=False), *between)
        self.depthwise = nn.Sequential(nn.Conv2d(32, 32, 3, padding=1, groups=32, bias=False), nn.BatchNorm2d(32))
        self.squeeze = SqueezeExcite(32, rd_channels=4)
        self.project = nn.Conv2d(32, 8, 1, bias=False)

    def forward(self, x):
        return x + self.project(self.squeeze(self.depthwise(self.expand(x))))


BLOCKS = {
    "timm": lambda: (timm_blocks.InvertedResidual(8, 8, exp_ratio=4, noskip=True), "conv_pw", "bn1", "conv_dw"),
    "MobileNetV4": lambda: (
        timm_blocks.UniversalInvertedResidual(8, 8, exp_ratio=4),
        "pw_exp.conv",
        "pw_exp.bn",
        "dw_mid.conv",
    ),
    "torchvision": lambda: (mobilenetv2.InvertedResidual(8, 8, 1, 4), "conv.0.0", "conv.0.1", "conv.1.0"),
    "torchvision, frozen": lambda: (
        mobilenetv2.InvertedResidual(8, 8, 1, 4, norm_layer=FrozenBatchNorm2d),
        "conv.0.0",
        "conv.0.1",
        "conv.1.0",
    ),
    "squeeze-excite after it": lambda: (
        Nested(nn.BatchNorm2d(32), nn.Dropout(), nn.Hardswish()),
        "expand.0",
        "expand.1",
        "depthwise.0",
    ),
}


@pytest.mark.parametrize("library", BLOCKS)
def test_lean_computes_what_the_block_would_with_its_halves_alike(library):
    torch.manual_seed(0)
    model, expansion, norm, depthwise = BLOCKS[library]()
    model.eval()
    with torch.no_grad():
        for tensor in (*model.parameters(), *model.buffers()):
            if tensor.dtype.is_floating_point:
                tensor.uniform_(0.1, 0.9)
        for name in (expansion, norm, depthwise):
            for tensor in (*model.get_submodule(name).parameters(), *model.get_submodule(name).buffers()):
                if tensor.dim():
                    tensor[16:] = tensor[:16]
    x = torch.randn(2, 8, 5, 6)
    expected = model(x)
    before = sum(tensor.numel() for tensor in model.state_dict().values())
    report = convert_(model, "lean", normalize="none", nlf="identity", nl_groups=1)
    assert [row.name for row in report.replaced] == [depthwise]
    torch.testing.assert_close(model(x), expected)
    fingerprint = 16
    after = sum(tensor.numel() for tensor in model.state_dict().values())
    assert before - after == 16 * (8 + 4 + 9) - fingerprint  # expansion, the norm's four, depthwise


@pytest.mark.parametrize(("policy", "per_map"), [("pointwise", (1, 0)), ("lean", (1, 2 + 9))])
def test_mobilenetv2_of_both_libraries_becomes_the_same_net(policy, per_map):
    with torch.device("meta"):
        nets = timm.create_model("mobilenetv2_100"), torchvision.models.mobilenet_v2()
    hidden = [(c, c * 6) for c, n in ((16, 1), (24, 2), (32, 3), (64, 4), (96, 3), (160, 3)) for _ in range(n)]
    for net in nets:
        apply_(net, plan(net, POLICIES[policy]()))
    counts = [sum(parameter.numel() for parameter in net.parameters()) for net in nets]
    per_input, constant = per_map
    assert counts == [3_504_872 - sum(wide // 2 * (per_input * c + constant) for c, wide in hidden)] * 2


def test_mobilenetv4_is_reached_and_runs():
    for policy, layers in (("pointwise", 12), ("lean", 11)):  # a block without a depthwise convolution in the middle
        model = timm.create_model("mobilenetv4_conv_small_050", num_classes=3)
        assert len(apply_(model, plan(model, POLICIES[policy]()))) == layers
        model(torch.randn(2, 3, 64, 64)).sum().backward()
        assert all(parameter.grad is not None for parameter in model.parameters())


class WithFunctional(Nested):
    def forward(self, x):
        return self.project(self.depthwise(nn.functional.relu6(self.expand(x))))


@pytest.mark.parametrize(
    ("block", "reason"),
    [
        (
            Nested(nn.BatchNorm2d(32), SqueezeExcite(32)),
            "without a 1x1 expansion right before it, norms and activations aside",
        ),
        (
            Nested(nn.BatchNorm2d(32), nn.PReLU(32)),
            "between its expansion and it lies PReLU, which does not work on each",
        ),
        (Nested(nn.GroupNorm(4, 32)), "between its expansion and it lies GroupNorm"),
        (WithFunctional(nn.BatchNorm2d(32)), "without a 1x1 expansion right before it"),
        (TwoPaths(), "it or its norm follows another convolution as well"),
    ],
)
def test_lean_leaves_what_it_cannot_narrow_and_says_why(block, reason):
    model = nn.Sequential(InvertedResidual(8, 32), block)
    report = convert_(model, "lean")
    assert [row.name for row in report.replaced] == ["0.conv_dw"]
    (left,) = (row.reason for row in report.skipped if "depthwise" in row.name)
    assert reason in left
    assert model(torch.randn(2, 8, 6, 6)).shape[:2] == (2, 8)


def test_an_expansion_with_two_names_is_narrowed_under_both():
    model = InvertedResidual(8, 32)
    model.again, model.norm = model.conv_pw, model.bn1
    convert_(model, "lean")
    assert model.again is model.conv_pw
    assert model.norm is model.bn1
    assert model(torch.randn(2, 8, 6, 6)).shape == (2, 8, 6, 6)


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
