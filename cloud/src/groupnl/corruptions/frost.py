"""Frost: a photograph of frosted glass laid over the picture.

Source of the definition and constants: Hendrycks & Dietterich, arXiv 1903.12261, as published for CIFAR-10-C and
ImageNet-C. Where the photographs come from: ``frost_photographs``.
"""

import functools
import math

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from groupnl.corruptions.frost_photographs import FrostPhotographs
from groupnl.corruptions.levels import TOP_LEVEL

_ROOM = 1.1  # a photograph too small for the picture is enlarged to this many times the picture's size


def frost(
    images: Tensor,
    *,
    fractions: Tensor,
    keep: float,
    weight: float,
    every: int,
    photographs: FrostPhotographs,
) -> Tensor:
    """Ice on the window: ``keep * x + weight * crop``, the crop from a random place of a random photograph.

    Args:
        images: uint8 RGB, shape (N, 3, H, W).
        fractions: Uniform draws in (0, 1), float64, shape (N, 3): which photograph, how far down, how far right.
        keep: Share of the picture that stays.
        weight: Share of the photograph.
        every: Take every how manieth pixel of the photographs: 5 for a fifth of their size.
        photographs: Any number of them, at least 1.

    Returns:
        uint8, the same shape.
    """
    height, width = images.shape[-2:]
    pixels, first, heights, widths = _prepared(photographs, every, height, width, images.device)
    which = _below(fractions[:, 0], torch.full_like(heights[:1], len(heights)))
    top = _below(fractions[:, 1], heights[which] - height)
    left = _below(fractions[:, 2], widths[which] - width)
    down = (torch.arange(height, device=images.device) + top.unsqueeze(1)) * widths[which].unsqueeze(1)
    right = torch.arange(width, device=images.device) + (first[which] + left).unsqueeze(1)
    crops = pixels[down.unsqueeze(2) + right.unsqueeze(1)].permute(0, 3, 1, 2)
    mixed = (images.to(torch.float64) * keep).add_(crops.to(torch.float64).mul_(weight))
    return mixed.clamp_(0.0, TOP_LEVEL).to(torch.uint8)


def _below(fractions: Tensor, limits: Tensor) -> Tensor:
    """Draws from (0, 1) as whole numbers from 0 to ``limits - 1``."""
    return (fractions * limits.to(torch.float64)).to(torch.int64)


@functools.lru_cache(maxsize=8)
def _prepared(
    photographs: FrostPhotographs, every: int, height: int, width: int, device: torch.device
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """All photographs at the size in which they are laid over pictures of ``height`` x ``width``, end to end.

    Returns:
        Pixels, uint8 of shape (P, 3); for each photograph its first pixel, height and width, int64.
    """
    sized = [_sized(photograph, every, height, width) for photograph in photographs.images]
    pixels = torch.cat([photograph.permute(1, 2, 0).reshape(-1, 3) for photograph in sized])
    heights, widths = (torch.tensor([photograph.shape[axis] for photograph in sized]) for axis in (1, 2))
    first = (heights * widths).cumsum(0) - heights * widths
    return pixels.to(device), first.to(device), heights.to(device), widths.to(device)


def _sized(photograph: Tensor, every: int, height: int, width: int) -> Tensor:
    """A photograph shrunk as published (a fifth is every fifth pixel), then enlarged if the picture would not fit."""
    middle = every // 2  # linear interpolation at a fifth of the size falls on the middle one of five pixels
    shrunk = photograph[:, middle::every, middle::every]
    if shrunk.shape[1] > height and shrunk.shape[2] > width:
        return shrunk
    factor = _ROOM * max(height / shrunk.shape[1], width / shrunk.shape[2])
    size = [
        max(least + 1, math.ceil(side * factor)) for side, least in zip(shrunk.shape[1:], (height, width), strict=True)
    ]
    enlarged = interpolate(shrunk.unsqueeze(0).to(torch.float64), size=size, mode="bicubic", align_corners=False)
    return enlarged.squeeze(0).round_().clamp_(0, TOP_LEVEL).to(torch.uint8)
