"""ResNet-8: shapes, its shortcuts, and the count of the reference."""

import pytest
import torch
from torch import nn

from groupnl.models import ResNet8


def test_stages_and_shortcuts():
    model = ResNet8(num_classes=7, in_chans=1)
    x = torch.randn(2, 1, 32, 48)
    assert model.forward_features(x).shape == (2, 64, 8, 12)
    assert model(x).shape == (2, 7)
    assert isinstance(model.layer1.downsample, nn.Identity)
    for block, channels in ((model.layer2, 32), (model.layer3, 64)):
        shortcut = block.downsample
        assert (shortcut.kernel_size, shortcut.stride, shortcut.out_channels) == ((1, 1), (2, 2), channels)
        assert shortcut.bias is not None


@pytest.mark.parametrize("classes", [10, 20])
def test_trainable_parameters(classes):
    assert sum(p.numel() for p in ResNet8(num_classes=classes).parameters()) == 78_186 + 65 * (classes - 10)


def test_the_initialisation_keeps_the_scale_of_activations():
    torch.manual_seed(0)
    features = ResNet8().forward_features(torch.randn(16, 3, 32, 32))
    assert 0.1 < features.std() < 10


def test_other_widths():
    model = ResNet8(num_classes=5, channels=(3, 5, 7))
    assert model.forward_features(torch.randn(2, 3, 8, 8)).shape == (2, 7, 2, 2)
    assert model(torch.randn(2, 3, 8, 8)).shape == (2, 5)


@pytest.mark.parametrize("channels", [(16, 32), (16, 0, 64), (16, 32.0, 64), (True, 2, 3)])
def test_widths_that_are_not_three_positive_integers_are_refused(channels):
    with pytest.raises(ValueError, match="expected three positive integers"):
        ResNet8(channels=channels)
