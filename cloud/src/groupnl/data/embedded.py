"""OpenIcons: emoji of six openly licensed sets in about 20 classes, 32x32 RGB on white, shipped inside this package.

A free analogue of Icons-50: style = the set that drew an icon, subtype = the emoji. tools/openicons builds it;
openicons/ATTRIBUTION.md beside this file names the artists and licences.

What a test picture has in common with the training pictures depends on the split. "random": the same emoji drawn by
another set may be among them, but not the same drawing: of pictures that are nearly identical, or nearly mirror images,
only one is in the dataset at all. "style": no picture of that set. "subtype": no picture of that emoji.
"""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from groupnl.data.decode import decode_array
from groupnl.data.image_set import ImageSet
from groupnl.data.splits import style_of

PROTOCOLS = ("random", "style", "subtype")
STYLES = ("noto", "noto-v1", "fxemoji", "fluent-emoji-flat", "twemoji", "emojione")
HELD_OUT_STYLE = "fluent-emoji-flat"  # of the style split; a Microsoft set, as the one that Icons-50 holds out


@dataclass(frozen=True, kw_only=True)
class Icon:
    """One row of the index.

    Attributes:
        label: Class name.
        style: Set that drew it.
        subtype: Unicode's name of the emoji.
        code: Its code points, such as "1f431".
        random: "train" or "test", its side in the random split.
        by_subtype: "train" or "test", its side in the subtype split.
    """

    label: str
    style: str
    subtype: str
    code: str
    random: str
    by_subtype: str

    def is_test(self, protocol: str) -> bool:
        """Tell on which side of a split (a protocol of :func:`load`) the icon lies."""
        style = style_of(protocol, STYLES, HELD_OUT_STYLE)
        if style is not None:
            return self.style == style
        return (self.random if protocol == "random" else self.by_subtype) == "test"


def load(*, split: Literal["train", "test"], protocol: str, image_size: int | None) -> ImageSet:
    """Read one split of OpenIcons.

    Args:
        split: Which one.
        protocol: "random" (a fifth of each class's pictures is the test set), "style" or "style:S" (set S),
            "subtype" (a fifth of each class's emoji).
        image_size: Side in pixels; None is 32, the size as shipped.

    Raises:
        ValueError: The shipped files are damaged, or an argument is out of range.
    """
    icons = index()
    facts = manifest()
    class_names = tuple(facts["classes"])
    chosen = np.array([icon.is_test(protocol) == (split == "test") for icon in icons])
    images = np.concatenate([_atlas(name, facts) for name in class_names])
    if len(images) != len(icons):
        raise ValueError(f"openicons: {len(images)} pictures, {len(icons)} rows in index.csv; install groupnl again")
    numbers = {name: number for number, name in enumerate(class_names)}
    labels = torch.tensor([numbers[icon.label] for icon in icons])
    return ImageSet(
        name="openicons",
        split=split,
        images=decode_array(images[chosen], image_size),
        labels=labels[torch.from_numpy(chosen)],
        class_names=class_names,
        horizontal_flip=True,  # mirrored letters are still letters; no class depends on the direction
    )


def index() -> list[Icon]:
    """Return what is known of every picture, in the order of the classes and of their atlases."""
    with _file("index.csv").open(encoding="utf-8") as file:
        return [Icon(label=row.pop("class"), **row) for row in csv.DictReader(file)]


def manifest() -> dict[str, Any]:
    """Return the counts, sources and sha256 sums that the build wrote."""
    result: dict[str, Any] = json.loads(_file("manifest.json").read_text(encoding="utf-8"))
    return result


def attribution() -> str:
    """Return who drew the icons and under which licences, as Markdown."""
    return _file("ATTRIBUTION.md").read_text(encoding="utf-8")


def files() -> Iterator[Traversable]:
    """Yield the shipped files."""
    return (resources.files("groupnl.data") / "openicons").iterdir()


def _file(name: str) -> Traversable:
    return resources.files("groupnl.data") / "openicons" / name


def _atlas(class_name: str, facts: dict[str, Any]) -> NDArray[np.uint8]:
    """Return one class's pictures, shape (N, 3, 32, 32), cut from its atlas as the manifest describes it."""
    size, columns, count = facts["size"], facts["columns"], facts["classes"][class_name]
    with _file(f"{class_name}.png").open("rb") as file, Image.open(file) as image:
        atlas = np.asarray(image.convert("RGB"))
    rows = -(-count // columns)
    if atlas.shape != (rows * size, columns * size, 3):
        raise ValueError(f"openicons/{class_name}.png has shape {atlas.shape}: damaged; install groupnl again")
    tiles = atlas.reshape(rows, size, columns, size, 3).transpose(0, 2, 4, 1, 3)
    return tiles.reshape(rows * columns, 3, size, size)[:count]
