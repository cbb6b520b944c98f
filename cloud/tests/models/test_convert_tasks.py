"""Nets for other tasks than classification, and of other kinds than plain CNNs: converted, they train."""

from collections import Counter

import pytest
import timm
import torch
from timm.layers import freeze_batch_norm_2d
from torch import nn
from torchvision.models import detection, segmentation

from groupnl.models import convert_
from groupnl.nn import GhostConv2d, GroupNLConv2d

NO_WEIGHTS = {"weights": None, "weights_backbone": None, "num_classes": 3}
SMALL = {"min_size": 64, "max_size": 64}
EXPANSIONS = "not a 1x1 expansion before a depthwise convolution or a 1x1 projection"
WITHOUT_EXPANSION = "a depthwise convolution without a 1x1 expansion right before it, norms and activations aside"
NOT_LEAN = "not the depthwise convolution of an inverted residual block"


def ssdlite():
    model = detection.ssdlite320_mobilenet_v3_large(**NO_WEIGHTS)
    model.transform.fixed_size = (96, 96)
    return model


def frozen_fasterrcnn():
    """As torchvision makes it with pretrained weights: batch norms and the first blocks stay as they are."""
    model = detection.fasterrcnn_mobilenet_v3_large_320_fpn(**NO_WEIGHTS, **SMALL)
    model.backbone.body = freeze_batch_norm_2d(model.backbone.body)
    for index in range(4):
        model.backbone.body[str(index)].requires_grad_(False)
    return model


# what makes the net, its policy, how many convolutions are replaced, why how many are not
DETECTION = {
    "fasterrcnn": (
        lambda: detection.fasterrcnn_mobilenet_v3_large_320_fpn(**NO_WEIGHTS, **SMALL),
        "sparse_depthwise",
        15,
        {"not depthwise": 54},
    ),
    "fasterrcnn, frozen": (frozen_fasterrcnn, "lean", 14, {NOT_LEAN: 54, WITHOUT_EXPANSION: 1}),
    "ssdlite": (ssdlite, "pointwise", 13, {EXPANSIONS: 85}),
}
SEGMENTATION = {
    "lraspp": (
        lambda: segmentation.lraspp_mobilenet_v3_large(**NO_WEIGHTS),
        "lean",
        14,
        {NOT_LEAN: 51, WITHOUT_EXPANSION: 1},
    ),
    "deeplabv3": (
        lambda: segmentation.deeplabv3_mobilenet_v3_large(**NO_WEIGHTS, aux_loss=True),
        "standard",
        5,  # the three of atrous pooling, and one of each head
        {
            "kernel 1x1, not 3x3": 51,
            "kernel 5x5, not 3x3": 6,
            "stride 2x2, not 1": 3,
            "already a grouped convolution": 7,
        },
    ),
}
CLASSIFICATION = {
    "convnext": ("convnext_atto", 64, "sparse_depthwise", 12, {"not depthwise": 28}),
    "convnext, pointwise": ("convnext_atto", 64, "pointwise", 12, {EXPANSIONS: 28}),
    "mobilevit": ("mobilevit_xxs", 64, "lean", 7, {NOT_LEAN: 28}),
    "fastvit": (
        "fastvit_t8",
        64,
        "sparse_depthwise",
        32,
        {"not depthwise": 28, "grouped, but not depthwise with an output for each input": 8},
    ),
}
LARGE = {
    "fasterrcnn, resnet50": (
        lambda: detection.fasterrcnn_resnet50_fpn(**NO_WEIGHTS, **SMALL),
        "ghost",
        18,
        {"kernel 1x1, not 3x3": 42, "stride 2x2, not 1": 3, "kernel 7x7, not 3x3": 1},
    ),
    "retinanet, resnet50": (
        lambda: detection.retinanet_resnet50_fpn(**NO_WEIGHTS, **SMALL),
        "sparse_bottleneck",
        13,
        {
            "kernel 1x1, not 3x3": 39,
            "not between the two 1x1 convolutions of a bottleneck block": 13,
            "stride 2x2, not 1": 5,
            "kernel 7x7, not 3x3": 1,
        },
    ),
}


def converted(model, policy, count, left, size):
    torch.manual_seed(0)
    for parameter in model.parameters():
        if parameter.dim() == 1 and not parameter.any():
            nn.init.normal_(parameter)  # timm starts some blocks as the identity, and nothing would reach their inside
    report = convert_(model, policy, input_size=(3, size, size))
    assert len(report.replaced) == count
    assert Counter(row.reason for row in report.skipped) == left
    assert all(f"left {number} x {reason}" in str(report) for reason, number in left.items())
    return report


def check_gradients(model, loss):
    assert loss.isfinite()
    loss.backward()
    layers = [module for module in model.modules() if isinstance(module, (GroupNLConv2d, GhostConv2d))]
    assert layers
    for layer in layers:
        weight = (layer.seed_conv if isinstance(layer, GroupNLConv2d) else layer.primary_conv[0]).weight
        assert (weight.grad is not None and weight.grad.any()) == weight.requires_grad
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters() if parameter.grad is not None)


def check_detection(make, policy, count, left):
    model = make()
    report = converted(model, policy, count, left, 64)
    assert "does not run on a batch of images of (3, 64, 64)" in report.not_counted
    generator = torch.Generator().manual_seed(1)
    images = [torch.rand(3, 64, 64, generator=generator), torch.rand(3, 64, 48, generator=generator)]
    boxes = torch.tensor([[4.0, 6.0, 40.0, 50.0], [10.0, 12.0, 30.0, 28.0]])
    losses = model.train()(images, [{"boxes": boxes, "labels": torch.tensor([1, 2])} for _ in images])
    check_gradients(model, sum(losses.values()))
    with torch.no_grad():
        found = model.eval()(images)
    assert [sorted(each) for each in found] == [["boxes", "labels", "scores"]] * 2


@pytest.mark.parametrize("name", DETECTION)
def test_detection(name):
    make, policy, count, left = DETECTION[name]
    check_detection(make, policy, count, left)


@pytest.mark.long
@pytest.mark.parametrize("name", LARGE)
def test_detection_with_large_backbones(name):
    make, policy, count, left = LARGE[name]
    check_detection(make, policy, count, left)


@pytest.mark.parametrize("name", SEGMENTATION)
def test_segmentation(name):
    make, policy, count, left = SEGMENTATION[name]
    model = make()
    report = converted(model, policy, count, left, 64)
    assert report.macs_after < report.macs_before
    out = model.train()(torch.randn(2, 3, 64, 48))
    assert {maps.shape for maps in out.values()} == {(2, 3, 64, 48)}
    labels = torch.randint(3, (2, 64, 48), generator=torch.Generator().manual_seed(1))
    check_gradients(model, sum(nn.functional.cross_entropy(maps, labels) for maps in out.values()))


@pytest.mark.parametrize("name", CLASSIFICATION)
def test_classification(name):
    base, size, policy, count, left = CLASSIFICATION[name]
    model = timm.create_model(base, num_classes=3)
    report = converted(model, policy, count, left, size)
    assert report.macs_after <= report.macs_before
    out = model.train()(torch.randn(2, 3, size, size))
    check_gradients(model, nn.functional.cross_entropy(out, torch.tensor([0, 2])))


def test_a_frozen_backbone_stays_frozen():
    model = frozen_fasterrcnn()
    convert_(model, "lean")
    first, last = (model.backbone.body[str(index)].block[1][0] for index in (2, 15))
    assert isinstance(first, GroupNLConv2d)
    assert not first.seed_conv.weight.requires_grad
    assert last.seed_conv.weight.requires_grad
    norm = model.backbone.body["2"].block[0][1]
    assert (type(norm).__name__, norm.running_var.shape, list(norm.parameters())) == ("FrozenBatchNorm2d", (32,), [])
