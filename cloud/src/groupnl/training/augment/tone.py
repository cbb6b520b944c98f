"""Operations that map the levels of each picture by a rule of its own; equal to Pillow's ``ImageOps``, to the level."""

import torch
from torch import Tensor

_LEVELS = 256


def autocontrast(images: Tensor) -> Tensor:
    """Stretch each channel of each picture so that its darkest pixel becomes 0 and its brightest 255.

    Args:
        images: uint8, shape (N, C, H, W).

    Returns:
        uint8, the same shape; a channel of one level stays as it is.
    """
    levels = images.flatten(2)
    lowest, highest = (end.unsqueeze(2).double() for end in levels.aminmax(dim=2))  # float64, as Pillow's Python
    scale = torch.full_like(lowest, 255.0) / (highest - lowest).clamp(min=1)  # 255.0 / x would take the reciprocal
    stretched = (levels * scale + -lowest * scale).clamp_(0, 255)
    return torch.where(highest > lowest, stretched.to(torch.uint8), levels).view_as(images)


def equalize(images: Tensor) -> Tensor:
    """Spread the levels of each channel of each picture so that all become about as frequent.

    With h the histogram and ``step = (pixels - h[highest level present]) // 255``, level i becomes
    ``(step // 2 + h[0] + ... + h[i - 1]) // step``, at most 255; with step 0 (one level, few pixels) nothing changes.

    Args:
        images: uint8, shape (N, C, H, W).

    Returns:
        uint8, the same shape.
    """
    count, channels, height, width = images.shape
    planes = count * channels
    offsets = torch.arange(planes, device=images.device, dtype=torch.int32).mul_(_LEVELS).view(planes, 1)
    bins = (images.reshape(planes, height * width) + offsets).flatten()  # one row of 256 bins for each channel
    histogram = torch.bincount(bins, minlength=planes * _LEVELS).view(planes, _LEVELS)
    levels = torch.arange(_LEVELS, device=images.device)
    highest = images.reshape(planes, -1).amax(1, keepdim=True).long()
    step = (height * width - histogram.gather(1, highest)).div_(255, rounding_mode="floor")
    before = histogram.cumsum(1) - histogram
    spread = (
        (step.div(2, rounding_mode="floor") + before).div_(step.clamp(min=1), rounding_mode="floor").clamp_(max=255)
    )
    table = torch.where(step > 0, spread, levels).to(torch.uint8)
    return table.flatten().index_select(0, bins).view(images.shape)


def posterize(images: Tensor, bits: Tensor) -> Tensor:
    """Keep the highest bits of every level.

    Args:
        images: uint8, shape (N, C, H, W).
        bits: How many of each picture, 1 to 8, shape (N,).

    Returns:
        uint8, the same shape as ``images``.
    """
    mask = 256 - 2 ** (8 - bits.long())
    return images & mask.to(torch.uint8).view(-1, 1, 1, 1)


def solarize(images: Tensor, threshold: Tensor) -> Tensor:
    """Invert the levels that reach a threshold.

    Args:
        images: uint8, shape (N, C, H, W).
        threshold: Of each picture, any number; 256 leaves it as it is; shape (N,).

    Returns:
        uint8, the same shape as ``images``.
    """
    return torch.where(images < threshold.view(-1, 1, 1, 1).float(), images, 255 - images)
