from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
import torch
from PIL import Image

from groupnl.data.decode import check_image_size, check_memory, decode_array, decode_files


def picture(path: Path, height: int, width: int, seed: int = 0) -> np.ndarray:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return pixels


def test_keeps_order_and_pixels(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.png" for number in range(30)]
    expected = [picture(path, 5, 7, seed=number) for number, path in enumerate(paths)]
    images = decode_files(paths, None)
    assert images.dtype == torch.uint8
    assert np.array_equal(images.permute(0, 2, 3, 1).numpy(), np.stack(expected))


def test_resizes_files_and_arrays_alike_as_pillow_does(tmp_path: Path) -> None:
    pixels = picture(tmp_path / "a.png", 9, 12)
    expected = np.asarray(Image.fromarray(pixels).resize((4, 4), Image.Resampling.BILINEAR))
    from_file = decode_files([tmp_path / "a.png"], 4)
    from_array = decode_array(pixels.transpose(2, 0, 1)[None], 4)
    assert np.array_equal(from_file[0].permute(1, 2, 0).numpy(), expected)
    assert torch.equal(from_file, from_array)


def test_transparent_and_grey_pictures_become_rgb_on_white(tmp_path: Path) -> None:
    Image.new("RGBA", (2, 2), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    Image.new("L", (2, 2), 7).save(tmp_path / "grey.png")
    images = decode_files([tmp_path / "clear.png", tmp_path / "grey.png"], None)
    assert images[0].unique().tolist() == [255]
    assert images[1].unique().tolist() == [7]


def test_turned_pictures_are_set_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (6, 2)).save(tmp_path / "turned.jpg", exif=exif)
    picture(tmp_path / "upright.png", 6, 2)
    assert decode_files([tmp_path / "turned.jpg", tmp_path / "upright.png"], None).shape == (2, 3, 6, 2)


def test_sizes_that_differ_need_an_image_size(tmp_path: Path) -> None:
    picture(tmp_path / "a.png", 5, 5)
    picture(tmp_path / "b.png", 5, 6)
    with pytest.raises(ValueError, match=r"b\.png is 5 x 6 .* give image_size"):
        decode_files([tmp_path / "a.png", tmp_path / "b.png"], None)
    assert decode_files([tmp_path / "a.png", tmp_path / "b.png"], 3).shape == (2, 3, 3, 3)


@pytest.mark.parametrize("image_size", [None, 4])
def test_damaged_pictures_are_named(tmp_path: Path, image_size: int | None) -> None:
    picture(tmp_path / "good.png", 40, 40)
    whole = (tmp_path / "good.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.png").write_text("no picture")
    for name in ("cut.png", "text.png"):
        with pytest.raises(ValueError, match=f"{name}: not a picture"):
            decode_files([tmp_path / "good.png", tmp_path / name], image_size)


def test_more_than_half_of_the_memory_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=2 * 3 * 10 * 8 * 8))
    check_memory(10, 8, 8)
    with pytest.raises(ValueError, match="more than half"):
        check_memory(11, 8, 8)
    picture(tmp_path / "a.png", 5, 5)
    with pytest.raises(ValueError, match="choose a smaller image_size or fewer images"):
        decode_files([tmp_path / "a.png"], 100)


@pytest.mark.parametrize("image_size", [0, -3, 5000, 32.0, True, "32"])
def test_image_size_out_of_range(image_size: int) -> None:
    with pytest.raises(ValueError, match=r"image_size=.*integer from 1 to 4096"):
        check_image_size(image_size)
