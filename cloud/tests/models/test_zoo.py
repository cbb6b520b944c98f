"""The zoo: registered with timm, the published sizes, overrides and refusals."""

import pytest
import timm
import torch

import groupnl
from groupnl.models import ZOO, zoo_names
from groupnl.nn import GroupNLConv2d

# Trainable parameters at 1000 classes and number of replaced layers, as the published code has them.
PUBLISHED = {
    "groupnl_resnet50": (17_362_280, 13),
    "groupnl_resnet101": (26_366_568, 30),
    "groupnl_std_r2_resnet50": (21_446_696, 13),
    "groupnl_std_r2_resnet101": (35_425_320, 30),
    "groupnl_std_r4_resnet50": (19_391_528, 13),
    "groupnl_std_r4_resnet101": (30_863_400, 30),
    "groupnl_mobilenetv2_100": (3_504_872, 17),
    "groupnl_mobilenetv3_large_100": (5_483_032, 15),
    "groupnl_efficientnet_lite0": (4_652_008, 16),
    "groupnl_efficientnetv2_s": (21_458_488, 30),
    "groupnl_efficientnet_es": (5_438_392, 11),
}


def layers_of(model):
    return {name: module for name, module in model.named_modules() if isinstance(module, GroupNLConv2d)}


def params_of(model):
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_sizes(name):
    with torch.device("meta"):  # sizes only
        model = timm.create_model(name)
    assert (params_of(model), len(layers_of(model))) == PUBLISHED[name]


def test_every_row_is_registered_with_timm_under_its_name():
    assert set(ZOO) <= set(timm.list_models())
    assert all(timm.is_model(name) for name in zoo_names())


def test_resnet8_is_mlperf_tinys_reference():
    model = timm.create_model("resnet8", num_classes=10)
    # 78,666 is the Keras reference's count, which includes 2 x 240 running statistics of its batch norms
    statistics = sum(b.numel() for name, b in model.named_buffers() if "running" in name)
    assert params_of(model) + statistics == 78_666
    assert model(torch.randn(2, 3, 32, 32)).shape == (2, 10)


def test_groupnl_resnet8_replaces_every_stride_one_3x3_convolution_but_the_stem():
    model = timm.create_model("groupnl_resnet8", num_classes=10)
    assert set(layers_of(model)) == {"layer1.conv1", "layer1.conv2", "layer2.conv2", "layer3.conv2"}
    assert all(layer.key == name for name, layer in layers_of(model).items())
    assert model(torch.randn(2, 3, 32, 32)).shape == (2, 10)


@pytest.mark.parametrize("name", ["groupnl_resnet18", "groupnl_resnet34"])
def test_basic_block_nets(name):
    model = timm.create_model(name, num_classes=7, cifar_stem=True)
    layers = layers_of(model)
    # two convolutions a block, but for the first of a stage with stride 2
    assert len(layers) == {"groupnl_resnet18": 13, "groupnl_resnet34": 29}[name]
    assert "conv1" not in layers
    assert model(torch.randn(1, 3, 32, 32)).shape == (1, 7)
    assert model.conv1.stride == (1, 1)
    assert isinstance(model.maxpool, torch.nn.Identity)


def test_sparse_depthwise_seed_maps_see_two_inputs_each():
    model = timm.create_model("groupnl_mobilenetv3_large_100")
    for layer in layers_of(model).values():
        assert layer.seed_conv.weight.shape[1] == 2
        assert layer.seed_conv.groups == layer.in_channels // 2


def test_options_can_be_overridden():
    model = timm.create_model(
        "groupnl_resnet18",
        num_classes=10,
        cifar_stem=True,
        reduction=4,
        nl_groups=2,
        nlf="identity",
        normalize="rms",
        seed=9,
    )
    for layer in layers_of(model).values():
        assert (layer.reduction, layer.nl_groups, layer.nlf, layer.normalize, layer.seed) == (
            4,
            2,
            "identity",
            "rms",
            9,
        )


def test_reduction_one_has_the_bases_parameters():
    assert params_of(timm.create_model("groupnl_resnet8", reduction=1)) == params_of(timm.create_model("resnet8"))


def test_vanilla_nets_take_the_cifar_stem_too():
    model = groupnl.create_model("resnet18", num_classes=10, cifar_stem=True)
    assert params_of(model) == 11_173_962  # the widely used CIFAR ResNet-18
    assert model.pretrained_cfg["input_size"] == (3, 32, 32)


def test_refusals():
    with pytest.raises(ValueError, match="no net 'resnet19'"):
        groupnl.create_model("resnet19")
    with pytest.raises(ValueError, match="has no ResNet stem"):
        groupnl.create_model("mobilenetv3_small_050", cifar_stem=True)
    for name in ("groupnl_resnet18", "resnet8"):
        with pytest.raises(ValueError, match="pretrained=True"):
            timm.create_model(name, pretrained=True)
    with pytest.raises(ValueError, match="nl_groups=64: expected 1 to 8"):
        timm.create_model("groupnl_resnet8", nl_groups=64)
