"""Modules for fewer channels: the first ones must be as they were."""

import pytest
import torch
from timm.layers import BatchNormAct2d, FrozenBatchNormAct2d, GroupNormAct
from torch import nn
from torchvision.ops import FrozenBatchNorm2d

from groupnl.models.narrowing import narrowed, narrowed_conv

CHANNELS, LEFT = 8, 5


def randomize_(module):
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for tensor in (*module.parameters(), *module.buffers()):
            if tensor.dim():
                tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
    return module.eval()


NORMS = {
    "torch": lambda: nn.BatchNorm2d(CHANNELS),
    "without affine parameters": lambda: nn.BatchNorm2d(CHANNELS, affine=False),
    "instance": lambda: nn.InstanceNorm2d(CHANNELS, affine=True),
    "timm": lambda: BatchNormAct2d(CHANNELS),
    "timm frozen": lambda: FrozenBatchNormAct2d(CHANNELS),
    "torchvision frozen": lambda: FrozenBatchNorm2d(CHANNELS),
}
STATELESS = {
    "relu": nn.ReLU(inplace=True),
    "hardswish": nn.Hardswish(),
    "dropout": nn.Dropout2d(0.5),
    "pooling": nn.AvgPool2d(2),
    "upsampling": nn.Upsample(scale_factor=2),
    "block": nn.Sequential(nn.Identity(), nn.Sigmoid()),
}


@pytest.mark.parametrize("name", NORMS)
def test_a_norm_keeps_its_first_channels(name):
    norm = randomize_(NORMS[name]())
    narrow = narrowed(norm, CHANNELS, LEFT)
    x = torch.randn(2, CHANNELS, 3, 4, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(narrow(x[:, :LEFT]), norm(x)[:, :LEFT])
    assert type(narrow) is type(norm)
    assert all(tensor.shape in {(), (LEFT,)} for tensor in narrow.state_dict().values())
    assert narrow.state_dict().keys() == norm.state_dict().keys()
    assert all(tensor.shape in {(), (CHANNELS,)} for tensor in norm.state_dict().values())
    assert getattr(narrow, "num_features", LEFT) == LEFT


@pytest.mark.parametrize("name", STATELESS)
def test_what_has_no_channels_of_its_own_stays(name):
    module = STATELESS[name]
    assert narrowed(module, CHANNELS, LEFT) is module


@pytest.mark.parametrize(
    "module",
    [
        nn.PReLU(CHANNELS),
        nn.GroupNorm(2, CHANNELS),
        nn.Softmax2d(),
        nn.ChannelShuffle(2),
        nn.PixelShuffle(2),
        nn.Flatten(),
        nn.LocalResponseNorm(3),
        GroupNormAct(CHANNELS, num_groups=2),
        BatchNormAct2d(CHANNELS, act_layer=nn.PReLU),
        nn.Linear(3, 3),
    ],
    ids=lambda module: type(module).__name__,
)
def test_what_depends_on_other_channels_is_refused(module):
    with pytest.raises(ValueError, match=f"{type(module).__name__}, which does not work on each channel alone"):
        narrowed(module, CHANNELS, 4)


@pytest.mark.parametrize("bias", [True, False])
def test_a_convolution_keeps_its_first_filters(bias):
    conv = nn.Conv2d(3, CHANNELS, 1, bias=bias).double().requires_grad_(False)
    narrow = narrowed_conv(conv, LEFT)
    x = torch.randn(1, 3, 4, 5, dtype=torch.double)
    torch.testing.assert_close(narrow(x), conv(x)[:, :LEFT])
    assert (narrow.out_channels, conv.out_channels) == (LEFT, CHANNELS)
    assert not any(parameter.requires_grad for parameter in narrow.parameters())
