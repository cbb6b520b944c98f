"""Light and colour: how bright a scene is, how strongly its tones differ, how colourful it is.

Source of the definitions and constants: Hendrycks & Dietterich, arXiv 1903.12261, as published for CIFAR-10-C and
ImageNet-C. The last step truncates, so the operations follow the published order: a value that should be a whole
level must not land below it where the reference's does not.
"""

import torch
from torch import Tensor

from groupnl.corruptions.levels import TOP_LEVEL, divide, to_levels, to_unit


def brightness(images: Tensor, *, amount: float) -> Tensor:
    """Daylight: the value of HSV plus ``amount``, clipped, back to RGB.

    Args:
        images: uint8 RGB, shape (N, 3, H, W).
        amount: In units of the full range.

    Returns:
        uint8, the same shape.
    """
    hue, saturation, value = rgb_to_hsv(to_unit(images))
    return to_levels(hsv_to_rgb(hue, saturation, (value + amount).clamp_(0.0, 1.0)))


def saturate(images: Tensor, *, gain: float, offset: float) -> Tensor:
    """Colour: the saturation of HSV times ``gain`` plus ``offset``, clipped, back to RGB.

    Args:
        images: uint8 RGB, shape (N, 3, H, W).
        gain: Below 1 pales the colours, above 1 deepens them.
        offset: In units of the full saturation; grey, whose hue is 0, turns red.

    Returns:
        uint8, the same shape.
    """
    hue, saturation, value = rgb_to_hsv(to_unit(images))
    return to_levels(hsv_to_rgb(hue, saturation.mul_(gain).add_(offset).clamp_(0.0, 1.0), value))


def contrast(images: Tensor, *, keep: float) -> Tensor:
    """Light and haze: every channel drawn together about its own mean, ``(x - mean) * keep + mean``.

    The mean is the exact sum of the levels, divided once: no order of summation, and a constant channel is its own
    mean.

    Args:
        images: uint8, shape (N, C, H, W).
        keep: Share of the contrast that is left.

    Returns:
        uint8, the same shape.
    """
    height, width = images.shape[-2:]
    total = images.sum(dim=(2, 3), keepdim=True, dtype=torch.int64).to(torch.float64)
    mean = divide(total, TOP_LEVEL * height * width)
    return to_levels(to_unit(images).sub_(mean).mul_(keep).add_(mean))


def rgb_to_hsv(unit: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Hue, saturation and value of an RGB picture, in the order of operations of ``skimage.color.rgb2hsv``.

    Args:
        unit: float64 in [0, 1], shape (N, 3, H, W).

    Returns:
        Hue in [0, 1), saturation and value in [0, 1], each of shape (N, H, W); grey has hue and saturation 0.
    """
    red, green, blue = unit.unbind(1)
    value = unit.amax(1)
    spread = value - unit.amin(1)
    grey = spread == 0
    divisor = spread.masked_fill(grey, 1.0)
    saturation = spread / value.masked_fill(grey, 1.0)
    hue = torch.where(green == value, (blue - red) / divisor + 2.0, (green - blue) / divisor)
    hue = divide(torch.where(blue == value, (red - green) / divisor + 4.0, hue), 6.0)
    hue = torch.where(hue < 0, hue + 1.0, hue).masked_fill_(grey, 0.0)
    return hue, saturation, value


def hsv_to_rgb(hue: Tensor, saturation: Tensor, value: Tensor) -> Tensor:
    """RGB of hue, saturation and value, in the order of operations of ``skimage.color.hsv2rgb``.

    Args:
        hue: In [0, 1], shape (N, H, W).
        saturation: In [0, 1], the same shape.
        value: In [0, 1], the same shape.

    Returns:
        float64, shape (N, 3, H, W).
    """
    turn = hue * 6.0
    whole = turn.floor()
    part = turn - whole
    sector = whole.to(torch.int64).remainder_(6)
    low = value * (1.0 - saturation)
    falling = value * (1.0 - part * saturation)
    rising = value * (1.0 - (1.0 - part) * saturation)
    # which of (value, falling, rising, low) each channel is, in the sectors red, yellow, green, cyan, blue, magenta
    ramp = torch.where(sector % 2 == 0, rising, falling)
    red = torch.where((sector == 0) | (sector == 5), value, torch.where((sector == 2) | (sector == 3), low, ramp))
    green = torch.where((sector == 1) | (sector == 2), value, torch.where(sector >= 4, low, ramp))
    blue = torch.where((sector == 3) | (sector == 4), value, torch.where(sector <= 1, low, ramp))
    return torch.stack((red, green, blue), 1)
