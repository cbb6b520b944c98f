"""CIFAR-10-C's layout: ``<corruption>.npy``, (S * N, H, W, 3), the S severities one after another, and ``labels.npy``.

Arrays are mapped, never read whole.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from groupnl.data.decode import resize_array
from groupnl.data.image_set import ImageSet

LABELS = "labels"


@dataclass(frozen=True, kw_only=True, eq=False)
class NpyReader:
    """Reads such a folder, for a clean set of N images."""

    arrays: Mapping[str, NDArray[np.uint8]]
    severities: tuple[int, ...]
    count: int  # N
    size: tuple[int, int]  # (H, W) of the clean set

    @classmethod
    def open(cls, root: Path, data: ImageSet, severities: tuple[int, ...] | None) -> Self:
        """Check shapes and labels.

        Args:
            root: The folder.
            data: The clean set.
            severities: What the folder holds, in order; None: 1, 2, ... as many as there are.

        Raises:
            ValueError: A file is damaged or of another shape, or the labels are not those of ``data``.
        """
        paths = [path for path in sorted(root.glob("*.npy")) if path.stem != LABELS and not path.name.startswith(".")]
        arrays = {path.stem: _array(path) for path in paths}
        steps = {_steps(root / f"{name}.npy", array, len(data)) for name, array in arrays.items()}
        if len(steps) > 1:
            raise ValueError(f"{root}: files of {' and '.join(map(str, sorted(steps)))} severities; expected all alike")
        found = severities or tuple(range(1, 1 + max(steps, default=0)))
        if steps - {len(found)}:
            raise ValueError(f"{root}: files of {max(steps)} severities, but its manifest lists {len(found)}")
        _check_labels(root / f"{LABELS}.npy", data, len(found))
        height, width = data.images.shape[2:]
        return cls(arrays=arrays, severities=found, count=len(data), size=(height, width))

    @property
    def corruptions(self) -> tuple[str, ...]:
        """In alphabetical order."""
        return tuple(self.arrays)

    def read(self, corruption: str, severity: int, batch: range) -> Tensor:
        """As :meth:`CorruptedSet.images`; the arguments are checked there."""
        first = self.severities.index(severity) * self.count
        rows = self.arrays[corruption][first + batch.start : first + batch.stop]
        return resize_array(rows.transpose(0, 3, 1, 2).copy(), *self.size)


def _array(path: Path) -> NDArray[np.uint8]:
    array = _load(path)
    if array.dtype != np.uint8 or array.ndim != 4 or array.shape[3] != 3:
        raise ValueError(f"{path}: {array.dtype} of shape {array.shape}; expected uint8 of shape (S * N, H, W, 3)")
    return array


def _load(path: Path) -> NDArray[Any]:
    try:
        return np.lib.format.open_memmap(path, mode="r")  # never a pickle: objects cannot be mapped
    except (ValueError, OSError) as error:
        raise ValueError(f"{path}: no array that can be read ({error})") from error


def _steps(path: Path, array: NDArray[np.uint8], count: int) -> int:
    """How many severities a file holds."""
    if len(array) % count or not len(array):
        raise ValueError(
            f"{path}: {len(array)} pictures; expected a multiple of the clean set's {count}, one run a severity"
        )
    return len(array) // count


def _check_labels(path: Path, data: ImageSet, steps: int) -> None:
    labels, clean = _load(path), data.labels.cpu().numpy()
    expected = np.tile(clean, len(labels) // len(clean)) if labels.ndim == 1 and len(labels) else clean
    if labels.shape not in ((len(clean),), (steps * len(clean),)):
        raise ValueError(
            f"{path}: shape {labels.shape}; expected ({steps * len(clean)},), one label for each picture, since "
            f"{data.name} has {len(clean)}"
        )
    if wrong := int((labels != expected).sum()):
        raise ValueError(
            f"{path}: {wrong} of {len(labels)} labels differ from those of {data.name} ({data.split}): it is no "
            "corrupted copy of this set, or one in another order"
        )
