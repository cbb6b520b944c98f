"""ResNet-8, the image-classification net of MLPerf Tiny, which timm does not have."""

from typing import Any

import torch
from timm.models import register_model
from torch import Tensor, nn


class _BasicBlock(nn.Module):
    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, 1)
        self.bn1 = nn.BatchNorm2d(channels)
        self.act1 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1)
        self.bn2 = nn.BatchNorm2d(channels)
        changes = stride != 1 or in_channels != channels
        self.downsample = nn.Conv2d(in_channels, channels, 1, stride) if changes else nn.Identity()
        self.act2 = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C_in, H, W) to (N, C, H / stride, W / stride)."""
        y = self.act1(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y)) + self.downsample(x)
        out: Tensor = self.act2(y)
        return out


class ResNet8(nn.Module):
    """A stem and three basic blocks, of 16, 32 and 64 channels; for 32x32 images.

    Layer for layer the reference net of MLPerf Tiny (Banbury et al., arXiv 2106.07597; github.com/mlcommons/tiny,
    ``resnet_v1_eembc``): its convolutions have a bias, its shortcuts are a bare 1x1 convolution. 78,186 trainable
    parameters and 12.5 million multiply-adds at 10 classes.

    Args:
        num_classes: K.
        in_chans: Channels of the image.
        channels: Of the three blocks; the stem has the first's.
    """

    def __init__(self, num_classes: int = 10, in_chans: int = 3, channels: tuple[int, int, int] = (16, 32, 64)) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.pretrained_cfg = {"architecture": "resnet8", "input_size": (in_chans, 32, 32), "num_classes": num_classes}
        if len(channels) != 3 or any(isinstance(c, bool) or not isinstance(c, int) or c < 1 for c in channels):
            raise ValueError(f"channels={channels!r}: expected three positive integers, one a block")
        narrow, middle, wide = channels
        self.conv1 = nn.Conv2d(in_chans, narrow, 3, 1, 1)
        self.bn1 = nn.BatchNorm2d(narrow)
        self.act1 = nn.ReLU(inplace=True)
        self.layer1 = _BasicBlock(narrow, narrow, stride=1)
        self.layer2 = _BasicBlock(narrow, middle, stride=2)
        self.layer3 = _BasicBlock(middle, wide, stride=2)
        self.fc = nn.Linear(wide, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]  # made with a bias, above

    def forward_features(self, x: Tensor) -> Tensor:
        """(N, in_chans, H, W) to (N, C, H / 4, W / 4), C the last block's channels."""
        x = self.act1(self.bn1(self.conv1(x)))
        features: Tensor = self.layer3(self.layer2(self.layer1(x)))
        return features

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_chans, H, W) to logits of shape (N, num_classes)."""
        logits: Tensor = self.fc(torch.flatten(nn.functional.adaptive_avg_pool2d(self.forward_features(x), 1), 1))
        return logits


@register_model
def resnet8(pretrained: bool = False, **kwargs: Any) -> ResNet8:
    """ResNet-8 of MLPerf Tiny; see :class:`ResNet8`.

    Raises:
        ValueError: ``pretrained`` is true; there are no weights to fetch.
    """
    if pretrained:
        raise ValueError("pretrained=True: there are no published weights of resnet8 in PyTorch; train it")
    for name in ("pretrained_cfg", "pretrained_cfg_overlay", "cache_dir"):  # timm hands these to every net
        kwargs.pop(name, None)
    return ResNet8(**kwargs)
