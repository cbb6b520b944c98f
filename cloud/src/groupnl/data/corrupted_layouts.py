"""One corruption of a set on the disk: as an array (CIFAR-10-C's layout) or a tree of pictures (ImageNet-C's)."""

import hashlib
import io
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from groupnl.data.corrupted_manifest import Encoding, Header
from groupnl.data.decode import in_threads
from groupnl.data.image_set import ImageSet
from groupnl_device.atomic import write_atomically

Spoil = Callable[[Tensor, int, int], NDArray[np.uint8]]  # (images, severity, first index) -> (n, H, W, 3)

JPEG_QUALITY = 85  # of the pictures of ImageNet-C as published
_SUFFIXES = {"jpeg": ".JPEG", "png": ".png"}


def write_array(folder: Path, name: str, data: ImageSet, header: Header, spoil: Spoil, batch_size: int) -> str:
    """Write ``<name>.npy`` and return its sha256."""
    digest = hashlib.sha256()
    channels, height, width = header.image_shape
    shape = (len(header.severities) * len(data), height, width, channels)

    def write(file: BinaryIO) -> None:
        start = io.BytesIO()
        np.lib.format.write_array_header_1_0(start, {"descr": "|u1", "fortran_order": False, "shape": shape})
        digest.update(start.getvalue())
        file.write(start.getvalue())
        for severity in header.severities:
            for batch in _batches(data, batch_size):
                pixels = spoil(data.images[batch.start : batch.stop], severity, batch.start).data
                digest.update(pixels)
                file.write(pixels)

    write_atomically(folder / f"{name}.npy", write)
    return digest.hexdigest()


def write_tree(folder: Path, name: str, data: ImageSet, header: Header, spoil: Spoil, batch_size: int) -> str:
    """Write ``<name>/<severity>/<class>/<picture>`` and return the sha256 of its list of files."""
    work = folder / f".{name}.tmp"
    shutil.rmtree(work, ignore_errors=True)
    names = [str(PurePosixPath(file).with_suffix(_SUFFIXES[header.encoding])) for file in data.files]
    for parent in {str(PurePosixPath(file).parent) for file in names}:
        for severity in header.severities:
            (work / str(severity) / parent).mkdir(parents=True, exist_ok=True)
    sums: dict[int, list[bytes]] = {severity: [] for severity in header.severities}
    try:
        for batch in _batches(data, batch_size):
            images = data.images[batch.start : batch.stop]  # decoded once for all severities
            for severity in header.severities:
                pixels = spoil(images, severity, batch.start)
                paths = [work / str(severity) / names[index] for index in batch]
                sums[severity] += in_threads(
                    lambda item: _write_picture(*item, header.encoding), zip(paths, pixels, strict=True)
                )
        if hasattr(os, "sync"):  # one for all pictures: forcing each to the disk by itself takes longer than making it
            os.sync()
        final = folder / name
        shutil.rmtree(final, ignore_errors=True)  # of a run killed between this rename and the manifest's
        work.rename(final)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    listed = hashlib.sha256()
    for severity, digests in sums.items():
        for file, digest in zip(names, digests, strict=True):
            listed.update(f"{digest.hex()}  {severity}/{file}\n".encode())
    return listed.hexdigest()


def _write_picture(path: Path, pixels: NDArray[np.uint8], encoding: Encoding) -> bytes:
    """Write one picture and return its sha256."""
    buffer = io.BytesIO()
    if encoding == "jpeg":
        Image.fromarray(pixels).save(buffer, "JPEG", quality=JPEG_QUALITY, optimize=True)
    else:
        Image.fromarray(pixels).save(buffer, "PNG")
    path.write_bytes(buffer.getvalue())
    return hashlib.sha256(buffer.getbuffer()).digest()


def _batches(data: ImageSet, batch_size: int) -> Iterator[range]:
    for start in range(0, len(data), batch_size):
        yield range(start, min(start + batch_size, len(data)))
