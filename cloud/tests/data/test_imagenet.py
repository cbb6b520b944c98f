from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from groupnl.data import LazyImages, load
from groupnl.data.imagenet import class_names, wnids
from groupnl_device.preprocessing import Preprocessing

LAST, CRANE_BIRD, CRANE_MACHINE = "n15075141", "n02012849", "n03126707"


def picture(path: Path, seed: int, width: int = 40, height: int = 30) -> Image.Image:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    image.save(path, "PNG")  # whatever its name: lossless, so that the test can expect pixels
    return image


def make(root: Path) -> dict[str, Image.Image]:
    names = (f"{LAST}/b.JPEG", f"{CRANE_BIRD}/z.JPEG", f"{CRANE_BIRD}/a.JPEG")
    made = {name: picture(root / "val" / name, seed) for seed, name in enumerate(names)}
    (root / "val" / CRANE_BIRD / "notes.txt").write_text("no picture")
    return made


def test_labels_are_places_among_the_1000_whichever_are_there(tmp_path: Path) -> None:
    make(tmp_path)
    data = load("imagenet", split="test", data_dir=tmp_path, image_size=14)
    assert data.files == (f"{CRANE_BIRD}/a.JPEG", f"{CRANE_BIRD}/z.JPEG", f"{LAST}/b.JPEG")
    assert data.labels.tolist() == [134, 134, 999]  # as published: crane (the bird) is 134, toilet tissue 999
    assert len(data.class_names) == 1000
    assert data.class_names[999] == "toilet tissue"
    assert data.name == "imagenet"


def test_class_names_are_different() -> None:
    assert len(set(class_names())) == len(class_names()) == len(wnids()) == 1000
    assert class_names()[134] == f"crane ({CRANE_BIRD})"
    assert class_names()[wnids().index(CRANE_MACHINE)] == f"crane ({CRANE_MACHINE})"


def test_shorter_side_is_resized_and_the_centre_taken(tmp_path: Path) -> None:
    made = make(tmp_path)[f"{LAST}/b.JPEG"]
    images = load("imagenet", split="test", data_dir=tmp_path, image_size=14).images
    resized = made.resize((21, 16), Image.Resampling.BILINEAR)  # 14 / 0.875 = 16; 40/30 of it, whole pixels
    left, top = round((21 - 14) / 2), 1
    expected = np.asarray(resized.crop((left, top, left + 14, top + 14)))
    assert np.array_equal(images[2].permute(1, 2, 0).numpy(), expected)


def test_follows_a_nets_own_preprocessing(tmp_path: Path) -> None:
    make(tmp_path)
    own = Preprocessing(
        input_size=(3, 12, 12),
        mean=(0.5,) * 3,
        std=(0.5,) * 3,
        interpolation="bicubic",
        crop_pct=0.6,
        crop_mode="center",
    )
    data = load("imagenet", split="test", data_dir=tmp_path, preprocessing=own)
    paths = [tmp_path / "val" / name for name in data.files]
    assert np.array_equal(data.images.permute(0, 2, 3, 1).numpy(), np.stack([own.load(path) for path in paths]))


def test_lazily_or_not_the_same_pictures(tmp_path: Path) -> None:
    make(tmp_path / "imagenet")  # the folder may also hold the set's own folder
    now, later = (
        load("imagenet", split="test", data_dir=tmp_path, image_size=14, in_memory=choice) for choice in (True, False)
    )
    assert isinstance(later.images, LazyImages)
    assert not isinstance(now.images, LazyImages)
    assert torch.equal(later.images[:], now.images)
    assert later.images.paths[0] == tmp_path / "imagenet" / "val" / CRANE_BIRD / "a.JPEG"


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"ImageNet: no .*imagenet/val or .*val; .*groupnl downloads nothing"):
        load("imagenet", split="test", data_dir=tmp_path)
    (tmp_path / "val").mkdir()
    with pytest.raises(FileNotFoundError, match=r"ImageNet: no .*<wnid>/<picture>"):
        load("imagenet", split="test", data_dir=tmp_path)
    make(tmp_path)
    with pytest.raises(FileNotFoundError, match="train"):
        load("imagenet", split="train", data_dir=tmp_path)
    picture(tmp_path / "val" / "cat" / "1.png", 0)
    with pytest.raises(ValueError, match=r"val/cat: no class of ImageNet-1K; expected .* such as n01440764"):
        load("imagenet", split="test", data_dir=tmp_path)
