"""Brightness, contrast, colour and sharpness against Pillow's ``ImageEnhance``."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance

from groupnl.training.augment import enhance

FACTORS = [0.0, 0.1, 0.73, 1.0, 1.27, 1.9]


@pytest.mark.parametrize("size", [(11, 17), (2, 5), (32, 32)])
@pytest.mark.parametrize("name", ["Brightness", "Contrast", "Color", "Sharpness"])
def test_as_pillow(name: str, size: tuple[int, int]) -> None:
    pictures = np.random.default_rng(1).integers(0, 256, (len(FACTORS), *size, 3), dtype=np.uint8)
    images = torch.from_numpy(pictures).permute(0, 3, 1, 2).contiguous()
    enhanced = getattr(enhance, name.lower())(images, torch.tensor(FACTORS)).permute(0, 2, 3, 1).numpy()
    expected = np.stack(
        [
            np.asarray(getattr(ImageEnhance, name)(Image.fromarray(picture)).enhance(factor))
            for picture, factor in zip(pictures, FACTORS, strict=True)
        ]
    )
    np.testing.assert_array_equal(enhanced, expected)
