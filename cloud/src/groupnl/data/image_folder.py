"""Your own pictures: ``train/<class>/*`` and ``val/<class>/*`` or ``test/<class>/*``."""

from pathlib import Path
from typing import Literal

import torch

from groupnl.data.decode import squash
from groupnl.data.image_set import ImageSet
from groupnl.data.lazy_images import open_pictures
from groupnl.data.picture_files import SUFFIXES, is_picture
from groupnl_device.preprocessing import Preprocessing

PROTOCOLS = ("random",)


def load(
    data_dir: Path,
    *,
    split: Literal["train", "test"],
    image_size: int | None,
    preprocessing: Preprocessing | None,
    in_memory: bool | None,
) -> ImageSet:
    """Read one split of an image folder.

    The classes are the names of the folders in ``train``, sorted; where there is no ``train``, those of the split read.

    Args:
        data_dir: Folder that holds ``train`` and ``val`` or ``test`` (where both are there, "test" reads ``test``).
        split: Which one.
        image_size: Side in pixels, to which all are resized; may be None where all have one size.
        preprocessing: A net's own resize and crop, in place of ``image_size``.
        in_memory: As in :func:`groupnl.data.load`.

    Raises:
        FileNotFoundError: The folder is absent, or holds no classes.
        ValueError: A picture is damaged (it is named), a class has none or is unknown, or sizes differ without an
            ``image_size``.
    """
    folder = _split_folder(data_dir, split)
    classes = _classes(folder)
    class_names = _classes(data_dir / "train") if (data_dir / "train").is_dir() else classes
    unknown = sorted(set(classes) - set(class_names))
    if unknown:
        raise ValueError(f"{folder}: class {unknown[0]!r} is not in {data_dir / 'train'}; rename or remove it")
    paths: list[Path] = []
    labels: list[int] = []
    for name in classes:
        members = sorted(path for path in (folder / name).rglob("*") if is_picture(path))
        if not members:
            raise ValueError(f"{folder / name}: no picture in it; expected files ending in {', '.join(SUFFIXES)}")
        paths += members
        labels += [class_names.index(name)] * len(members)
    return ImageSet(
        name="folder",
        split=split,
        images=open_pictures(paths, preprocessing or squash(paths, image_size), in_memory=in_memory),
        labels=torch.tensor(labels),
        class_names=class_names,
        horizontal_flip=False,  # unknown classes may depend on the direction, as signs and letters do
        files=tuple(path.relative_to(folder).as_posix() for path in paths),
    )


def _split_folder(data_dir: Path, split: str) -> Path:
    candidates = [data_dir / name for name in (("train",) if split == "train" else ("test", "val"))]
    for folder in candidates:
        if folder.is_dir():
            return folder
    raise FileNotFoundError(
        f"{' or '.join(map(str, candidates))}: no such folder; expected your pictures as train/<class>/<picture> and "
        f"val/<class>/<picture> or test/<class>/<picture> under data_dir={data_dir}"
    )


def _classes(folder: Path) -> tuple[str, ...]:
    names = tuple(sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")))
    if not names:
        raise FileNotFoundError(f"{folder}: no class folder in it; expected {folder}/<class>/<picture>")
    return names
