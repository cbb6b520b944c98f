"""Rotation, shear and translation against Pillow's bilinear transform."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from groupnl.training.augment.affine import rotation, shear, shift, warp

HEIGHT, WIDTH = 21, 34
PICTURES = np.random.default_rng(0).integers(0, 256, (6, HEIGHT, WIDTH, 3), dtype=np.uint8)
IMAGES = torch.from_numpy(PICTURES).permute(0, 3, 1, 2).contiguous()
BILINEAR = Image.Resampling.BILINEAR


def transformed(picture: np.ndarray, matrix: tuple[float, ...]) -> np.ndarray:
    image = Image.fromarray(picture)
    return np.asarray(image.transform(image.size, Image.Transform.AFFINE, matrix, resample=BILINEAR))


def assert_close(images: Tensor, expected: list[np.ndarray], *, unequal: float) -> None:
    """At most one level apart, on at most a share of the values."""
    difference = np.abs(images.permute(0, 2, 3, 1).numpy().astype(int) - np.stack(expected))
    assert difference.max() <= 1
    assert (difference > 0).mean() <= unequal


@pytest.mark.parametrize("seed", range(20))
def test_any_matrix_as_pillow(seed: int) -> None:
    random = np.random.default_rng(seed)
    matrices = random.uniform(-1.2, 1.2, (6, 6))
    matrices[:, [2, 5]] *= 9
    expected = [transformed(picture, tuple(matrix)) for picture, matrix in zip(PICTURES, matrices, strict=True)]
    assert_close(warp(IMAGES, torch.from_numpy(matrices)), expected, unequal=0.001)


@pytest.mark.parametrize("down", [False, True])
def test_translation_is_exact(down: bool) -> None:
    pixels = [-20, -3, 0, 1, 7, 40]
    moved = warp(IMAGES, shift(down=down, pixels=torch.tensor(pixels, dtype=torch.float64)))
    matrices = [(1, 0, 0, 0, 1, p) if down else (1, 0, p, 0, 1, 0) for p in pixels]
    assert_close(moved, [transformed(p, m) for p, m in zip(PICTURES, matrices, strict=True)], unequal=0)
    assert torch.equal(moved[2], IMAGES[2])


@pytest.mark.parametrize("down", [False, True])
def test_shear(down: bool) -> None:
    slopes = [-0.2871, -0.0713, 0.0, 0.00319, 0.08917, 0.29383]  # round ones give whole levels, which rounding decides
    moved = warp(IMAGES, shear(down=down, slope=torch.tensor(slopes, dtype=torch.float64)))
    matrices = [(1, 0, 0, s, 1, 0) if down else (1, s, 0, 0, 1, 0) for s in slopes]
    assert_close(moved, [transformed(p, m) for p, m in zip(PICTURES, matrices, strict=True)], unequal=0.001)
    assert torch.equal(moved[2], IMAGES[2])


def test_rotation() -> None:
    degrees = [-30.0, -9.0, 0.0, 1.0, 8.0, 29.0]
    matrices = rotation(torch.tensor(degrees, dtype=torch.float64), height=HEIGHT, width=WIDTH)
    expected = [np.asarray(Image.fromarray(p).rotate(d, BILINEAR)) for p, d in zip(PICTURES, degrees, strict=True)]
    assert_close(warp(IMAGES, matrices), expected, unequal=0.001)
