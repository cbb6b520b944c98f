"""What a corrupted set that groupnl wrote says about itself: ``groupnl-corruptions.json`` in its folder."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, Self

from groupnl_device.atomic import write_atomically

FILE_NAME = "groupnl-corruptions.json"
FORMAT_VERSION = 1

Layout = Literal["npy", "tree"]
Encoding = Literal["raw", "jpeg", "png"]


@dataclass(frozen=True, kw_only=True)
class Header:
    """All that the pictures depend on; a set is resumed only by a run with an equal header.

    Attributes:
        groupnl: Version that wrote it.
        versions: Of python, torch, numpy and pillow.
        data: Name of the clean set, as in :func:`groupnl.data.load`.
        split: Of the clean set.
        images: How many, N.
        image_shape: (C, H, W).
        clean_sha256: Of the labels, the file names and the first 256 clean images.
        corruptions: Asked for, in order.
        severities: Asked for, in order.
        variant: Whose constants.
        seed: Of the draws.
        frost_source: Which frost photographs; None where frost was not asked for.
        layout: ``npy`` (CIFAR-10-C's) or ``tree`` (ImageNet-C's).
        encoding: ``raw`` in arrays; in a tree ``jpeg`` (quality 85, as ImageNet-C is published) or ``png`` (lossless).
    """

    groupnl: str
    versions: Mapping[str, str]
    data: str
    split: str
    images: int
    image_shape: tuple[int, ...]
    clean_sha256: str
    corruptions: tuple[str, ...]
    severities: tuple[int, ...]
    variant: str
    seed: int
    frost_source: str | None
    layout: Layout
    encoding: Encoding

    @property
    def source(self) -> str:
        """What to say of the set in a result."""
        return f"groupnl {self.groupnl}, seed {self.seed}"


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """A header, and the sha256 of each finished corruption.

    Attributes:
        header: What the pictures depend on.
        finished: By corruption: of an array the sha256 of its file; of a tree that of its list of files, one line
            "<sha256>  <severity>/<class>/<picture>" each, in the order of severities and images.
    """

    header: Header
    finished: Mapping[str, str]

    def write(self, folder: Path) -> None:
        """Write it into a folder, whole or not at all."""
        content = {"format": "groupnl-corruptions", "format_version": FORMAT_VERSION, **asdict(self)}
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        write_atomically(folder / FILE_NAME, lambda file: file.write(text.encode()))

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Read what :meth:`write` wrote.

        Raises:
            ValueError: A field is missing, unknown or of another kind.
        """
        if content.get("format_version") != FORMAT_VERSION:
            raise ValueError(f"format_version {content.get('format_version')!r}; this version reads {FORMAT_VERSION}")
        header, finished = content.get("header"), content.get("finished")
        names = {field.name for field in fields(Header)}
        if not isinstance(header, dict) or header.keys() != names or not isinstance(finished, dict):
            raise ValueError(f"expected a header of {', '.join(sorted(names))}, and finished")
        tuples = {name: tuple(header[name]) for name in ("image_shape", "corruptions", "severities")}
        return cls(header=Header(**{**header, **tuples}), finished=finished)


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a folder.

    Raises:
        ValueError: It is damaged, or of a newer format.
        OSError: It cannot be read.
    """
    path = folder / FILE_NAME
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError("no JSON object")
        return Manifest.from_dict(content)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: no manifest that can be read ({error})") from error
