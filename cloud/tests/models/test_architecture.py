"""How a net was made is remembered, or honestly not known."""

import timm
from torch import nn

import groupnl
from groupnl.models import Conversion, architecture_of, convert_


def test_zoo_timm_and_converted_nets_are_known():
    architecture, conversion = architecture_of(timm.create_model("groupnl_resnet8", num_classes=3, reduction=4))
    assert (architecture.name, dict(architecture.arguments)) == ("groupnl_resnet8", {"num_classes": 3, "reduction": 4})
    assert conversion is None
    model = timm.create_model("resnet18", num_classes=5)  # straight from timm, not through this package
    convert_(model, "standard", reduction=4, input_size=(3, 32, 32))
    architecture, conversion = architecture_of(model)
    assert (architecture.name, dict(architecture.arguments)) == ("resnet18", {"num_classes": 5})
    assert conversion == Conversion(policy="standard", options={"reduction": 4})


def test_the_cifar_stem_is_remembered():
    architecture, _ = architecture_of(groupnl.create_model("resnet18", num_classes=10, cifar_stem=True))
    assert architecture.arguments["cifar_stem"] is True


def test_a_net_of_ones_own_is_not_known():
    assert architecture_of(nn.Sequential(nn.Conv2d(3, 4, 1))) == (None, None)
