"""Picture files and arrays to one uint8 tensor, decoded by several threads, with a check that it fits in memory."""

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
import psutil
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from groupnl_device.preprocessing import MAX_SIDE, Preprocessing

Item = TypeVar("Item")
Result = TypeVar("Result")


def check_image_size(image_size: int | None) -> None:
    """Refuse a side length that no picture can have.

    Raises:
        ValueError: Neither None nor an integer from 1 to 4096.
    """
    if image_size is None:
        return
    if isinstance(image_size, bool) or not isinstance(image_size, int) or not 1 <= image_size <= MAX_SIDE:
        raise ValueError(f"image_size={image_size!r}: expected the side in pixels, an integer from 1 to {MAX_SIDE}")


def check_memory(count: int, height: int, width: int) -> None:
    """Refuse images that would take more than half of the memory that is available now.

    Raises:
        ValueError: They would.
    """
    if not fits_memory(count, height, width):
        needed, available = count * 3 * height * width, psutil.virtual_memory().available
        raise ValueError(
            f"{count} images of {height} x {width} pixels take {needed / 2**30:.3g} GiB decoded, more than half of the "
            f"{available / 2**30:.3g} GiB of memory available: choose a smaller image_size or fewer images"
        )


def fits_memory(count: int, height: int, width: int) -> bool:
    """Tell whether images take at most half of the memory that is available now."""
    return count * 3 * height * width <= int(psutil.virtual_memory().available) // 2


def decode_files(paths: Sequence[Path], image_size: int | None) -> Tensor:
    """Decode pictures as a device does (``Preprocessing.load``): upright, on white, squashed to a square.

    Args:
        paths: At least one file of any format that Pillow reads.
        image_size: Side in pixels; None keeps the pictures' own size, which must then be one and the same.

    Returns:
        uint8, shape (N, 3, H, W).

    Raises:
        ValueError: A file is no readable picture (it is named), sizes differ while ``image_size`` is None, or memory
            would not suffice.
    """
    return decode_pictures(paths, squash(paths, image_size))


def squash(paths: Sequence[Path], image_size: int | None) -> Preprocessing:
    """The preprocessing that brings whole pictures to a square, or keeps their size.

    Args:
        paths: At least one file.
        image_size: Side in pixels; None keeps the pictures' own size, which must then be one and the same.

    Raises:
        ValueError: ``image_size`` is out of range, or None while sizes differ or a file is no readable picture.
    """
    check_image_size(image_size)
    height, width = (image_size, image_size) if image_size is not None else _common_size(paths)
    return Preprocessing(input_size=(3, height, width), mean=(0.0,) * 3, std=(1.0,) * 3)


def decode_pictures(paths: Sequence[Path], fit: Preprocessing) -> Tensor:
    """Decode pictures, resized and cropped as a net's preprocessing says.

    Args:
        paths: Files of any format that Pillow reads.
        fit: Its mean and std do not matter here.

    Returns:
        uint8, shape (N, 3, H, W).

    Raises:
        ValueError: A file is no readable picture (it is named), or memory would not suffice.
    """
    check_memory(len(paths), *fit.input_size[1:])
    images = np.empty((len(paths), *fit.input_size), dtype=np.uint8)

    def decode(index: int) -> None:
        images[index] = fit.load(paths[index]).transpose(2, 0, 1)

    in_threads(decode, range(len(paths)))
    return torch.from_numpy(images)


def decode_array(images: NDArray[np.uint8], image_size: int | None) -> Tensor:
    """Bring decoded images to a size, with the filter of :func:`decode_files`.

    Args:
        images: Shape (N, 3, H, W).
        image_size: Side in pixels; None keeps (H, W).

    Returns:
        uint8, shape (N, 3, image_size, image_size); the array's own memory where the size is right already.

    Raises:
        ValueError: ``image_size`` is out of range, or memory would not suffice.
    """
    check_image_size(image_size)
    return resize_array(images, *(images.shape[2:] if image_size is None else (image_size, image_size)))


def resize_array(images: NDArray[np.uint8], height: int, width: int) -> Tensor:
    """As :func:`decode_array`, to any height and width in pixels."""
    if images.shape[2:] == (height, width):
        return torch.from_numpy(images)
    check_memory(len(images), height, width)
    resized = np.empty((len(images), 3, height, width), dtype=np.uint8)

    def resize(index: int) -> None:
        picture = Image.fromarray(np.ascontiguousarray(images[index].transpose(1, 2, 0)))
        scaled = picture.resize((width, height), Image.Resampling.BILINEAR)
        resized[index] = np.asarray(scaled).transpose(2, 0, 1)

    in_threads(resize, range(len(images)))
    return torch.from_numpy(resized)


def _common_size(paths: Sequence[Path]) -> tuple[int, int]:
    """Return (H, W) of all pictures, read from their headers."""
    sizes = in_threads(_upright_size, paths)
    for path, size in zip(paths, sizes, strict=True):
        if size != sizes[0]:
            raise ValueError(
                f"{path} is {size[0]} x {size[1]} pixels high and wide, {paths[0]} is {sizes[0][0]} x {sizes[0][1]}: "
                "give image_size, to which all are then resized"
            )
    return sizes[0]


def _upright_size(path: Path) -> tuple[int, int]:
    try:
        with Image.open(path) as picture:
            turned = picture.getexif().get(0x0112, 1) in (5, 6, 7, 8)  # EXIF orientation: lies on its side
            return (picture.width, picture.height) if turned else (picture.height, picture.width)
    except Exception as error:  # Pillow's decoders raise anything from SyntaxError to struct.error on broken files
        raise ValueError(f"{path}: not a picture that can be read ({error or type(error).__name__})") from error


def in_threads(function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Map in threads (Pillow releases the interpreter lock while it decodes); the first error stops the rest."""
    with ThreadPoolExecutor(max_workers=min(32, os.cpu_count() or 1)) as pool:
        try:
            return list(pool.map(function, items))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
