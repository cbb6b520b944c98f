"""Preprocessing against timm's own evaluation transform, and on pictures of every kind."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from groupnl_device.preprocessing import Preprocessing

STATS = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


def make(size: tuple[int, int] = (8, 8), **options) -> Preprocessing:
    return Preprocessing(input_size=(3, *size), **STATS, **options)


def picture(width: int, height: int, seed: int = 0) -> Image.Image:
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((width, height))


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("crop_mode", ["center", "squash"])
@pytest.mark.parametrize("crop_pct", [1.0, 0.875, 0.9])
@pytest.mark.parametrize("shape", [(37, 53), (53, 37), (20, 20), (224, 225), (9, 301)])
def test_same_as_timm(tmp_path: Path, interpolation: str, crop_mode: str, crop_pct: float, shape) -> None:
    create_transform = pytest.importorskip("timm.data").create_transform
    image = picture(*shape)
    image.save(tmp_path / "p.png")
    options = {"interpolation": interpolation, "crop_mode": crop_mode, "crop_pct": crop_pct}
    transform = create_transform((3, 20, 20), **options, **STATS)
    ours = make((20, 20), **options)
    loaded = ours.load(tmp_path / "p.png").transpose(2, 0, 1)[None]
    np.testing.assert_allclose(ours.normalize(loaded)[0], transform(image).numpy(), rtol=0, atol=1e-6)


def test_normalize_is_the_formula() -> None:
    images = np.arange(2 * 3 * 4 * 5, dtype=np.uint8).reshape(2, 3, 4, 5)
    mean, std = (np.reshape(STATS[name], (1, 3, 1, 1)) for name in ("mean", "std"))
    found = make().normalize(images)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, (images / 255.0 - mean) / std, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("dtype", "shape"), [(np.float32, (1, 3, 4, 4)), (np.uint8, (3, 4, 4)), (np.uint8, (1, 1, 4, 4))]
)
def test_normalize_refuses(dtype: type, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected uint8 of shape \(N, 3, H, W\)"):
        make().normalize(np.zeros(shape, dtype))


def test_transparency_is_white(tmp_path: Path) -> None:
    clear = np.zeros((8, 8, 4), np.uint8)
    clear[:, 4:] = (200, 10, 10, 255)
    Image.fromarray(clear).save(tmp_path / "p.png")
    loaded = make().load(tmp_path / "p.png")
    assert (loaded[:, :4] == 255).all()
    assert (loaded[:, 4:] == (200, 10, 10)).all()


def test_transparent_palette(tmp_path: Path) -> None:
    image = Image.new("P", (8, 8), 1)
    image.putpalette([10, 20, 30, 200, 100, 50] + [0] * 762)
    image.paste(0, (0, 0, 8, 4))
    image.save(tmp_path / "p.png", transparency=0)
    loaded = make().load(tmp_path / "p.png")
    assert (loaded[:4] == 255).all()
    assert (loaded[4:] == (200, 100, 50)).all()


def test_exif_turns_the_picture(tmp_path: Path) -> None:
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[:, :4] = 255  # left half white; turned a quarter clockwise: upper half
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(tmp_path / "p.png", exif=exif)
    loaded = make().load(tmp_path / "p.png")
    assert (loaded[:4] == 255).all()
    assert (loaded[4:] == 0).all()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I", "I;16", "F", "HSV", "LAB"])
def test_every_mode_of_pillow(tmp_path: Path, mode: str) -> None:
    suffix = "png" if mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16") else "tif"
    image = picture(11, 9).convert("L").convert("I") if mode in ("I", "I;16") else picture(11, 9)
    if mode == "LAB":
        image = Image.frombytes("LAB", (11, 9), picture(11, 9).tobytes())
    elif mode == "HSV":
        suffix, image = "jpg", picture(11, 9)
    else:
        image = image.convert(mode)
    image.save(tmp_path / f"p.{suffix}")
    loaded = make((9, 11)).load(tmp_path / f"p.{suffix}")
    assert loaded.shape == (9, 11, 3)
    assert loaded.dtype == np.uint8


def test_sixteen_bit_grey_is_scaled_not_clipped(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    Image.fromarray(ramp).save(tmp_path / "p.png")
    np.testing.assert_array_equal(make().load(tmp_path / "p.png")[:, :, 0], np.round(ramp / 257))


@pytest.mark.parametrize("suffix", ["bmp", "gif", "jpg", "png", "ppm", "tif", "webp"])
def test_common_formats(tmp_path: Path, suffix: str) -> None:
    picture(30, 20).save(tmp_path / f"p.{suffix}")
    assert make((5, 7)).load(str(tmp_path / f"p.{suffix}")).shape == (5, 7, 3)


def test_unreadable_pictures(tmp_path: Path) -> None:
    good = tmp_path / "good.png"
    picture(64, 64).save(good)
    for name, content in (("text.png", b"hello"), ("empty.png", b""), ("cut.png", good.read_bytes()[:3000])):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=rf"{name}: not a picture that can be read"):
            make().load(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        make().load(tmp_path / "absent.png")
    with pytest.raises(OSError, match="directory"):
        make().load(tmp_path)


def test_a_decompression_bomb_is_not_decoded(tmp_path: Path) -> None:
    Image.new("1", (12_000, 10_000)).save(tmp_path / "bomb.png")
    with pytest.raises(ValueError, match="12000 x 10000 pixels, at most 100000000"):
        make().load(tmp_path / "bomb.png")


@settings(deadline=None, max_examples=60)
@given(
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    shape=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    crop_pct=st.floats(0.3, 1.0),
    crop_mode=st.sampled_from(["center", "squash"]),
)
def test_any_size_gives_the_input_size(tmp_path_factory, size, shape, crop_pct, crop_mode) -> None:
    path = tmp_path_factory.getbasetemp() / "any.bmp"
    picture(*shape).save(path)
    assert make(size, crop_pct=crop_pct, crop_mode=crop_mode).load(path).shape == (*size, 3)


def test_round_trip() -> None:
    preprocessing = make((32, 48), interpolation="bicubic", crop_pct=0.875, crop_mode="center")
    assert Preprocessing.from_dict(preprocessing.to_dict()) == preprocessing
    short = {"input_size": [3, 8, 8], "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
    assert Preprocessing.from_dict(short) == make()


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"input_size": (1, 8, 8)}, "3 channels"),
        ({"input_size": (3, 0, 8)}, "from 1 to"),
        ({"input_size": (3, 8)}, "three integers"),
        ({"input_size": (3, 8.5, 8)}, "three integers"),
        ({"mean": (0.5,)}, "3 finite numbers"),
        ({"mean": (0.5, float("nan"), 0.5)}, "3 finite numbers"),
        ({"std": (0.5, 0.0, 0.5)}, "positive"),
        ({"interpolation": "nearest"}, "bilinear, bicubic"),
        ({"crop_pct": 0}, r"0\.01 to 1"),
        ({"crop_pct": 1.5}, r"0\.01 to 1"),
        ({"crop_mode": "border"}, "center, squash"),
        ({"scale": 1}, "unknown scale"),
    ],
)
def test_refusals(change: dict, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        Preprocessing.from_dict({**make().to_dict(), **change})


def test_missing_fields() -> None:
    with pytest.raises(ValueError, match="mean, std missing"):
        Preprocessing.from_dict({"input_size": [3, 8, 8]})
