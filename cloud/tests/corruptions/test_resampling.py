import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from groupnl.corruptions.resampling import pixelate

SCALES = [0.95, 0.9, 0.85, 0.75, 0.65, 0.6, 0.5, 0.4, 0.3, 0.25]


def with_pillow(images: Tensor, scale: float) -> np.ndarray:
    """The definition; one call an axis, because from version 13 on Pillow chooses the order by itself."""
    height, width = images.shape[2:]
    small_height, small_width = max(1, int(height * scale)), max(1, int(width * scale))
    grown = []
    for pixels in images.permute(0, 2, 3, 1).contiguous().numpy():
        narrow = Image.fromarray(pixels).resize((small_width, height), Image.Resampling.BOX)
        small = narrow.resize((small_width, small_height), Image.Resampling.BOX)
        grown.append(np.asarray(small.resize((width, height), Image.Resampling.NEAREST)))
    return np.stack(grown).transpose(0, 3, 1, 2)


@pytest.mark.parametrize("scale", SCALES)
def test_pixelate_equals_pillow(pictures: Tensor, scale: float) -> None:
    assert np.array_equal(pixelate(pictures, scale=scale).numpy(), with_pillow(pictures, scale))


@settings(deadline=None, max_examples=60)
@given(height=st.integers(1, 140), width=st.integers(1, 140), scale=st.sampled_from(SCALES))
def test_pixelate_equals_pillow_at_any_size(height: int, width: int, scale: float) -> None:
    generator = torch.Generator().manual_seed(height * 1000 + width)
    images = torch.randint(0, 256, (1, 3, height, width), dtype=torch.uint8, generator=generator)
    assert np.array_equal(pixelate(images, scale=scale).numpy(), with_pillow(images, scale))


@pytest.mark.parametrize("size", [32, 64, 96, 224])
@pytest.mark.parametrize("scale", SCALES)
def test_the_published_way_up_by_the_box_filter_is_the_same_at_common_sizes(size: int, scale: float) -> None:
    small = max(1, int(size * scale))
    line = Image.fromarray(np.arange(small, dtype=np.uint8)[None].repeat(2, 0))
    by_box = np.asarray(line.resize((size, 2), Image.Resampling.BOX))
    by_nearest = np.asarray(line.resize((size, 2), Image.Resampling.NEAREST))
    assert np.array_equal(by_box, by_nearest)
