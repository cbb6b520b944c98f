"""The sparse form of basic blocks: what is replaced, what it costs, who is refused."""

import pytest
import torch
from torch import nn

import groupnl
from groupnl.models import convert_
from groupnl.nn import GroupNLConv2d, HadamardMix


def net(name="resnet18", **arguments):
    torch.manual_seed(0)
    return groupnl.create_model(name, num_classes=4, **arguments)


def test_every_convolution_of_standard_becomes_sparse_behind_a_mix():
    small = {"channels": (16, 32, 64, 128)}
    model = net(**small)
    report = convert_(model, "sparse_basic", seed=3)
    assert len(report.replaced) == 13
    assert report.replaced[0].after == "HadamardMix, GroupNL(64, 8 + 8, 8 groups)"
    slot = model.layer1[0].conv1
    assert isinstance(slot.mix, HadamardMix)
    assert isinstance(slot.conv, GroupNLConv2d)
    assert (slot.conv.key, slot.conv.seed) == ("layer1.0.conv1.conv", 3)
    assert (slot.mix.block, slot.conv.seed_conv.groups) == (64, 8)  # 64 channels from the stem, 8 seed maps
    out = model(torch.randn(2, 3, 32, 32))
    out.sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_the_cure_costs_no_parameter_and_no_multiply_add():
    model = net("resnet8")
    report = convert_(model, "sparse_basic", input_size=(3, 32, 32))
    sizes = [(16, 32), (16, 32), (32, 16), (64, 8)]  # channels, side of the maps
    sparse = sum(channels // 2 * 2 * 9 for channels, _ in sizes)
    dense = sum(channels * channels * 9 for channels, _ in sizes)
    biases = sum(channels // 2 for channels, _ in sizes)  # one per seed map instead of one per channel
    assert report.params_before - report.params_after == dense - sparse + biases
    arithmetic = sum((channels * channels - channels) * 9 * side**2 for channels, side in sizes)
    assert report.macs_before - report.macs_after == arithmetic


def test_bottleneck_blocks_are_left_to_their_own_policy():
    model = net("resnet26")
    with pytest.raises(ValueError, match="see policy 'sparse_bottleneck'"):
        convert_(model, "sparse_basic")


def test_sparse_bottleneck_points_to_sparse_basic():
    model = net()
    with pytest.raises(ValueError, match=r"without bottleneck blocks.*use 'sparse_basic'"):
        convert_(model, "sparse_bottleneck")
    assert not any(isinstance(module, GroupNLConv2d) for module in model.modules())


def test_odd_channels_stay_with_their_reason():
    model = nn.Sequential(*(nn.Conv2d(a, b, 3, padding=1) for a, b in ((3, 9), (9, 8), (8, 8))))
    report = convert_(model, "sparse_basic")
    assert [row.name for row in report.replaced] == ["2"]
    assert any("channels=9: expected an even number" in row.reason for row in report.skipped)


def test_a_converted_net_is_saved_and_comes_back(tmp_path):
    model = net("resnet8")
    convert_(model, "sparse_basic", seed=2)
    groupnl.save(model.eval(), tmp_path / "net.safetensors", preprocessing=None, class_names=())
    x = torch.randn(1, 3, 32, 32)
    torch.testing.assert_close(groupnl.load(tmp_path / "net.safetensors")(x), model(x), rtol=0, atol=0)


def test_it_exports_and_the_device_agrees(tmp_path):
    from groupnl_device.preprocessing import Preprocessing

    model = net("resnet8")
    convert_(model, "sparse_basic")
    preprocessing = Preprocessing(input_size=(3, 32, 32), mean=(0.5,) * 3, std=(0.5,) * 3)
    x = torch.randn(1, 3, 32, 32)
    groupnl.export_bundle(  # refuses where the graph and the net disagree
        model.eval(),
        tmp_path / "net.gnl",
        example_input=x,
        preprocessing=preprocessing,
        class_names=("a", "b", "c", "d"),
    )
