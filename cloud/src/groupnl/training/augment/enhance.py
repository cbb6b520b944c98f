"""Brightness, contrast, colour and sharpness as Pillow's ``ImageEnhance``: for RandAugment, not for AugMix or PixMix.

Each picture is moved away from, or towards, a plainer one: ``plain + factor (picture - plain)``, truncated.
"""

import torch
from torch import Tensor
from torch.nn import functional as F


def brightness(images: Tensor, factor: Tensor) -> Tensor:
    """Against black; uint8 (N, C, H, W) and factors (N,), 1 changes nothing; uint8 of the same shape."""
    return _blend(torch.zeros_like(images[:, :1]), images, factor)


def contrast(images: Tensor, factor: Tensor) -> Tensor:
    """Against the mean of the grey picture; uint8 (N, 3, H, W) and factors (N,), uint8 of the same shape."""
    mean = _gray(images).double().mean((1, 2, 3), keepdim=True).add_(0.5).to(torch.uint8)
    return _blend(mean, images, factor)


def color(images: Tensor, factor: Tensor) -> Tensor:
    """Against the grey picture; uint8 (N, 3, H, W) and factors (N,), uint8 of the same shape."""
    return _blend(_gray(images), images, factor)


def sharpness(images: Tensor, factor: Tensor) -> Tensor:
    """Against the smoothed picture, (1 1 1, 1 5 1, 1 1 1) / 13 inside and itself on the border; shapes as above."""
    levels = images.float()
    box = F.avg_pool2d(levels, 3, stride=1, divisor_override=1) if min(images.shape[2:]) > 2 else None
    smooth = images.clone()
    if box is not None:
        smooth[..., 1:-1, 1:-1] = ((box + 4 * levels[..., 1:-1, 1:-1]) / 13 + 0.5).to(torch.uint8)
    return _blend(smooth, images, factor)


def _gray(images: Tensor) -> Tensor:
    """Luma as Pillow's mode L, ITU-R 601-2 in 16-bit fixed point; (N, 3, H, W) to (N, 1, H, W)."""
    red, green, blue = images.int().unsqueeze(2).unbind(1)
    return ((red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16).to(torch.uint8)


def _blend(plain: Tensor, images: Tensor, factor: Tensor) -> Tensor:
    base, weight = plain.float(), factor.float().view(-1, 1, 1, 1)
    return (base + weight * (images.float() - base)).clamp_(0, 255).to(torch.uint8)
