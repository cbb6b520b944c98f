"""The German Traffic Sign Recognition Benchmark, in torchvision's layout: ``gtsrb/``."""

import csv
from pathlib import Path
from typing import Literal

import torch

from groupnl.data.decode import decode_files
from groupnl.data.image_set import ImageSet
from groupnl.data.present import require

PROTOCOLS = ("random",)
PUBLISHED = "https://benchmark.ini.rub.de/gtsrb_dataset.html (training images, test images, extended test annotations)"
CLASS_NAMES = (
    "speed limit 20", "speed limit 30", "speed limit 50", "speed limit 60", "speed limit 70", "speed limit 80",
    "end of speed limit 80", "speed limit 100", "speed limit 120", "no passing", "no passing for trucks",
    "right of way at next intersection", "priority road", "yield", "stop", "no vehicles", "no trucks", "no entry",
    "general caution", "dangerous curve left", "dangerous curve right", "double curve", "bumpy road", "slippery road",
    "road narrows on the right", "road work", "traffic signals", "pedestrians", "children crossing",
    "bicycles crossing", "ice or snow",
    "wild animals crossing", "end of all limits", "turn right ahead", "turn left ahead", "ahead only",
    "go straight or right", "go straight or left", "keep right", "keep left", "roundabout", "end of no passing",
    "end of no passing for trucks",
)  # fmt: skip


def load(data_dir: Path, *, split: Literal["train", "test"], image_size: int | None) -> ImageSet:
    """Read the official split. Whole images, with the border round the sign; they are never to be mirrored.

    Args:
        data_dir: Folder that holds ``gtsrb``.
        split: Which one.
        image_size: Side in pixels, to which all are resized (they are 15 to 250 as published); None is 32.

    Raises:
        FileNotFoundError: A file or folder is absent.
        ValueError: A file is damaged (it is named), or an argument is out of range.
    """
    root = data_dir / "gtsrb"
    paths, labels = _train(root / "GTSRB" / "Training") if split == "train" else _test(root)
    return ImageSet(
        name="gtsrb",
        split=split,
        images=decode_files(paths, 32 if image_size is None else image_size),
        labels=torch.tensor(labels),
        class_names=CLASS_NAMES,
        horizontal_flip=False,
    )


def _train(folder: Path) -> tuple[list[Path], list[int]]:
    """Return the pictures of ``Training/<class>/*.ppm`` and their labels."""
    require([folder], "GTSRB", PUBLISHED)
    paths = sorted(folder.glob("*/*.ppm"))
    if not paths:
        raise FileNotFoundError(f"GTSRB: no {folder}/<class>/*.ppm. Published at {PUBLISHED}")
    return paths, [_label(path.parent.name, path) for path in paths]


def _test(root: Path) -> tuple[list[Path], list[int]]:
    """Return the pictures and labels that ``GT-final_test.csv`` lists."""
    table, folder = root / "GT-final_test.csv", root / "GTSRB" / "Final_Test" / "Images"
    require([table, folder], "GTSRB", PUBLISHED)
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter=";"))
    if not rows or any(not row.get("Filename") or not row.get("ClassId") for row in rows):
        raise ValueError(f"{table}: expected columns Filename and ClassId, separated by ';', and a row for each image")
    paths = [folder / Path(row["Filename"]).name for row in rows]
    absent = [path for path in paths if not path.exists()]
    if absent:
        raise FileNotFoundError(
            f"GTSRB: {table.name} lists {len(absent)} images that are not there, such as {absent[0]}"
        )
    return paths, [_label(row["ClassId"], table) for row in rows]


def _label(text: str, where: Path) -> int:
    if not text.isdecimal() or int(text) >= len(CLASS_NAMES):
        raise ValueError(f"{where}: class {text!r}; expected 0 to {len(CLASS_NAMES) - 1}")
    return int(text)
