"""Pictures, and the operations as Pillow does them: the reference of these tests."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps
from torch import Tensor

HEIGHT, WIDTH = 24, 29
BILINEAR = Image.Resampling.BILINEAR
Reference = Callable[[np.ndarray, str, float], np.ndarray]


def _affine(image: Image.Image, *matrix: float) -> Image.Image:
    return image.transform(image.size, Image.Transform.AFFINE, matrix, resample=BILINEAR)


_PILLOW: dict[str, Callable[[Image.Image, float], Image.Image]] = {
    "autocontrast": lambda image, _: ImageOps.autocontrast(image),
    "equalize": lambda image, _: ImageOps.equalize(image),
    "posterize": lambda image, bits: ImageOps.posterize(image, int(bits)),
    "solarize": lambda image, threshold: ImageOps.solarize(image, threshold),  # type: ignore[arg-type]
    "brightness": lambda image, factor: ImageEnhance.Brightness(image).enhance(factor),
    "contrast": lambda image, factor: ImageEnhance.Contrast(image).enhance(factor),
    "color": lambda image, factor: ImageEnhance.Color(image).enhance(factor),
    "sharpness": lambda image, factor: ImageEnhance.Sharpness(image).enhance(factor),
    "rotate": lambda image, degrees: image.rotate(degrees, BILINEAR),
    "shear_x": lambda image, slope: _affine(image, 1, slope, 0, 0, 1, 0),
    "shear_y": lambda image, slope: _affine(image, 1, 0, 0, slope, 1, 0),
    "translate_x": lambda image, pixels: _affine(image, 1, 0, pixels, 0, 1, 0),
    "translate_y": lambda image, pixels: _affine(image, 1, 0, 0, 0, 1, pixels),
    "nothing": lambda image, _: image,
}


@pytest.fixture(scope="session")
def as_pillow() -> Reference:
    """Apply an operation to one picture of shape (3, H, W)."""

    def apply(picture: np.ndarray, name: str, value: float) -> np.ndarray:
        image = _PILLOW[name](Image.fromarray(np.ascontiguousarray(picture.transpose(1, 2, 0))), value)
        return np.asarray(image).transpose(2, 0, 1)

    return apply


@pytest.fixture
def images() -> Tensor:
    """Smooth pictures with some noise, uint8, shape (20, 3, 24, 29)."""
    generator = torch.Generator().manual_seed(3)
    coarse = torch.randint(20, 200, (20, 3, 3, 4), generator=generator).float()
    smooth = torch.nn.functional.interpolate(coarse, (HEIGHT, WIDTH), mode="bilinear")
    return (smooth + torch.randint(0, 40, smooth.shape, generator=generator)).to(torch.uint8)
