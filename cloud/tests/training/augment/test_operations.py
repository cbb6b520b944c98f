"""Each picture of a batch gets its own operation, as Pillow does it."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from groupnl.training.augment.operations import NAMES, NOTHING, apply_, numbers

VALUES = {
    **{"autocontrast": 0.0, "equalize": 0.0, "posterize": 3.0, "solarize": 99.0, "rotate": -13.0},
    **{"brightness": 1.3, "contrast": 0.6, "color": 1.7, "sharpness": 0.2},
    **{"shear_x": 0.1237, "shear_y": -0.0719, "translate_x": -2.0, "translate_y": 3.0, "nothing": 0.0},
}


def test_every_picture_gets_its_own(images: Tensor, as_pillow: Callable[..., np.ndarray]) -> None:
    names = [*VALUES, *list(VALUES)[::-1][:6]]  # some operations twice, at scattered places
    kinds = torch.tensor([NAMES.index(name) if name in NAMES else NOTHING for name in names])
    changed = images.clone()
    apply_(changed, kinds, torch.tensor([VALUES[name] for name in names], dtype=torch.float64))
    for picture, result, name in zip(images.numpy(), changed.numpy(), names, strict=True):
        difference = np.abs(result.astype(int) - as_pillow(picture, name, VALUES[name]))
        assert difference.max() <= 1, name
        assert (difference > 0).mean() <= (0.002 if name in ("rotate", "shear_x", "shear_y") else 0), name
        assert (result != picture).any() == (name != "nothing"), name


def test_numbers_are_places_in_the_list_of_names() -> None:
    assert [NAMES[number] for number in numbers("rotate", "equalize")] == ["rotate", "equalize"]
    assert sorted(NAMES) == sorted(set(VALUES) - {"nothing"})
