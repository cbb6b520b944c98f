"""Glass blur: a picture behind a pane of frosted glass, its pixels shuffled among near neighbours.

Source of the definitions and constants: Hendrycks & Dietterich, arXiv 1903.12261, as published for CIFAR-10-C and
ImageNet-C.
"""

import torch
from torch import Tensor

from groupnl.corruptions.filters import gaussian_filter
from groupnl.corruptions.levels import to_levels, to_unit


def glass_blur(images: Tensor, *, offsets: Tensor, sigma: float, reach: int, iterations: int) -> Tensor:
    """Blur, shuffle the levels ``iterations`` times, blur.

    A shuffle visits the pixels from the bottom row up, each row from the right to the left, and gives each the value
    that its neighbour (dx, dy) away holds at that moment. The published code means to swap the two, but swaps two
    numpy views, so that the neighbour keeps its own.

    Args:
        images: uint8, shape (N, C, H, W).
        offsets: In [-reach, reach), as (dx, dy) in the order of the visits, int64 of shape
            (N, iterations, max(H - 2 reach, 0), max(W - 2 reach, 0), 2).
        sigma: Of both Gaussian blurs, in pixels.
        reach: The rows and columns from ``reach + 1`` to size - ``reach`` are visited.
        iterations: Number of shuffles.

    Returns:
        uint8, the same shape.
    """
    height, width = images.shape[-2:]
    levels = to_levels(gaussian_filter(to_unit(images), sigma=sigma)).flatten(2)
    source = torch.arange(height * width, device=images.device).expand(len(images), -1)
    for iteration in range(iterations):
        source = source.gather(1, _shuffle(offsets[:, iteration], height, width, reach))
    shuffled = levels.gather(2, source.unsqueeze(1).expand_as(levels)).reshape(images.shape)
    return to_levels(gaussian_filter(to_unit(shuffled), sigma=sigma))


def _shuffle(offsets: Tensor, height: int, width: int, reach: int) -> Tensor:
    """One shuffle as one choice: which pixel's old value each pixel ends with, int64 of shape (N, H W).

    The neighbour read has its old value if it is visited later (or never, or is the pixel itself): it then lies
    earlier in the picture. Otherwise it was visited before, and the pixel ends with whatever that one got. A chain of
    such neighbours only runs forward in the picture, so its end is found by doubling the step.
    """
    right, down = offsets.flip(1, 2).unbind(-1)
    here = torch.arange(height * width, device=offsets.device).repeat(len(offsets), 1)
    read = here.clone()
    visited = read.reshape(-1, height, width)[:, reach + 1 : height - reach + 1, reach + 1 : width - reach + 1]
    visited += down * width + right
    end = torch.maximum(read, here)
    while not torch.equal(further := end.gather(1, end), end):
        end = further
    return read.gather(1, end)
