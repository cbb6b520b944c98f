from pathlib import Path

import pytest
from PIL import Image

from groupnl.data import load


def write(path: Path, level: int, size: tuple[int, int] = (9, 6)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (level, level, level)).save(path)


def make(root: Path) -> None:
    write(root / "train" / "cat" / "1.png", 1)
    write(root / "train" / "cat" / "sub" / "2.PNG", 2)
    write(root / "train" / "ant" / "3.bmp", 3)
    write(root / "train" / "dog" / "4.png", 4)
    write(root / "val" / "dog" / "5.png", 5)
    (root / "train" / "cat" / "notes.txt").write_text("no picture")
    (root / "train" / "cat" / ".hidden.png").write_text("no picture")
    (root / "train" / ".cache").mkdir()


def test_classes_are_the_sorted_names_of_the_training_folders(tmp_path: Path) -> None:
    make(tmp_path)
    train, test = (load("folder", split=split, data_dir=tmp_path) for split in ("train", "test"))
    assert train.class_names == test.class_names == ("ant", "cat", "dog")
    assert train.images[:, 0, 0, 0].tolist() == [3, 1, 2, 4]
    assert train.labels.tolist() == [0, 1, 1, 2]
    assert test.labels.tolist() == [2]
    assert train.images.shape == (4, 3, 6, 9)
    assert not train.horizontal_flip
    assert load("folder", split="train", data_dir=tmp_path, image_size=8).images.shape == (4, 3, 8, 8)


def test_test_is_preferred_to_val_and_needs_no_train(tmp_path: Path) -> None:
    write(tmp_path / "val" / "a" / "1.png", 1)
    data = load("folder", split="test", data_dir=str(tmp_path))
    assert data.class_names == ("a",)
    write(tmp_path / "test" / "b" / "2.png", 2)
    assert load("folder", split="test", data_dir=tmp_path).images[0, 0, 0, 0] == 2


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="train: no such folder; expected your pictures as train/<class>"):
        load("folder", split="train", data_dir=tmp_path)
    with pytest.raises(FileNotFoundError, match=r"test or .*val: no such folder"):
        load("folder", split="test", data_dir=tmp_path)
    (tmp_path / "train").mkdir()
    with pytest.raises(FileNotFoundError, match="no class folder"):
        load("folder", split="train", data_dir=tmp_path)
    make(tmp_path)
    write(tmp_path / "val" / "bee" / "1.png", 1)
    with pytest.raises(ValueError, match="class 'bee' is not in"):
        load("folder", split="test", data_dir=tmp_path)
    (tmp_path / "train" / "empty").mkdir()
    with pytest.raises(ValueError, match="empty: no picture in it"):
        load("folder", split="train", data_dir=tmp_path)


def test_sizes_that_differ_need_an_image_size(tmp_path: Path) -> None:
    make(tmp_path)
    write(tmp_path / "train" / "dog" / "6.png", 6, size=(6, 9))
    with pytest.raises(ValueError, match="give image_size"):
        load("folder", split="train", data_dir=tmp_path)


def test_damaged_pictures_are_named(tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / "val" / "dog" / "5.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"5\.png: not a picture"):
        load("folder", split="test", data_dir=tmp_path)
