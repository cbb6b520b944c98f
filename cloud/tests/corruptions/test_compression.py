import io

import numpy as np
import pytest
import torch
from PIL import Image, JpegImagePlugin
from torch import Tensor

from groupnl.corruptions.compression import jpeg_compression


@pytest.mark.parametrize("quality", [80, 65, 58, 50, 40, 25, 18, 15, 10, 7])
def test_jpeg_compression_is_pillows_round_trip(pictures: Tensor, quality: int) -> None:
    some = pictures[::4]
    expected = []
    for picture in some:
        file = io.BytesIO()
        Image.fromarray(picture.movedim(0, -1).contiguous().numpy()).save(file, format="JPEG", quality=quality)
        expected.append(torch.from_numpy(np.array(Image.open(file))).movedim(-1, 0))
    assert torch.equal(jpeg_compression(some, quality=quality), torch.stack(expected))


def test_colour_is_stored_at_half_resolution(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[bytes] = []
    save = Image.Image.save

    def spy(self: Image.Image, file: io.BytesIO, *args: object, **options: object) -> None:
        save(self, file, *args, **options)
        written.append(file.getvalue())

    monkeypatch.setattr(Image.Image, "save", spy)
    jpeg_compression(torch.zeros(1, 3, 20, 30, dtype=torch.uint8), quality=50)
    assert JpegImagePlugin.get_sampling(Image.open(io.BytesIO(written[0]))) == 2  # Pillow's number for 4:2:0
