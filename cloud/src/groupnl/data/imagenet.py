"""ImageNet-1K (ILSVRC 2012), or any part of it: ``train/<wnid>/*`` and ``val/<wnid>/*``.

A label is the class's place among the 1,000, whichever of them are there, so it fits pretrained nets.
"""

from functools import cache
from pathlib import Path
from typing import Literal

import torch

from groupnl.data.image_set import ImageSet
from groupnl.data.lazy_images import open_pictures
from groupnl.data.picture_files import is_picture
from groupnl_device.preprocessing import Preprocessing

PROTOCOLS = ("random",)
FOLDERS = ("imagenet", "ILSVRC2012", ".")  # under data_dir, the first with the split is read
PUBLISHED = "https://image-net.org (ILSVRC 2012, sorted into one folder a class)"
SIDE = 224
CROP_PCT = 0.875  # of the shorter side after the resize: 256 to 224, as ImageNet-C was made


def load(
    data_dir: Path,
    *,
    split: Literal["train", "test"],
    image_size: int | None,
    preprocessing: Preprocessing | None,
    in_memory: bool | None,
) -> ImageSet:
    """Read the training or the validation pictures ("test").

    Args:
        data_dir: Folder that holds ``imagenet``, or holds ``val`` itself.
        split: Which one.
        image_size: Side in pixels: the shorter side is resized to image_size / 0.875 (bilinear), then the centre is
            taken. None is 224.
        preprocessing: A net's own resize and crop, in place of the above.
        in_memory: As in :func:`groupnl.data.load`.

    Raises:
        FileNotFoundError: The folder is absent, or empty.
        ValueError: A class folder is no class of ImageNet-1K, a picture is damaged (it is named), or memory would not
            suffice.
    """
    folder = _folder(data_dir, "train" if split == "train" else "val")
    numbers = {wnid: number for number, wnid in enumerate(wnids())}
    classes = sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if unknown := [name for name in classes if name not in numbers]:
        raise ValueError(
            f"{folder / unknown[0]}: no class of ImageNet-1K; expected folders named by wnid, such as {wnids()[0]}"
        )
    paths = [path for name in classes for path in sorted((folder / name).iterdir()) if is_picture(path)]
    if not paths:
        raise FileNotFoundError(f"ImageNet: no {folder}/<wnid>/<picture>. Published at {PUBLISHED}")
    side = SIDE if image_size is None else image_size
    return ImageSet(
        name="imagenet",
        split=split,
        images=open_pictures(paths, preprocessing or centre_crop(side), in_memory=in_memory),
        labels=torch.tensor([numbers[path.parent.name] for path in paths]),
        class_names=class_names(),
        horizontal_flip=True,
        files=tuple(f"{path.parent.name}/{path.name}" for path in paths),
    )


def centre_crop(side: int) -> Preprocessing:
    """The usual way to a square of ``side`` pixels: shorter side to side / 0.875, bilinear, then the centre."""
    return Preprocessing(
        input_size=(3, side, side), mean=(0.0,) * 3, std=(1.0,) * 3, crop_pct=CROP_PCT, crop_mode="center"
    )


@cache
def wnids() -> tuple[str, ...]:
    """The 1,000 classes' WordNet names in label order, as timm lists them."""
    from timm.data.imagenet_info import ImageNetInfo

    return tuple(ImageNetInfo("imagenet-1k").label_names())  # type: ignore[no-untyped-call]  # timm's


@cache
def class_names() -> tuple[str, ...]:
    """The 1,000 classes' names for people in label order; of two classes with one name, with the wnid behind."""
    from timm.data.imagenet_info import ImageNetInfo

    info = ImageNetInfo("imagenet-1k")
    names = [info.index_to_description(number).split(",")[0] for number in range(len(wnids()))]
    return tuple(
        name if names.count(name) == 1 else f"{name} ({wnid})" for name, wnid in zip(names, wnids(), strict=True)
    )


def _folder(data_dir: Path, split_folder: str) -> Path:
    candidates = [data_dir / name / split_folder for name in FOLDERS]
    for folder in candidates:
        if folder.is_dir():
            return folder
    raise FileNotFoundError(
        f"ImageNet: no {' or '.join(map(str, (candidates[0], candidates[-1])))}; expected pictures as "
        f"{split_folder}/<wnid>/<picture>. Published at {PUBLISHED}; groupnl downloads nothing by itself."
    )
