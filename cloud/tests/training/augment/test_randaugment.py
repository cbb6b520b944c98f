"""RandAugment against a plain loop with Pillow; its magnitudes against torchvision's."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision.transforms import RandAugment

from groupnl.training.augment.operations import NAMES, NOTHING
from groupnl.training.augment.randaugment import draw_randaugment, randaugment

SIZE = (24, 29)
THEIRS = {
    **{"AutoContrast": "autocontrast", "Equalize": "equalize", "Posterize": "posterize", "Solarize": "solarize"},
    **{"Brightness": "brightness", "Contrast": "contrast", "Color": "color", "Sharpness": "sharpness"},
    **{"Rotate": "rotate", "ShearX": "shear_x", "ShearY": "shear_y"},
    **{"TranslateX": "translate_x", "TranslateY": "translate_y"},
}


def draw(shape: tuple[int, ...], magnitude: float = 9.0, size: tuple[int, int] = SIZE) -> tuple[Tensor, Tensor]:
    return draw_randaugment(shape, magnitude=magnitude, size=size, generator=torch.Generator().manual_seed(1))


def test_as_a_plain_loop(images: Tensor, as_pillow: Callable[..., np.ndarray]) -> None:
    kinds, values = draw((2, 3, len(images)))
    views = randaugment(images, kinds, values).numpy()
    assert views.shape == (3, len(images), 3, *SIZE)
    for v in range(3):
        for i, picture in enumerate(images.numpy()):
            expected = picture
            for turn in range(2):
                kind = int(kinds[turn, v, i])
                name = "nothing" if kind == NOTHING else NAMES[kind]
                expected = as_pillow(expected, name, float(values[turn, v, i]))
            difference = np.abs(views[v, i] - expected)
            assert np.quantile(difference, 0.97) == 0
            assert difference.mean() < 0.05


@pytest.mark.parametrize("magnitude", [0, 5, 9, 30])
def test_magnitudes_are_torchvisions(magnitude: int) -> None:
    size = (224, 300)
    kinds, values = draw((4000,), float(magnitude), size)
    space = RandAugment()._augmentation_space(31, size)
    assert {THEIRS.get(name) for name in space} == {*NAMES, None}
    for name, (magnitudes, signed) in space.items():
        drawn = values[kinds == (NAMES.index(THEIRS[name]) if name in THEIRS else NOTHING)]
        assert len(drawn) > 200  # of 286 expected
        if magnitudes.ndim == 0:
            continue
        theirs = float(magnitudes[magnitude])
        ours = (drawn - 1).abs() if name in ("Brightness", "Contrast", "Color", "Sharpness") else drawn.abs()
        expected = float(int(theirs)) if name.startswith("Translate") else theirs
        assert ours.unique().tolist() == pytest.approx([expected], abs=1e-6), name
        if signed and expected:
            centre = 1.0 if name in ("Brightness", "Contrast", "Color", "Sharpness") else 0.0
            assert (drawn > centre).double().mean().item() == pytest.approx(0.5, abs=0.12)
