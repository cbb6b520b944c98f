import numpy as np
import pytest
import torch
from torch import Tensor

from groupnl.data.corruption_sheet import corruption_sheet


def picture(level: int, side: int = 32) -> Tensor:
    """One colour that no letter has: dark red."""
    image = torch.zeros(3, side, side, dtype=torch.uint8)
    image[0] = level
    return image


def draw(side: int = 32) -> np.ndarray:
    families = {
        "noise": {"shot_noise": torch.stack([picture(10, side), picture(20, side)])},
        "weather": {
            "snow": torch.stack([picture(30, side), picture(40, side)]),
            "fog": torch.stack([picture(50, side), picture(60, side)]),
        },
    }
    sheet = corruption_sheet(picture(100, side), families, severities=(1, 5), title="Title", notes=("one", "two"))
    assert sheet.mode == "RGB"
    return np.asarray(sheet)


def place(pixels: np.ndarray, level: int) -> tuple[int, int, int, int]:
    """Top, left, height and width of the block of one colour."""
    found = (pixels == (level, 0, 0)).all(2)
    rows, columns = found.any(1).nonzero()[0], found.any(0).nonzero()[0]
    top, left = int(rows[0]), int(columns[0])
    height, width = int(rows[-1]) - top + 1, int(columns[-1]) - left + 1
    assert found[top : top + height, left : left + width].all()
    return top, left, height, width


def test_rows_are_corruptions_and_columns_severities() -> None:
    pixels = draw()
    at = {level: place(pixels, level) for level in (10, 20, 30, 40, 50, 60, 100)}
    assert {(height, width) for _, _, height, width in at.values()} == {(96, 96)}  # 32 pixels, three times as large
    for mild, strong in ((10, 20), (30, 40), (50, 60)):
        assert at[mild][0] == at[strong][0]
        assert at[mild][1] < at[strong][1]
    assert at[30][1] == at[50][1]
    assert at[30][0] + 96 < at[50][0]
    assert at[10][0] == at[30][0]  # the second family stands beside the first
    assert at[20][1] + 96 < at[30][1]
    assert at[100][0] < at[10][0]


def test_enlarged_pictures_keep_their_pixels() -> None:
    image = torch.zeros(3, 32, 32, dtype=torch.uint8)
    image[:, 5, 7] = 200
    drawn = np.asarray(corruption_sheet(image, {"noise": {"x": image[None]}}, severities=(1,), title=""))
    assert ((drawn == 200).all(2)).sum() == 2 * 9  # the clean picture and the corrupted one


@pytest.mark.parametrize(("side", "expected"), [(96, 96), (100, 100), (224, 224), (448, 224), (1, 96)])
def test_sizes(side: int, expected: int) -> None:
    assert place(draw(side), 10)[2:] == (expected, expected)
