"""The operations by name, and how each picture of a batch gets its own."""

from collections.abc import Callable

import torch
from torch import Tensor

from groupnl.training.augment.affine import rotation, shear, shift, warp
from groupnl.training.augment.enhance import brightness, color, contrast, sharpness
from groupnl.training.augment.tone import autocontrast, equalize, posterize, solarize

# Name: from pictures (N, C, H, W) and one value each (N,).
_LEVEL_OPERATIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "autocontrast": lambda images, _: autocontrast(images),
    "equalize": lambda images, _: equalize(images),
    "posterize": posterize,  # bits that are kept
    "solarize": solarize,  # threshold
    "brightness": brightness,  # factors, 1 changes nothing
    "contrast": contrast,
    "color": color,
    "sharpness": sharpness,
}

# Name: from one value each (N,), height and width to matrices (N, 6); whether it reads between columns, between rows.
_AFFINE_OPERATIONS: dict[str, tuple[Callable[[Tensor, int, int], Tensor], bool, bool]] = {
    "rotate": (lambda degrees, height, width: rotation(degrees, height=height, width=width), True, True),
    "shear_x": (lambda slope, *_: shear(down=False, slope=slope), True, False),
    "shear_y": (lambda slope, *_: shear(down=True, slope=slope), False, True),
    "translate_x": (lambda pixels, *_: shift(down=False, pixels=pixels), False, False),
    "translate_y": (lambda pixels, *_: shift(down=True, pixels=pixels), False, False),
}

# An operation's number is its place here.
NAMES = (*_LEVEL_OPERATIONS, *_AFFINE_OPERATIONS)
NOTHING = -1


def numbers(*names: str) -> Tensor:
    """The numbers of operations, int64, shape (len(names),)."""
    return torch.tensor([NAMES.index(name) for name in names])


def apply_(images: Tensor, kinds: Tensor, values: Tensor) -> None:
    """Apply to each picture its operation, in place; pictures of the same operation go together.

    Args:
        images: uint8, shape (N, C, H, W), on any device.
        kinds: Numbers of operations, or ``NOTHING``, shape (N,), on the CPU.
        values: One value each, in the operation's own unit, float64, shape (N,), on the CPU.
    """
    for number, name in enumerate(_LEVEL_OPERATIONS):
        chosen, value = _of_kind(kinds == number, values, images.device)
        if len(chosen):
            images[chosen] = _LEVEL_OPERATIONS[name](images[chosen], value)
    for number, (matrices_of, across, down) in enumerate(_AFFINE_OPERATIONS.values(), len(_LEVEL_OPERATIONS)):
        chosen, value = _of_kind(kinds == number, values, images.device)
        if len(chosen):
            matrices = matrices_of(value, images.shape[2], images.shape[3])
            images[chosen] = warp(images[chosen], matrices, across=across, down=down)


def _of_kind(of_kind: Tensor, values: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
    """Indices of the chosen pictures and their values, on the pictures' device."""
    chosen = of_kind.nonzero().squeeze(1)
    return chosen.to(device), values[chosen].float().to(device)  # float32: Apple's GPUs have no float64
