import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from groupnl.data import load

NAMES = [b"airplane", b"automobile", b"bird", b"cat", b"deer", b"dog", b"frog", b"horse", b"ship", b"truck"]


def make(root: Path, per_file: int = 3) -> dict[str, Any]:
    """Write the official layout with few images; return what was written."""
    folder = root / "cifar-10-batches-py"
    folder.mkdir()
    (folder / "batches.meta").write_bytes(pickle.dumps({b"label_names": NAMES, b"num_vis": 3072}, protocol=3))
    rng = np.random.default_rng(0)
    written = {}
    for name in [f"data_batch_{number}" for number in range(1, 6)] + ["test_batch"]:
        content = {
            b"batch_label": name.encode(),
            b"labels": rng.integers(0, 10, per_file).tolist(),
            b"data": rng.integers(0, 256, (per_file, 3072), dtype=np.uint8),
            b"filenames": [b"x.png"] * per_file,
        }
        (folder / name).write_bytes(pickle.dumps(content, protocol=3))
        written[name] = content
    return written


def test_reads_channels_rows_columns_in_the_published_order(tmp_path: Path) -> None:
    written = make(tmp_path)
    train, test = (load("cifar10", split=split, data_dir=tmp_path) for split in ("train", "test"))
    assert train.images.shape == (15, 3, 32, 32)
    assert test.images.shape == (3, 3, 32, 32)
    assert train.class_names == test.class_names == tuple(name.decode() for name in NAMES)
    assert train.horizontal_flip
    row = written["data_batch_2"][b"data"][1]
    assert train.labels[4] == written["data_batch_2"][b"labels"][1]
    for channel, y, x in [(0, 0, 0), (1, 5, 9), (2, 31, 30)]:  # a row holds 1024 red bytes, 1024 green, 1024 blue
        assert train.images[4, channel, y, x] == row[channel * 1024 + y * 32 + x]


def test_resizes(tmp_path: Path) -> None:
    make(tmp_path)
    assert load("cifar10", split="test", data_dir=tmp_path, image_size=40).images.shape == (3, 3, 40, 40)


def test_absent_files_are_named_with_their_publisher(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"batches-py/data_batch_5.*cs\.toronto\.edu/~kriz/cifar\.html"):
        load("cifar10", split="train", data_dir=tmp_path)
    make(tmp_path)
    (tmp_path / "cifar-10-batches-py" / "data_batch_3").unlink()
    with pytest.raises(FileNotFoundError, match=r"data_batch_3 is not there\."):
        load("cifar10", split="train", data_dir=tmp_path)
    assert len(load("cifar10", split="test", data_dir=tmp_path)) == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({b"labels": [1, 2]}, "one label for each of 3 images"),
        ({b"labels": [1, 2, 10]}, "labels from 0 to 9"),
        ({b"labels": [1, 2, "3"]}, "labels from 0 to 9"),
        ({b"data": np.zeros((3, 3071), np.uint8)}, "rows of 3072 bytes"),
        ({b"data": [1, 2, 3]}, "rows of 3072 bytes"),
        ({b"data": None}, "rows of 3072 bytes"),
    ],
)
def test_damaged_batches_are_named(tmp_path: Path, change: dict[bytes, Any], message: str) -> None:
    content = make(tmp_path)["test_batch"] | change
    (tmp_path / "cifar-10-batches-py" / "test_batch").write_bytes(pickle.dumps(content, protocol=3))
    with pytest.raises(ValueError, match=f"test_batch.*{message}"):
        load("cifar10", split="test", data_dir=tmp_path)


def test_short_foreign_and_malicious_files_are_named(tmp_path: Path) -> None:
    make(tmp_path)
    path = tmp_path / "cifar-10-batches-py" / "test_batch"

    class Attack:
        def __reduce__(self) -> Any:
            return os.system, (f"touch {tmp_path / 'mark'}",)

    for content in (path.read_bytes()[:-50], b"", b"PK\x03\x04", pickle.dumps([1]), pickle.dumps({"data": Attack()})):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="test_batch"):
            load("cifar10", split="test", data_dir=tmp_path)
    assert not (tmp_path / "mark").exists()


def test_cifar100_has_its_fine_classes(tmp_path: Path) -> None:
    folder = tmp_path / "cifar-100-python"
    folder.mkdir()
    names = [f"class {number}" for number in range(100)]
    (folder / "meta").write_bytes(pickle.dumps({"fine_label_names": names, "coarse_label_names": ["x"]}))
    rng = np.random.default_rng(0)
    for name, count in (("train", 4), ("test", 3)):
        content = {
            "data": rng.integers(0, 256, (count, 3072), dtype=np.uint8),
            "fine_labels": [99, 0, 5, 7][:count],
            "coarse_labels": [1, 2, 3, 4][:count],
        }
        (folder / name).write_bytes(pickle.dumps(content, protocol=3))
    train, test = (load("cifar100", split=split, data_dir=tmp_path) for split in ("train", "test"))
    assert train.labels.tolist() == [99, 0, 5, 7]
    assert test.images.shape == (3, 3, 32, 32)
    assert test.class_names == tuple(names)
    assert test.name == "cifar100"
    (folder / "meta").unlink()
    with pytest.raises(FileNotFoundError, match=r"CIFAR-100: .*meta is not there.*CIFAR-100 python version"):
        load("cifar100", split="test", data_dir=tmp_path)


def test_names_that_are_no_names_are_refused(tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / "cifar-10-batches-py" / "batches.meta").write_bytes(pickle.dumps({"label_names": [1, 2]}))
    with pytest.raises(ValueError, match=r"batches\.meta: label_names is not a list of names"):
        load("cifar10", split="test", data_dir=tmp_path)
    (tmp_path / "cifar-10-batches-py" / "batches.meta").write_bytes(pickle.dumps({"num_vis": 3}))
    with pytest.raises(ValueError, match=r"batches\.meta: no entry 'label_names'"):
        load("cifar10", split="test", data_dir=tmp_path)
