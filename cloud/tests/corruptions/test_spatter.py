import numpy as np
import pytest
import scipy.ndimage
import torch
from torch import Tensor

from groupnl.corruptions import CORRUPTIONS, SEVERITIES, corrupt
from groupnl.corruptions.canny import canny, distance_to
from groupnl.corruptions.spatter import correlate, equalize, spatter


def slow_equalize(levels: np.ndarray) -> np.ndarray:
    """Histogram equalisation of one picture, as a table from level to level."""
    used, counts = np.unique(levels, return_counts=True)
    if len(used) == 1:
        return levels
    rest = levels.size - counts[0]
    table = {level: round(float(np.float32(below) * np.float32(255 / rest))) for level, below in
             zip(used.tolist(), (np.cumsum(counts) - counts[0]).tolist(), strict=True)}  # fmt: skip
    return np.vectorize(table.get)(levels)


def slow_water(picture: np.ndarray, liquid: np.ndarray, threshold: float, strength: float) -> np.ndarray:
    """Water on one picture (H, W, 3), the edges taken from ``canny``, which has its own tests."""
    heights = np.uint8(np.where(liquid < threshold, 0, liquid) * 255)
    rims = canny(torch.from_numpy(heights)[None], low=50, high=150)
    far = distance_to(rims, farthest=20)[0].numpy() / 10_000
    near = np.floor(scipy.ndimage.uniform_filter(far, 3, mode="mirror") + 1e-7).astype(int)
    shade = scipy.ndimage.correlate(slow_equalize(near), [[-2, -1, 0], [-1, 1, 1], [0, 1, 2]], mode="mirror")
    soft = np.round(scipy.ndimage.uniform_filter(np.clip(shade, 0, 255).astype(float), 3, mode="mirror"))
    shine = heights * soft / (heights * soft).max() * strength
    water = shine[..., None] * np.array([175, 238, 238]) / 255
    return np.uint8(np.clip(picture / 255.0 + water, 0, 1) * 255)


def slow_mud(picture: np.ndarray, liquid: np.ndarray, threshold: float, strength: float) -> np.ndarray:
    """Mud on one picture (H, W, 3)."""
    cover = scipy.ndimage.gaussian_filter((liquid > threshold).astype(np.float32), strength, mode="nearest")
    cover = np.where(cover < 0.8, 0, cover)[..., None]
    return np.uint8(np.clip(picture / 255.0 * (1 - cover) + cover * np.array([63, 42, 20]) / 255, 0, 1) * 255)


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("variant", ["cifar", "imagenet"])
def test_spatter_is_its_definition(pictures: Tensor, severity: int, variant: str) -> None:
    constants = dict(CORRUPTIONS["spatter"].constants(variant, severity))  # type: ignore[arg-type]
    noise = np.random.default_rng(severity).normal(size=(len(pictures), 27, 34))
    found = spatter(pictures, noise=torch.from_numpy(noise), **constants)  # type: ignore[arg-type]
    slow = slow_mud if constants["mud"] else slow_water
    wet = 0
    for picture, corrupted, own in zip(pictures, found, noise, strict=True):
        liquid = scipy.ndimage.gaussian_filter(
            constants["mean"] + constants["scale"] * own, constants["sigma"], mode="nearest"
        )
        if (liquid > constants["threshold"]).any() and (constants["mud"] or liquid.max() < 1):
            wet += 1
            pixels = picture.permute(1, 2, 0).numpy()
            expected = slow(pixels, liquid, constants["threshold"], constants["strength"])
            difference = np.abs(corrupted.permute(1, 2, 0).numpy().astype(int) - expected)
            assert difference.max() <= 1
            assert (difference > 0).mean() < 0.02  # the oracle is float64, the definition float32: x / 255 * 255
    assert wet > 30


def test_a_dry_picture_stays_as_it_is(pictures: Tensor) -> None:
    noise = torch.zeros(len(pictures), *pictures.shape[2:], dtype=torch.float64)
    for severity in (1, 2, 3, 4, 5):
        constants = CORRUPTIONS["spatter"].constants("imagenet", severity)
        dry = spatter(pictures, noise=noise.sub(9.0), **constants)  # type: ignore[arg-type]
        assert (dry.int() - pictures).abs().max() <= 1


def test_the_height_of_water_wraps_around_at_8_bits_as_published() -> None:
    constants = dict(CORRUPTIONS["spatter"].constants("cifar", 1))
    images = torch.zeros(1, 3, 16, 16, dtype=torch.uint8)
    noise = torch.zeros(1, 16, 16, dtype=torch.float64)
    noise[0, 4:12, 4:12] = (257 / 255 - 0.62) / 0.1  # 257 levels high in the middle: published as 1
    corrupted = spatter(images, noise=noise, **constants)  # type: ignore[arg-type]
    assert not corrupted[0, :, 7:9, 7:9].any()
    assert corrupted.any()


def test_mud_is_brown_and_water_pale_turquoise() -> None:
    images = torch.full((20, 3, 32, 32), 100, dtype=torch.uint8)
    water, mud = (corrupt(images, "spatter", severity=severity).int() - 100 for severity in (3, 5))
    assert water.min() == 0
    assert (water[:, 1] == water[:, 2]).all()
    assert (water[:, 0] <= water[:, 1]).all()
    assert mud.max() == 0
    assert mud.amin((0, 2, 3)).tolist() == [63 - 100, 42 - 100, 20 - 100]


def test_correlate_and_equalize_by_hand() -> None:
    values = torch.tensor([[[1, 2, 3], [4, 5, 6]]], dtype=torch.int32)
    kernel = ((-2, -1, 0), (-1, 1, 1), (0, 1, 2))
    expected = scipy.ndimage.correlate(values[0].numpy(), kernel, mode="mirror")
    assert np.array_equal(correlate(values, kernel)[0].numpy(), expected)
    # 6 pixels: two of level 1, three of 4, one of 9; above the lowest level lie 4
    few = torch.tensor([[[1, 4, 4], [9, 1, 4]]], dtype=torch.int32)
    assert equalize(few, levels=21).tolist() == [[[0, 191, 191], [255, 0, 191]]]
    assert equalize(torch.full((1, 2, 2), 7), levels=21).tolist() == [[[7, 7], [7, 7]]]
