"""Tiny-ImageNet: 200 classes of 64x64 pictures, as published in ``tiny-imagenet-200/``."""

from pathlib import Path
from typing import Literal

import torch

from groupnl.data.decode import squash
from groupnl.data.image_set import ImageSet
from groupnl.data.lazy_images import open_pictures
from groupnl.data.picture_files import is_picture
from groupnl.data.present import require

PROTOCOLS = ("random",)
FOLDER = "tiny-imagenet-200"
PUBLISHED = "http://cs231n.stanford.edu/tiny-imagenet-200.zip"
SIDE = 64


def load(
    data_dir: Path, *, split: Literal["train", "test"], image_size: int | None, in_memory: bool | None
) -> ImageSet:
    """Read the 100,000 training pictures, or the 10,000 validation pictures ("test": the test set has no labels).

    The validation pictures may lie as published (``val/images`` with ``val_annotations.txt``) or sorted by class
    (``val/<wnid>``, ``val/<wnid>/images``).

    Args:
        data_dir: Folder that holds ``tiny-imagenet-200``.
        split: Which one.
        image_size: Side in pixels; None is 64, the size as published.
        in_memory: As in :func:`groupnl.data.load`.

    Raises:
        FileNotFoundError: A file or folder is absent.
        ValueError: A file is damaged (it is named), or an argument is out of range.
    """
    root = data_dir / FOLDER
    require([root / "train", root / "val"], "Tiny-ImageNet", PUBLISHED)
    wnids = sorted(path.name for path in (root / "train").iterdir() if path.is_dir())
    if split == "train":
        found = _by_class(root / "train", wnids)
    else:
        annotations = root / "val" / "val_annotations.txt"
        found = _annotated(annotations) if (root / "val" / "images").is_dir() else _by_class(root / "val", wnids)
    if not found:
        raise FileNotFoundError(f"Tiny-ImageNet: no pictures of the {split} set under {root}. Published at {PUBLISHED}")
    numbers = {wnid: number for number, wnid in enumerate(wnids)}
    if unknown := sorted({wnid for wnid, _ in found} - set(wnids)):
        raise ValueError(f"{root / 'val'}: class {unknown[0]!r} has no folder in {root / 'train'}")
    paths = [path for _, path in found]
    return ImageSet(
        name="tiny-imagenet",
        split=split,
        images=open_pictures(paths, squash(paths, SIDE if image_size is None else image_size), in_memory=in_memory),
        labels=torch.tensor([numbers[wnid] for wnid, _ in found]),
        class_names=tuple(wnids),
        horizontal_flip=True,
        files=tuple(f"{wnid}/{path.name}" for wnid, path in found),
    )


def _by_class(folder: Path, wnids: list[str]) -> list[tuple[str, Path]]:
    """Return (wnid, picture) of ``<wnid>/images/*`` and ``<wnid>/*``."""
    found = []
    for wnid in wnids:
        inner = folder / wnid / "images"
        members = inner if inner.is_dir() else folder / wnid
        if members.is_dir():
            found += [(wnid, path) for path in sorted(members.iterdir()) if is_picture(path)]
    return found


def _annotated(annotations: Path) -> list[tuple[str, Path]]:
    """Return (wnid, picture) of ``val/images``, sorted by class and name, as ``val_annotations.txt`` lists them."""
    require([annotations], "Tiny-ImageNet", PUBLISHED)
    found = []
    for line in annotations.read_text(encoding="utf-8").splitlines():
        name, *rest = line.split("\t")
        if not rest:
            raise ValueError(f"{annotations}: expected lines of a file name, a tab and a wnid; got {line[:80]!r}")
        found.append((rest[0], annotations.parent / "images" / Path(name).name))
    if absent := [path for _, path in found if not path.exists()]:
        raise FileNotFoundError(f"Tiny-ImageNet: {annotations} lists {absent[0].name}, which is not in images/")
    return sorted(found)
