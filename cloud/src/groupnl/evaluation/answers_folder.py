"""Answers on disk while they are being given: what is there after a kill need not be asked again."""

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from groupnl.data import ImageSet
from groupnl.evaluation.answers import (
    ABOUT_FILE,
    LABELS_FILE,
    About,
    Condition,
    about_as_json,
    read_about,
    read_answers,
    read_labels,
)
from groupnl_device.atomic import write_atomically

_HASHED_IMAGES = 16  # the labels and these tell one selection of images from another
_MAY_DIFFER = frozenset({"name", "batch_size"})  # between a run and the one that it goes on with


class AnswersFolder:
    """A folder to which an evaluation adds its answers, one file a condition, each there whole or not at all."""

    def __init__(self, path: Path, about: About) -> None:
        self.path, self.about = path, about

    @classmethod
    def open(cls, path: str | Path, about: About, labels: NDArray[np.int64]) -> "AnswersFolder":
        """Begin in a new or empty folder, or go on in one that belongs to the same evaluation.

        Raises:
            ValueError: The folder holds something else, or the answers of another net or to other images.
            OSError: It cannot be written.
        """
        path = Path(path)
        if path.exists() and not path.is_dir():
            raise ValueError(f"answers folder {path} is a file: name a new folder")
        before = read_about(path)
        if before is None and path.exists() and any(map(_is_foreign, path.iterdir())):
            raise ValueError(f"answers folder {path} holds other files: name a new or an empty folder")
        if before is not None:
            if difference := before.difference(about, _MAY_DIFFER):
                raise ValueError(
                    f"answers folder {path} belongs to another evaluation ({difference}): name another folder, or "
                    "delete this one"
                )
            if not np.array_equal(read_labels(path, before), labels):
                raise ValueError(f"answers folder {path} belongs to other labels: name another folder")
            about = replace(about, frost_source=about.frost_source or before.frost_source)
        path.mkdir(parents=True, exist_ok=True)
        if before is None:
            write_atomically(path / LABELS_FILE, lambda file: np.save(file, labels, allow_pickle=False))
        write_atomically(path / ABOUT_FILE, lambda file: file.write(about_as_json(about)))
        return cls(path, about)

    def finished(self, conditions: Iterable[Condition]) -> list[Condition]:
        """Those whose answers are there already."""
        return [condition for condition in conditions if (self.path / condition.file).exists()]

    def read(self, condition: Condition) -> NDArray[np.void]:
        """Answers that are there. Raises ValueError where the file is damaged."""
        return read_answers(self.path, condition, self.about)

    def write(self, condition: Condition, answers: NDArray[np.void]) -> None:
        """Add the answers to all images under a condition."""
        write_atomically(self.path / condition.file, lambda file: np.save(file, answers, allow_pickle=False))


def _is_foreign(entry: Path) -> bool:
    """Not what a kill leaves before the first answers: the labels, or a temporary file."""
    return entry.name != LABELS_FILE and not entry.name.startswith(".")


def hash_of_pictures(data: ImageSet) -> str:
    """Of the labels and the first images."""
    digest = hashlib.sha256(data.labels.cpu().numpy().astype("<i8").tobytes())
    digest.update(data.images[:_HASHED_IMAGES].cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def hash_of_net(module: nn.Module) -> str:
    """Of the names and values of all weights and buffers."""
    digest = hashlib.sha256(type(module).__name__.encode())
    for name, value in sorted(module.state_dict().items()):
        digest.update(f"\0{name}\0".encode())
        if isinstance(value, torch.Tensor):
            digest.update(f"{value.dtype}{tuple(value.shape)}".encode())
            digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
        else:
            digest.update(repr(value).encode())
    return digest.hexdigest()
