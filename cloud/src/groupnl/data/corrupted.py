"""Corrupted copies of a set, read as published: CIFAR-10-C, ImageNet-C, and those that lie like them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from torch import Tensor

from groupnl.data.corrupted_manifest import FILE_NAME, Manifest, read_manifest
from groupnl.data.corrupted_npy import NpyReader
from groupnl.data.corrupted_tree import TreeReader
from groupnl.data.image_set import ImageSet

PUBLISHED_FOLDERS = {
    "cifar10": "CIFAR-10-C",
    "cifar100": "CIFAR-100-C",
    "tiny-imagenet": "Tiny-ImageNet-C",
    "imagenet": "ImageNet-C",
}


@dataclass(frozen=True, kw_only=True, eq=False)
class CorruptedSet:
    """A corrupted copy of an image set, on the disk; made by :func:`open_corrupted`.

    Attributes:
        name: Of its folder, such as "CIFAR-10-C".
        origin: "generated" where ``groupnl data corrupt`` wrote it, else "published".
        source: What to say of it in a result: "groupnl 0.1.0, seed 0" of a generated set, else ``name``.
        corruptions: What there is; of a generated set that is not finished, what is finished.
        severities: Ascending, such as (1, 2, 3, 4, 5).
        manifest: What a generated set says about itself, else None.
    """

    name: str
    origin: Literal["published", "generated"]
    source: str
    corruptions: tuple[str, ...]
    severities: tuple[int, ...]
    manifest: Manifest | None
    count: int  # of images, N
    _read: Callable[[str, int, range], Tensor] = field(repr=False)

    @property
    def frost_source(self) -> str | None:
        """Which frost photographs were used; None where the set does not say, or has no frost."""
        return None if self.manifest is None else self.manifest.header.frost_source

    def images(self, corruption: str, severity: int, batch: range) -> Tensor:
        """Read pictures, in the order of the clean set and resized to its size where theirs is another.

        Args:
            corruption: One of ``corruptions``.
            severity: One of ``severities``.
            batch: Which images, a range within 0 .. N.

        Returns:
            uint8 on the CPU, shape (len(batch), 3, H, W).

        Raises:
            ValueError: An argument is outside what is allowed above, or a file is damaged (it is named).
            FileNotFoundError: A picture is absent.
        """
        if corruption not in self.corruptions:
            raise ValueError(f"{self.name} has no {corruption!r}: it has {', '.join(self.corruptions)}")
        if severity not in self.severities:
            raise ValueError(f"{self.name} has no severity {severity!r}: it has {', '.join(map(str, self.severities))}")
        if batch.step != 1 or not 0 <= batch.start <= batch.stop <= self.count:
            raise ValueError(f"batch={batch}: expected a range within 0 to {self.count}, step 1")
        return self._read(corruption, severity, batch)


def open_corrupted(folder: str | Path, data: ImageSet) -> CorruptedSet:
    """Open a corrupted copy of ``data``; its pictures stay on the disk until they are asked for.

    Two layouts are understood, whatever the corruptions are called (so ImageNet-3DCC and ImageNet-C-bar too):
    ``<corruption>.npy`` with ``labels.npy`` as CIFAR-10-C has them, the severities one after another; and
    ``<corruption>/<severity>/<class>/<picture>`` as ImageNet-C has them, the corruptions side by side or sorted by
    family (``noise/gaussian_noise/1/...``). Severities with names other than 1, 2, 3, ... count in their order.

    Args:
        folder: The set.
        data: The clean set that it is a copy of, all of it or (only of a tree of pictures) a part.

    Raises:
        FileNotFoundError: The folder is absent, or is neither layout, or pictures are missing.
        ValueError: Its labels differ from those of ``data``, or a file is damaged (it is named).
    """
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise FileNotFoundError(f"{root}: no such folder; expected a corrupted set such as CIFAR-10-C or ImageNet-C")
    manifest = read_manifest(root) if (root / FILE_NAME).exists() else None
    reader: NpyReader | TreeReader
    if (root / "labels.npy").exists():
        reader = NpyReader.open(root, data, None if manifest is None else manifest.header.severities)
    else:
        reader = TreeReader.open(root, data)
    there = reader.corruptions
    whole = there if manifest is None else tuple(name for name in manifest.finished if name in there)
    if not whole:
        raise FileNotFoundError(
            f"{root}: no corruption in it; expected <corruption>.npy with labels.npy, or "
            "<corruption>/<severity>/<class>/<picture>"
        )
    return CorruptedSet(
        name=root.resolve().name,
        origin="published" if manifest is None else "generated",
        source=root.resolve().name if manifest is None else manifest.header.source,
        corruptions=whole,
        severities=reader.severities,
        manifest=manifest,
        count=len(data),
        _read=reader.read,
    )


def find_corrupted(name: str, data_dir: str | Path | None) -> Path | None:
    """Find the published corrupted copy of a dataset, where there is one: beside its folder, or beside ``data_dir``.

    Args:
        name: As in :func:`groupnl.data.load`.
        data_dir: As in :func:`groupnl.data.load`.

    Returns:
        Such as ``data_dir/CIFAR-10-C``; None where none is there or none is published.
    """
    if data_dir is None or name not in PUBLISHED_FOLDERS:
        return None
    root = Path(data_dir).expanduser()
    for folder in (root / PUBLISHED_FOLDERS[name], root.resolve().parent / PUBLISHED_FOLDERS[name]):
        if folder.is_dir():
            return folder
    return None
