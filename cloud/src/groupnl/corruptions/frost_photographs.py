"""Where the photographs of the corruption ``frost`` come from: the user's folder, a package, or a stand-in.

The published benchmarks use five photographs, ``frost1.png`` to ``frost5.jpg``, which this package does not ship.
"""

import functools
import hashlib
import importlib.util
import io
import os
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from groupnl.corruptions.frost_stand_in import draw_panes

VARIABLE = "GROUPNL_FROST_DIR"
PACKAGES = ("imagecorruptions", "imgcorr", "imagenet_c")  # their folder "frost" holds the published photographs
USED = 5  # the published generators draw from five; a sixth lies beside them
_ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
_PUBLISHED = "dba9eb3246ebb36babe196da042d103d32427affc397d3dd0d558c1441473472"  # SHA-256 of the five SHA-256s


@dataclass(frozen=True, kw_only=True, eq=False)
class FrostPhotographs:
    """Photographs to lay over pictures.

    Attributes:
        images: uint8 RGB, each of shape (3, H, W) with its own H and W; at least one.
        source: What they are, for the results: ``published photographs``, or another set's name and hash.
    """

    images: tuple[Tensor, ...]
    source: str

    def __post_init__(self) -> None:
        """Refuse what cannot be laid over a picture."""
        if not self.images:
            raise ValueError("frost photographs: none given, expected at least one")
        for image in self.images:
            if image.dtype != torch.uint8 or image.dim() != 3 or image.shape[0] != 3 or 0 in image.shape:
                raise ValueError(
                    f"a frost photograph is {image.dtype} of shape {tuple(image.shape)}: expected torch.uint8 of "
                    "shape (3, H, W)"
                )


def find_frost_photographs(folder: str | Path | None = None) -> FrostPhotographs:
    """Find photographs of frost, or draw a stand-in, with one warning a process.

    Looked for in this order: the folder given; the one that ``GROUPNL_FROST_DIR`` names; an installed package that
    ships the published photographs (it is not imported).

    Args:
        folder: Holds pictures; the first five in the order of their names are used.

    Raises:
        ValueError: The folder is missing, or holds no picture, or one that cannot be read.
    """
    if folder is None:
        folder = os.environ.get(VARIABLE) or _folder_of_a_package()
    return _stand_in() if folder is None else _read(Path(folder).absolute())


def _folder_of_a_package() -> Path | None:
    for package in PACKAGES:
        found = importlib.util.find_spec(package)
        for place in (found.submodule_search_locations if found else None) or ():
            if (Path(place) / "frost").is_dir():
                return Path(place) / "frost"
    return None


@functools.lru_cache(maxsize=4)
def _read(folder: Path) -> FrostPhotographs:
    """Read the first five pictures of a folder."""
    if not folder.is_dir():
        raise ValueError(f"frost photographs: {folder} is not a folder; give one that holds pictures, or none")
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in _ENDINGS)[:USED]
    if not files:
        raise ValueError(f"frost photographs: {folder} holds no picture ({', '.join(_ENDINGS)})")
    contents = [file.read_bytes() for file in files]
    images = tuple(_decode(content, file) for content, file in zip(contents, files, strict=True))
    digest = hashlib.sha256(b"".join(hashlib.sha256(content).digest() for content in contents)).hexdigest()
    published = digest == _PUBLISHED
    source = "published photographs" if published else f"{len(images)} photographs, sha256 {digest[:16]}"
    return FrostPhotographs(images=images, source=source)


def _decode(content: bytes, file: Path) -> Tensor:
    try:
        with Image.open(io.BytesIO(content)) as image:
            pixels = np.array(image.convert("RGB"))
    except (UnidentifiedImageError, OSError) as error:
        raise ValueError(f"frost photographs: {file} cannot be read: {error}") from error
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()


@functools.cache
def _stand_in() -> FrostPhotographs:
    warnings.warn(
        "no photographs of frost found: a drawn stand-in is used, and results say so. For the published frost, "
        f"name a folder that holds frost1.png to frost5.jpg ({VARIABLE}), or: pip install imagecorruptions-imaug",
        stacklevel=3,
    )
    return FrostPhotographs(images=draw_panes(), source="procedural stand-in")
