"""What lies beyond a picture's edges, for the filters that look there."""

import torch
from torch import Tensor


def repeat_edges(images: Tensor, axis: int, before: int, after: int) -> Tensor:
    """Extend an axis on both sides by its end pixels: ``a a | a b c | c c``."""
    size = images.shape[axis]
    return images.index_select(axis, torch.arange(-before, size + after, device=images.device).clamp_(0, size - 1))


def mirror_about_pixels(images: Tensor, axis: int, before: int, after: int) -> Tensor:
    """Extend an axis on both sides, mirrored about its end pixels: ``c b | a b c | b a``."""
    size = images.shape[axis]
    period = max(2 * (size - 1), 1)
    phase = torch.arange(-before, size + after, device=images.device).remainder_(period)
    return images.index_select(axis, torch.minimum(phase, period - phase) if size > 1 else phase)
