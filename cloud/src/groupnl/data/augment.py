"""Random crops and mirror images of a whole batch at once, on the batch's device."""

from typing import Literal, get_args

import torch
from torch import Tensor

Fill = Literal["edge", "zeros"]


def random_crop_flip(
    images: Tensor, *, padding: int, flip: bool, generator: torch.Generator, fill: Fill = "edge"
) -> Tensor:
    """Shift each image by up to ``padding`` pixels in each direction and mirror half of them.

    The same as padding by ``padding`` on every side and cropping back to (H, W) at a uniformly random place, but by one
    gather and without the padded copy. Draws, in this order: N vertical places, N horizontal places, both uniform over
    0 .. 2 * padding, then (only with ``flip``) N coins.

    Args:
        images: uint8, shape (N, C, H, W), on any device.
        padding: Pixels, from 0 to less than H and W.
        flip: Mirror each image left to right with probability 1/2.
        generator: Source of the draws; a CPU generator gives the same draws for images on every device.
        fill: What lies outside the image: ``edge`` repeats the border pixel, which suits any background; ``zeros`` is
            black, as in the usual CIFAR recipe.

    Returns:
        uint8, shape (N, C, H, W), on the images' device; ``images`` itself where there is nothing to do.

    Raises:
        ValueError: Another dtype or shape, a padding out of range, or an unknown fill.
    """
    if images.dtype != torch.uint8 or images.ndim != 4:
        raise ValueError(f"images: {images.dtype} of shape {tuple(images.shape)}; expected torch.uint8, (N, C, H, W)")
    count, channels, height, width = images.shape
    if isinstance(padding, bool) or not isinstance(padding, int) or not 0 <= padding < min(height, width):
        raise ValueError(f"padding={padding!r}: expected an integer from 0 to {min(height, width) - 1} pixels")
    if fill not in get_args(Fill):
        raise ValueError(f"fill={fill!r}: expected one of {', '.join(get_args(Fill))}")
    if padding == 0 and not flip:
        return images

    def draw(high: int) -> Tensor:
        drawn = torch.randint(high, (count, 1), generator=generator, device=generator.device)
        return drawn.to(images.device)

    top, left = draw(2 * padding + 1) - padding, draw(2 * padding + 1) - padding
    columns = torch.arange(width, device=images.device).expand(count, width)
    if flip:
        columns = torch.where(draw(2).bool(), columns.flip(1), columns)
    rows, columns = torch.arange(height, device=images.device) + top, columns + left  # (N, H), (N, W); may lie outside
    source = rows.clamp(0, height - 1).unsqueeze(2) * width + columns.clamp(0, width - 1).unsqueeze(1)
    source = source.view(count, 1, height * width).expand(-1, channels, -1)
    moved = images.reshape(count, channels, height * width).gather(2, source).view(images.shape)
    if fill == "zeros":
        outside = ((rows < 0) | (rows >= height)).unsqueeze(2) | ((columns < 0) | (columns >= width)).unsqueeze(1)
        moved.masked_fill_(outside.unsqueeze(1), 0)
    return moved
