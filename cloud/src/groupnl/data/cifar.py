"""CIFAR-10 and CIFAR-100 in the layout of their official python versions."""

from collections.abc import Sequence
from dataclasses import dataclass
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
PUBLISHED = "https://www.cs.toronto.edu/~kriz/cifar.html"
IMAGES = {"train": 50_000, "test": 10_000}  # of both sets


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How one of the two is stored.

    Attributes:
        name: As :func:`groupnl.data.load` calls it.
        title: As its publisher calls it.
        folder: Under ``data_dir``.
        train: Names of the files.
        test: Names of the files.
        classes: File and entry of the class names.
        labels: Entry of a batch that holds the labels.
    """

    name: str
    title: str
    folder: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    classes: tuple[str, str]
    labels: str


CIFAR10 = Layout(
    name="cifar10",
    title="CIFAR-10",
    folder="cifar-10-batches-py",
    train=tuple(f"data_batch_{number}" for number in range(1, 6)),
    test=("test_batch",),
    classes=("batches.meta", "label_names"),
    labels="labels",
)
CIFAR100 = Layout(
    name="cifar100",
    title="CIFAR-100",
    folder="cifar-100-python",
    train=("train",),
    test=("test",),
    classes=("meta", "fine_label_names"),
    labels="fine_labels",
)


def load(data_dir: Path, layout: Layout, *, split: Literal["train", "test"], image_size: int | None) -> ImageSet:
    """Read the official split: 50,000 images to train, 10,000 to test. CIFAR-100 has its 100 fine classes.

    Args:
        data_dir: Folder that holds the layout's folder.
        layout: Which of the two.
        split: Which one.
        image_size: Side in pixels; None is 32, the size as published.

    Raises:
        FileNotFoundError: A file is absent.
        ValueError: A file is damaged (it is named), or an argument is out of range.
    """
    folder = data_dir / layout.folder
    batches = [folder / name for name in (layout.train if split == "train" else layout.test)]
    meta = folder / layout.classes[0]
    require([*batches, meta], layout.title, f"{PUBLISHED} ({layout.title} python version)")
    names = _field(meta, read_pickle(meta), layout.classes[1])
    if not isinstance(names, list) or not all(isinstance(name, bytes | str) for name in names):
        raise ValueError(f"{meta}: {layout.classes[1]} is not a list of names")
    check_memory(IMAGES[split], 32, 32)
    parts = [_batch(path, layout.labels, len(names)) for path in batches]
    return ImageSet(
        name=layout.name,
        split=split,
        images=decode_array(np.concatenate([images for images, _ in parts]), image_size),
        labels=torch.from_numpy(np.concatenate([labels for _, labels in parts])),
        class_names=_decoded(names),
        horizontal_flip=True,
    )


def _batch(path: Path, field: str, classes: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return images, shape (N, 3, 32, 32), and labels of one file."""
    content = read_pickle(path)
    data, labels = _field(path, content, "data"), _field(path, content, field)
    if not isinstance(data, np.ndarray) or data.ndim != 2 or data.shape[1] != 3 * 32 * 32:
        raise ValueError(f"{path}: data is not an array of rows of 3072 bytes")
    if not isinstance(labels, list) or len(labels) != len(data):
        raise ValueError(f"{path}: expected one label for each of {len(data)} images")
    if not all(isinstance(label, int) and 0 <= label < classes for label in labels):
        raise ValueError(f"{path}: expected labels from 0 to {classes - 1}")
    return data.reshape(-1, 3, 32, 32), np.array(labels, dtype=np.int64)


def _field(path: Path, content: Any, name: str) -> Any:
    """Return an entry; its key is bytes in the official files and str in copies written by Python 3."""
    for key in (name, name.encode()):
        if isinstance(content, dict) and key in content:
            return content[key]
    raise ValueError(f"{path}: no entry {name!r}; expected a file of the dataset's python version")


def _decoded(names: Sequence[bytes | str]) -> tuple[str, ...]:
    return tuple(name.decode() if isinstance(name, bytes) else name for name in names)
