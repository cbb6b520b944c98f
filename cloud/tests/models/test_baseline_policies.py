"""Ghost, SineFM and Mono nets: which layers, how many parameters, saved and exported like any other."""

import pytest
import timm
import torch
from timm.layers import BatchNormAct2d
from torch import nn
from torchvision.ops import FrozenBatchNorm2d

import groupnl
from groupnl.export import export_bundle
from groupnl.models import convert_
from groupnl.nn import GhostConv2d, MonoConv2d, SineFMConv2d
from groupnl_device.preprocessing import Preprocessing

KINDS = {"ghost": GhostConv2d, "sinefm": SineFMConv2d, "mono": MonoConv2d}
GENERATED = ("layer1.conv1", "layer1.conv2", "layer2.conv2", "layer3.conv2")


@pytest.mark.parametrize(("policy", "kind"), KINDS.items())
def test_the_convolutions_of_standard_are_replaced(policy, kind):
    model = timm.create_model(f"{policy}_resnet8", num_classes=10)
    assert tuple(name for name, module in model.named_modules() if isinstance(module, kind)) == GENERATED
    out = model(torch.randn(2, 3, 32, 32))
    assert out.shape == (2, 10)
    out.sum().backward()


@pytest.mark.parametrize("base", ["resnet18", "resnet34", "resnet50", "resnet101"])
def test_parameters_follow_from_the_formulas(base):
    # m, n: output and input channels of a replaced 3x3 convolution; the published costs, and the inner batch norms
    with torch.device("meta"):
        vanilla = timm.create_model(base)
        report = convert_(timm.create_model(base), "standard")
        nets = {policy: timm.create_model(f"{policy}_{base}") for policy in KINDS}
    sizes = [vanilla.get_submodule(row.name).weight.shape for row in report.replaced]
    vanilla_params = sum(p.numel() for p in vanilla.parameters())
    expected = {
        "ghost": sum((m // 2) * (n * 9 + 9) + 2 * m for m, n, *_ in sizes),
        "sinefm": sum((m // 2) * (n * 9 + 2) + 2 * 2 * (m // 2) for m, n, *_ in sizes),
        "mono": sum((m // 2) * n * 9 for m, n, *_ in sizes),
    }
    for policy, model in nets.items():
        params = sum(p.numel() for p in model.parameters())
        assert params == vanilla_params - sum(m * n * 9 for m, n, *_ in sizes) + expected[policy], policy


def test_seed_filters_and_biases_start_from_the_convolution():
    for policy in KINDS:
        model = groupnl.create_model("resnet8")
        weight, bias = model.layer1.conv1.weight.detach().clone(), model.layer1.conv1.bias.detach().clone()
        convert_(model, policy)
        layer = model.layer1.conv1
        conv = {"ghost": lambda x: x.primary_conv[0], "sinefm": lambda x: x.seed_conv, "mono": lambda x: x.conv}[
            policy
        ](layer)
        torch.testing.assert_close(conv.weight, weight[:8], rtol=0, atol=0)
        torch.testing.assert_close(
            layer.bias if policy == "mono" else conv.bias[:8], bias if policy == "mono" else bias[:8]
        )


@pytest.mark.parametrize("policy", KINDS)
def test_saved_loaded_and_exported(policy, tmp_path):
    model = timm.create_model(f"{policy}_resnet8", num_classes=3)
    model(torch.randn(8, 3, 32, 32))
    preprocessing = Preprocessing(input_size=(3, 32, 32), mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    names = ("a", "b", "c")
    groupnl.save(model.eval(), tmp_path / "net.safetensors", preprocessing=preprocessing, class_names=names)
    loaded = groupnl.load(tmp_path / "net.safetensors")
    x = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(loaded(x), model(x), rtol=0, atol=0)
    report = export_bundle(
        loaded, tmp_path / "net.gnl", example_input=x, preprocessing=preprocessing, class_names=names
    )
    assert report.agreement.max_relative_difference < 1e-4


def relus(model):
    """Of every Ghost layer: whether its primary convolution and its cheap one have a ReLU."""
    layers = {name: module for name, module in model.named_modules() if isinstance(module, GhostConv2d)}
    for layer in layers.values():
        assert type(layer.primary_conv[2]) is type(layer.cheap_operation[2])
    return {name: isinstance(layer.primary_conv[2], nn.ReLU) for name, layer in layers.items()}


def test_ghost_has_inner_relus_in_conv_bn_relu_slots_only():
    # the second convolution of a basic block goes into an addition, the middle one of a bottleneck into a ReLU
    assert relus(timm.create_model("ghost_resnet8")) == {name: name == "layer1.conv1" for name in GENERATED}
    with torch.device("meta"):
        basic, bottleneck = timm.create_model("ghost_resnet18"), timm.create_model("ghost_resnet50")
    assert {name.rpartition(".")[2]: has for name, has in relus(basic).items()} == {"conv1": True, "conv2": False}
    assert set(relus(bottleneck).values()) == {True}


class Functional(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8)

    def forward(self, x):
        return nn.functional.relu(self.norm(self.conv(x)))


@pytest.mark.parametrize(
    ("after", "has"),
    [
        ((nn.BatchNorm2d(8), nn.ReLU()), True),
        ((nn.BatchNorm2d(8), nn.Dropout2d(), nn.Identity(), nn.ReLU6()), True),
        ((FrozenBatchNorm2d(8), nn.LeakyReLU()), True),
        ((BatchNormAct2d(8),), True),
        ((BatchNormAct2d(8, act_layer=nn.SiLU),), False),
        ((BatchNormAct2d(8, apply_act=False), nn.ReLU()), True),
        ((nn.BatchNorm2d(8), nn.SiLU()), False),
        ((nn.BatchNorm2d(8), nn.MaxPool2d(2), nn.ReLU()), False),
        ((nn.BatchNorm2d(8),), False),
        ((nn.ReLU(), nn.BatchNorm2d(8)), False),
        ((nn.MaxPool2d(2), nn.ReLU()), False),
        ((), False),
    ],
)
def test_what_a_conv_bn_relu_slot_is(after, has):
    model = nn.Sequential(nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 3, padding=1), *after)
    convert_(model, "ghost")
    assert relus(model) == {"1": has}
    model(torch.randn(2, 3, 6, 6)).sum().backward()


@pytest.mark.parametrize(("activation", "has"), [(None, False), (False, False), (True, True)])
def test_a_function_is_not_seen_but_the_option_decides(activation, has):
    model = nn.Sequential(nn.Conv2d(3, 8, 1), Functional())
    convert_(model, "ghost", activation=activation)
    assert relus(model) == {"1.conv": has}
    slot = nn.Sequential(nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8), nn.ReLU())
    convert_(slot, "ghost", activation=activation)
    assert relus(slot) == {"1": activation is not False}


def test_refusals():
    with pytest.raises(ValueError, match="reduction=1: expected an integer of at least 2"):
        convert_(groupnl.create_model("resnet8"), "ghost", reduction=1)
    model = timm.create_model("ghost_resnet8")
    with pytest.raises(ValueError, match=r"4 layers like 'layer1\.conv1', a GhostConv2d"):
        convert_(model)
    with pytest.raises(ValueError, match="already a grouped convolution"):
        convert_(nn.Sequential(nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 3, groups=8)), "sinefm")
