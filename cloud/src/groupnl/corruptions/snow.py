"""Snow: flakes blown across the picture, and a scene that is paler for them.

Source of the definition and constants: Hendrycks & Dietterich, arXiv 1903.12261, as published for CIFAR-10-C and
ImageNet-C.
"""

import torch
from torch import Tensor

from groupnl.corruptions.levels import TOP_LEVEL, divide, to_levels, to_unit
from groupnl.corruptions.motion import motion_blur_levels
from groupnl.corruptions.zoom import clipped_zoom


def snow(
    images: Tensor,
    *,
    noise: Tensor,
    angles: Tensor,
    mean: float,
    scale: float,
    zoom: float,
    threshold: float,
    radius: int,
    sigma: float,
    keep: float,
) -> Tensor:
    """Flakes are what exceeds a threshold in enlarged noise, smeared by their fall; they are added twice.

    The scene is ``keep * x + (1 - keep) * max(x, 1.5 * grey + 0.5)``, in float32 as published; the layer of flakes
    and the same layer turned by 180 degrees are added to it.

    Args:
        images: uint8 RGB, shape (N, 3, H, W).
        noise: Standard normal draws, float64, shape (N, H, W).
        angles: The direction of the fall, in degrees clockwise from the right, float64 of shape (N,).
        mean: Of the noise, in units of the full range.
        scale: Standard deviation of the noise, in the same units.
        zoom: How much the noise is enlarged, at least 1.
        threshold: What is below is no flake.
        radius: Half the number of steps of the smear (``motion_blur_levels``).
        sigma: Of the smear, in pixels.
        keep: Share of the scene that stays as it is.

    Returns:
        uint8, the same shape.
    """
    layer = (noise * scale).add_(mean).unsqueeze(1)
    layer = clipped_zoom(layer, zoom) if zoom > 1 else layer
    flakes = to_levels(layer.masked_fill_(layer < threshold, 0.0))
    fallen = to_unit(motion_blur_levels(flakes, angles, radius=radius, sigma=sigma))
    return to_levels(_pale(images, keep).to(torch.float64).add_(fallen).add_(fallen.flip(2, 3)))


def _pale(images: Tensor, keep: float) -> Tensor:
    """The scene drawn towards a bright grey of itself, float32 of shape (N, 3, H, W)."""
    scene = divide(images.to(torch.float32), TOP_LEVEL)
    red, green, blue = scene[:, 0:1], scene[:, 1:2], scene[:, 2:3]
    grey = (red * 0.299).add_(green * 0.587).add_(blue * 0.114)
    bright = torch.maximum(scene, grey.mul_(1.5).add_(0.5))
    return scene.mul_(keep).add_(bright.mul_(1 - keep))
