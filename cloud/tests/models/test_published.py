"""Checkpoints of the published code: their keys and hyperparameters, and the outputs of their arithmetic."""

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

import groupnl
from groupnl.export import export_bundle
from groupnl.models import load_published_
from groupnl.nn import GroupNLConv2d
from groupnl_device.preprocessing import Preprocessing

GROUPS = 4


class PublishedLayer(nn.Module):
    """What the published layer computes, written from its description: flat values, group by group, copy by copy."""

    def __init__(self, in_channels, out_channels, seeds, groups):
        super().__init__()
        copies = out_channels // seeds - 1
        self.conv1 = nn.Conv2d(in_channels, seeds, 3, padding=1, groups=groups, bias=False)
        self.periods = nn.Parameter(1 + torch.rand(GROUPS * copies), requires_grad=False)
        self.shifts = nn.Parameter(1 + torch.rand(GROUPS * copies), requires_grad=False)

    def forward(self, x):
        y = self.conv1(x)
        y = y / y.norm(dim=1, keepdim=True).clamp_min(1e-12)
        copies = len(self.periods) // GROUPS
        maps = [y]
        for i, group in enumerate(y.chunk(GROUPS, dim=1)):
            first, last = i * copies, (i + 1) * copies
            pairs = zip(self.periods[first:last], self.shifts[first:last], strict=True)
            maps += [torch.sin((group - shift) * period) for period, shift in pairs]
        return torch.cat(maps, dim=1)


def published_net(name):
    """Our net, each GroupNL layer exchanged for the published arithmetic: its state dict has the published keys."""
    torch.manual_seed(1)
    model = timm.create_model(name, num_classes=6)
    for key, layer in [(key, m) for key, m in model.named_modules() if isinstance(m, GroupNLConv2d)]:
        theirs = PublishedLayer(layer.in_channels, layer.out_channels, layer.seed_channels, layer.seed_conv.groups)
        model.set_submodule(key, theirs)
    return model.eval()


@pytest.mark.parametrize("name", ["groupnl_resnet50", "groupnl_std_r4_resnet50"])
def test_outputs_equal_the_published_arithmetic(name, tmp_path):
    theirs = published_net(name)
    assert "layer1.0.conv2.conv1.weight" in theirs.state_dict()
    torch.save({"state_dict": theirs.state_dict(), "epoch": 3}, tmp_path / "theirs.pth.tar")
    ours = timm.create_model(name, num_classes=6).eval()
    load_published_(ours, tmp_path / "theirs.pth.tar")
    x = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(ours(x), theirs(x), atol=1e-5, rtol=1e-5)
    layer = ours.layer1[0].conv2
    assert layer.explicit
    assert torch.equal(layer.period.flatten(), theirs.layer1[0].conv2.periods)
    groupnl.save(ours, tmp_path / "ours.safetensors", preprocessing=None, class_names=())
    torch.testing.assert_close(groupnl.load(tmp_path / "ours.safetensors")(x), ours(x), rtol=0, atol=0)


def test_explicit_pairs_are_shipped_in_the_bundle(tmp_path):
    model = timm.create_model("groupnl_resnet8", num_classes=3, reduction=4).eval()
    layer = model.layer2.conv2
    layer.set_pairs_(torch.rand(4, 3) + 1, torch.rand(4, 3) * 4)
    preprocessing = Preprocessing(input_size=(3, 32, 32), mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    report = export_bundle(
        model,
        tmp_path / "net.gnl",
        example_input=torch.zeros(1, 3, 32, 32),
        preprocessing=preprocessing,
        class_names=("a", "b", "c"),
    )
    assert report.agreement.max_relative_difference < 1e-4
    shipped = {entry.name: entry.explicit_names for entry in report.manifest.layers}
    assert shipped["layer2.conv2"]
    assert not shipped["layer1.conv1"]


def test_data_parallel_prefixes_and_safetensors(tmp_path):
    theirs = published_net("groupnl_resnet8")
    state = {f"module.{key}": value for key, value in theirs.state_dict().items()}
    save_file(state, tmp_path / "theirs.safetensors")
    ours = timm.create_model("groupnl_resnet8", num_classes=6).eval()
    for layer in ours.modules():
        if isinstance(layer, GroupNLConv2d):
            layer.seed_conv.bias = None  # the published layer has none
    load_published_(ours, tmp_path / "theirs.safetensors")
    x = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(ours(x), theirs(x), atol=1e-5, rtol=1e-5)


def test_refusals(tmp_path):
    ours = timm.create_model("groupnl_resnet50", num_classes=6)
    with pytest.raises(FileNotFoundError, match="no checkpoint"):
        load_published_(ours, tmp_path / "absent.pth")
    (tmp_path / "text.pth").write_text("hello")
    with pytest.raises(ValueError, match="no checkpoint that can be read safely"):
        load_published_(ours, tmp_path / "text.pth")
    torch.save({"net": nn.Linear(1, 1)}, tmp_path / "module.pth")  # a pickled module: code, which is not run
    with pytest.raises(ValueError, match="no checkpoint that can be read safely"):
        load_published_(ours, tmp_path / "module.pth")
    torch.save(timm.create_model("resnet50", num_classes=6).state_dict(), tmp_path / "vanilla.pth")
    with pytest.raises(ValueError, match="has no periods and shifts there"):
        load_published_(ours, tmp_path / "vanilla.pth")
    torch.save(published_net("groupnl_std_r4_resnet50").state_dict(), tmp_path / "r4.pth")
    with pytest.raises(ValueError, match="12 periods and 12 shifts, the net expects 4 groups x 1 copies"):
        load_published_(ours, tmp_path / "r4.pth")
