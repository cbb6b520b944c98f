import math

import numpy as np
import pytest
import scipy.ndimage
import torch
from torch import Tensor

from groupnl.corruptions import CORRUPTIONS, SEVERITIES
from groupnl.corruptions.snow import snow


def slow_smear(levels: np.ndarray, radius: int, sigma: float, angle: float) -> np.ndarray:
    """ImageMagick's motion blur of one layer, one step at a time."""
    rows, columns = np.indices(levels.shape)
    weights = np.exp(-0.5 * (np.arange(2 * radius + 1) / sigma) ** 2)
    total = np.zeros(levels.shape)
    for step, weight in enumerate(weights / weights.sum()):
        y = np.clip(rows + math.ceil(step * math.sin(math.radians(angle)) - 0.5), 0, levels.shape[0] - 1)
        x = np.clip(columns + math.ceil(step * math.cos(math.radians(angle)) - 0.5), 0, levels.shape[1] - 1)
        total += weight * 257 * levels[y, x]
    return np.floor((total + 0.5) / 257)


def slow_snow(picture: np.ndarray, noise: np.ndarray, angle: float, c: dict[str, float]) -> np.ndarray:
    """The definition for one square picture (H, W, 3)."""
    size = len(picture)
    layer = c["mean"] + c["scale"] * noise
    middle = math.ceil(size / c["zoom"])
    start = (size - middle) // 2
    layer = scipy.ndimage.zoom(layer[start : start + middle, start : start + middle], c["zoom"], order=1)
    trim = (len(layer) - size) // 2
    layer = layer[trim : trim + size, trim : trim + size]
    flakes = np.uint8(np.clip(np.where(layer < c["threshold"], 0, layer), 0, 1) * 255)
    fallen = slow_smear(flakes, int(c["radius"]), c["sigma"], angle)[..., None] / 255.0
    unit = picture.astype(np.float32) / 255.0
    grey = (unit @ np.array([0.299, 0.587, 0.114], np.float32))[..., None]
    pale = c["keep"] * unit + (1 - c["keep"]) * np.maximum(unit, grey * 1.5 + 0.5)
    return np.uint8(np.clip(pale + fallen + fallen[::-1, ::-1], 0, 1) * 255)


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize(("variant", "size"), [("cifar", 32), ("imagenet", 75)])
def test_snow_is_its_definition(severity: int, variant: str, size: int) -> None:
    rng = np.random.default_rng(severity)
    images = rng.integers(0, 256, (6, size, size, 3)).astype(np.uint8)
    noise, angles = rng.normal(size=(6, size, size)), rng.uniform(-135, -45, 6)
    constants = dict(CORRUPTIONS["snow"].constants(variant, severity))  # type: ignore[arg-type]
    found = snow(
        torch.from_numpy(images).permute(0, 3, 1, 2),
        noise=torch.from_numpy(noise),
        angles=torch.from_numpy(angles),
        **constants,  # type: ignore[arg-type]
    )
    expected = [slow_snow(*each, constants) for each in zip(images, noise, angles, strict=True)]
    difference = np.abs(found.permute(0, 2, 3, 1).numpy().astype(int) - np.stack(expected))
    assert difference.max() <= 1
    assert (difference > 0).mean() <= 1e-3


def test_without_flakes_only_the_scene_pales(pictures: Tensor) -> None:
    count, _, height, width = pictures.shape
    found = snow(
        pictures,
        noise=torch.zeros(count, height, width, dtype=torch.float64),
        angles=torch.full((count,), -90.0, dtype=torch.float64),
        mean=0.1,
        scale=0.2,
        zoom=1,
        threshold=0.6,
        radius=8,
        sigma=3,
        keep=1.0,
    )
    assert (found.int() - pictures).abs().max() <= 1  # x / 255 * 255 in float32 may truncate a level away
