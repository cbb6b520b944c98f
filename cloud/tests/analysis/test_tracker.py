"""Which layer is running."""

import timm
import torch
from torch import nn

from groupnl.analysis.tracker import LayerTracker


def test_layers_are_followed_and_hooks_removed():
    model = timm.create_model("groupnl_resnet8", num_classes=5)
    tracker = LayerTracker(model)
    seen = []
    handle = model.layer1.conv1.seed_conv.register_forward_hook(lambda *_: seen.append(tracker.current))
    with tracker.watching():
        model(torch.zeros(1, 3, 32, 32))
    handle.remove()
    assert seen == ["layer1.conv1"]  # a GroupNL layer is one layer, its seed convolution a part of it
    assert tracker.current == ""
    assert tracker.shapes["layer1.conv1"] == (16, 32, 32)
    assert tracker.shapes["fc"] == (5,)
    assert "layer1" not in tracker.shapes
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_hooks_are_removed_after_an_error():
    model = nn.Sequential(nn.Linear(2, 2))
    try:
        with LayerTracker(model).watching():
            model(torch.zeros(1, 3))
    except RuntimeError:
        assert not model[0]._forward_hooks
    else:
        raise AssertionError("the shapes do not fit")
