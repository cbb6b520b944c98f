from pathlib import Path

import pytest
from PIL import Image

from groupnl.data import LazyImages, load

ANT, BEE = "n02219486", "n02206856"


def write(path: Path, level: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (64, 64), (level,) * 3).save(path, "PNG")


def make_train(root: Path) -> None:
    for number, wnid in enumerate((ANT, BEE)):
        for index in range(2):
            write(root / "tiny-imagenet-200" / "train" / wnid / "images" / f"{wnid}_{index}.JPEG", 10 * number + index)


def make_val_as_published(root: Path) -> None:
    val = root / "tiny-imagenet-200" / "val"
    lines = []
    for index, wnid in enumerate((ANT, BEE, ANT)):
        write(val / "images" / f"val_{index}.JPEG", 100 + index)
        lines.append(f"val_{index}.JPEG\t{wnid}\t0\t0\t63\t63")
    (val / "val_annotations.txt").write_text("\n".join(lines) + "\n")


def test_reads_the_published_layout_sorted_by_class(tmp_path: Path) -> None:
    make_train(tmp_path)
    make_val_as_published(tmp_path)
    train, test = (load("tiny-imagenet", split=split, data_dir=tmp_path) for split in ("train", "test"))
    assert train.images.shape == (4, 3, 64, 64)
    assert train.images[:, 0, 0, 0].tolist() == [10, 11, 0, 1]
    assert train.labels.tolist() == [0, 0, 1, 1]
    assert train.class_names == test.class_names == (BEE, ANT)
    assert test.files == (f"{BEE}/val_1.JPEG", f"{ANT}/val_0.JPEG", f"{ANT}/val_2.JPEG")
    assert test.labels.tolist() == [0, 1, 1]
    assert test.images[:, 0, 0, 0].tolist() == [101, 100, 102]


@pytest.mark.parametrize("inner", ["", "images"])
def test_reads_validation_pictures_sorted_into_folders_alike(tmp_path: Path, inner: str) -> None:
    make_train(tmp_path)
    val = tmp_path / "tiny-imagenet-200" / "val"
    for index, wnid in enumerate((ANT, BEE, ANT)):
        write(val / wnid / inner / f"val_{index}.JPEG", 100 + index)
    test = load("tiny-imagenet", split="test", data_dir=tmp_path)
    assert test.files == (f"{BEE}/val_1.JPEG", f"{ANT}/val_0.JPEG", f"{ANT}/val_2.JPEG")
    assert test.images[:, 0, 0, 0].tolist() == [101, 100, 102]
    assert isinstance(load("tiny-imagenet", split="test", data_dir=tmp_path, in_memory=False).images, LazyImages)


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"tiny-imagenet-200/train is not there.*cs231n"):
        load("tiny-imagenet", split="test", data_dir=tmp_path)
    make_train(tmp_path)
    val = tmp_path / "tiny-imagenet-200" / "val"
    val.mkdir()
    with pytest.raises(FileNotFoundError, match="no pictures of the test set"):
        load("tiny-imagenet", split="test", data_dir=tmp_path)
    make_val_as_published(tmp_path)
    annotations = val / "val_annotations.txt"
    good = annotations.read_text()
    annotations.write_text(good.replace(BEE, "n1"))
    with pytest.raises(ValueError, match="class 'n1' has no folder in"):
        load("tiny-imagenet", split="test", data_dir=tmp_path)
    annotations.write_text("val_0.JPEG n2\n")
    with pytest.raises(ValueError, match=r"val_annotations\.txt: expected lines of a file name, a tab and a wnid"):
        load("tiny-imagenet", split="test", data_dir=tmp_path)
    annotations.write_text(good)
    (val / "images" / "val_1.JPEG").unlink()
    with pytest.raises(FileNotFoundError, match=r"lists val_1\.JPEG, which is not in images/"):
        load("tiny-imagenet", split="test", data_dir=tmp_path)
