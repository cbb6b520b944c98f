"""CIFAR-10 in the layout of its official python version: ``cifar-10-batches-py/``."""

from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from groupnl.data.decode import check_memory, decode_array
from groupnl.data.image_set import ImageSet
from groupnl.data.present import require
from groupnl.data.restricted_pickle import read_pickle

PROTOCOLS = ("random",)
FOLDER = "cifar-10-batches-py"
TRAIN_FILES = tuple(f"data_batch_{number}" for number in range(1, 6))
TEST_FILES = ("test_batch",)
PUBLISHED = "https://www.cs.toronto.edu/~kriz/cifar.html (CIFAR-10 python version)"


def load(data_dir: Path, *, split: Literal["train", "test"], image_size: int | None) -> ImageSet:
    """Read the official split: 50,000 images to train, 10,000 to test.

    Args:
        data_dir: Folder that holds ``cifar-10-batches-py``.
        split: Which one.
        image_size: Side in pixels; None is 32, the size as published.

    Raises:
        FileNotFoundError: A file is absent.
        ValueError: A file is damaged (it is named), or an argument is out of range.
    """
    folder = data_dir / FOLDER
    batches = [folder / name for name in (TRAIN_FILES if split == "train" else TEST_FILES)]
    require([*batches, folder / "batches.meta"], "CIFAR-10", PUBLISHED)
    names = _field(folder / "batches.meta", read_pickle(folder / "batches.meta"), b"label_names")
    if not isinstance(names, list) or not all(isinstance(name, bytes) for name in names):
        raise ValueError(f"{folder / 'batches.meta'}: label_names is not a list of names")
    check_memory(len(batches) * 10_000, 32, 32)
    parts = [_batch(path, len(names)) for path in batches]
    return ImageSet(
        name="cifar10",
        split=split,
        images=decode_array(np.concatenate([images for images, _ in parts]), image_size),
        labels=torch.from_numpy(np.concatenate([labels for _, labels in parts])),
        class_names=tuple(name.decode() for name in names),
        horizontal_flip=True,
    )


def _batch(path: Path, classes: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return images, shape (N, 3, 32, 32), and labels of one file."""
    content = read_pickle(path)
    data, labels = _field(path, content, b"data"), _field(path, content, b"labels")
    if not isinstance(data, np.ndarray) or data.ndim != 2 or data.shape[1] != 3 * 32 * 32:
        raise ValueError(f"{path}: data is not an array of rows of 3072 bytes")
    if not isinstance(labels, list) or len(labels) != len(data):
        raise ValueError(f"{path}: expected one label for each of {len(data)} images")
    if not all(isinstance(label, int) and 0 <= label < classes for label in labels):
        raise ValueError(f"{path}: expected labels from 0 to {classes - 1}")
    return data.reshape(-1, 3, 32, 32), np.array(labels, dtype=np.int64)


def _field(path: Path, content: Any, name: bytes) -> Any:
    """Return an entry; its key is bytes in the official files and str in copies written by Python 3."""
    for key in (name, name.decode()):
        if isinstance(content, dict) and key in content:
            return content[key]
    raise ValueError(f"{path}: no entry {name.decode()!r}; expected a file of CIFAR-10's python version")
