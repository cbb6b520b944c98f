"""Calibration pictures: normalised as the device does it, in batches, again after rewind; what is refused."""

import numpy as np
import pytest
from cloud.tests.export.quantization.quantized_net import PREPROCESSING, SIZE, pictures

from groupnl.export import ExportError
from groupnl.export.quantization.calibration import Pictures


def test_every_picture_comes_once_normalised_and_again_after_rewind() -> None:
    images = pictures(70)
    reader = Pictures(images, PREPROCESSING)
    for _ in range(2):
        batches = []
        while (batch := reader.get_next()) is not None:
            batches.append(batch["input"])
        found = np.concatenate(batches)
        mean, std = (np.reshape(v, (3, 1, 1)) for v in ((0.5, 0.4, 0.3), (0.2, 0.3, 0.25)))
        np.testing.assert_allclose(found, (images / 255 - mean) / std, atol=1e-5)
        assert max(map(len, batches)) < 70  # not all of the net's maps for all pictures at once
        reader.rewind()


@pytest.mark.parametrize(
    ("images", "given"),
    [
        (None, "none"),
        (np.zeros((0, *SIZE), np.uint8), r"uint8 of shape \(0, 3, 9, 11\)"),
        (np.zeros((4, *SIZE), np.float32), "float32"),
        (np.zeros((4, 3, 8, 8), np.uint8), r"uint8 of shape \(4, 3, 8, 8\)"),
    ],
)
def test_other_pictures_are_refused(images, given) -> None:
    with pytest.raises(ExportError, match=f"calibration pictures: {given}.*a few hundred"):
        Pictures(images, PREPROCESSING)
