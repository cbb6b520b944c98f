"""Operations on levels against Pillow's own, to the level."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps
from torch import Tensor

from groupnl.training.augment.tone import autocontrast, equalize, posterize, solarize

HEIGHT, WIDTH = 9, 13
KINDS = ("noise", "one level", "few levels", "ramp", "two pixels differ")


def picture(kind: str, seed: int) -> np.ndarray:
    """A picture of shape (HEIGHT, WIDTH, 3) with a histogram that may be awkward."""
    random = np.random.default_rng(seed)
    level = int(random.integers(256))
    if kind == "noise":
        return random.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    if kind == "few levels":
        return random.choice(random.integers(0, 256, 4).astype(np.uint8), (HEIGHT, WIDTH, 3))
    if kind == "ramp":
        return (np.arange(HEIGHT * WIDTH * 3).reshape(HEIGHT, WIDTH, 3) * 200 // 351 + 20).astype(np.uint8)
    flat = np.full((HEIGHT, WIDTH, 3), level, dtype=np.uint8)
    if kind == "two pixels differ":
        flat[1, 2], flat[3, 4, 1] = 255 - level, level ^ 1
    return flat


def stack(pictures: list[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous()


def unstack(images: Tensor) -> list[np.ndarray]:
    return list(images.permute(0, 2, 3, 1).numpy())


def assert_as_pillow(
    ours: Callable[[Tensor], Tensor], pillow: Callable[[Image.Image, int], Image.Image], pictures: list[np.ndarray]
) -> None:
    images = stack(pictures)
    kept = images.clone()
    for index, (given_picture, result) in enumerate(zip(pictures, unstack(ours(images)), strict=True)):
        expected = np.asarray(pillow(Image.fromarray(given_picture), index))
        np.testing.assert_array_equal(result, expected)
    assert torch.equal(images, kept)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
@pytest.mark.parametrize("operation", ["autocontrast", "equalize"])
def test_stretched_and_equalized_as_pillow(operation: str, seed: int) -> None:
    ours, pillow = {"autocontrast": autocontrast, "equalize": equalize}[operation], getattr(ImageOps, operation)
    assert_as_pillow(ours, lambda image, _: pillow(image), [picture(kind, seed) for kind in KINDS])


def test_equalized_levels_stop_at_255() -> None:
    # 351 pixels a channel of which 94 are the highest level: step 1, and the exact rule would go beyond 255
    random = np.random.default_rng(0)
    values = random.integers(0, 250, (HEIGHT * 3, WIDTH, 3), dtype=np.uint8)
    values[:4] = 255
    assert_as_pillow(equalize, lambda image, _: ImageOps.equalize(image), [values])


@pytest.mark.parametrize("kind", KINDS)
def test_posterized_as_pillow(kind: str) -> None:
    bits = torch.arange(1, 9)
    pictures = [picture(kind, seed) for seed in range(8)]
    assert_as_pillow(
        lambda images: posterize(images, bits.float()),
        lambda image, index: ImageOps.posterize(image, int(bits[index])),
        pictures,
    )


@pytest.mark.parametrize("kind", KINDS)
def test_solarized_as_pillow(kind: str) -> None:
    thresholds = torch.tensor([0.0, 1.0, 100.0, 127.5, 255.0, 256.0])
    pictures = [picture(kind, seed) for seed in range(6)]
    assert_as_pillow(
        lambda images: solarize(images, thresholds),
        lambda image, index: ImageOps.solarize(image, thresholds[index].item()),  # type: ignore[arg-type]
        pictures,
    )
