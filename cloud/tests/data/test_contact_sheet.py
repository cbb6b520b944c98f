import numpy as np
import pytest
import torch

from groupnl.data import ImageSet, contact_sheet


def test_rows_are_classes_and_show_the_images() -> None:
    levels = torch.tensor([10, 200, 30, 40, 50])
    data = ImageSet(
        name="made",
        split="train",
        images=levels.to(torch.uint8)[:, None, None, None].expand(5, 3, 8, 12).contiguous(),
        labels=torch.tensor([0, 1, 0, 0, 0]),
        class_names=("many", "one", "none"),
        horizontal_flip=False,
    )
    sheet = contact_sheet(data, per_class=3)
    pixels = np.asarray(sheet)
    assert sheet.height == 3 * 10
    left = sheet.width - 3 * 14
    tiles = [[int(pixels[row * 10 + 4, left + column * 14 + 6, 0]) for column in range(3)] for row in range(3)]
    assert tiles[0][0] == 10
    assert tiles[0][2] == 50  # the last of four: even steps through the class
    assert tiles[0][1] in (30, 40)
    assert tiles[1] == [200, 255, 255]
    assert tiles[2] == [255, 255, 255]
    assert (pixels[:10, :left] < 100).any()  # the name is written


def test_refuses_nothing_to_show() -> None:
    data = ImageSet(
        name="made",
        split="train",
        images=torch.zeros(1, 3, 2, 2, dtype=torch.uint8),
        labels=torch.tensor([0]),
        class_names=("a",),
        horizontal_flip=False,
    )
    with pytest.raises(ValueError, match="per_class=0"):
        contact_sheet(data, per_class=0)
