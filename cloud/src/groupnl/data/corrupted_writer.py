"""Write a corrupted copy of a set in the layout of CIFAR-10-C or ImageNet-C, a corruption at a time, resumably."""

import contextlib
import hashlib
import platform
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path, PurePosixPath

import numpy as np
import PIL
import torch
from filelock import FileLock
from numpy.typing import NDArray
from torch import Tensor

from groupnl.data.corrupted_layouts import write_array, write_tree
from groupnl.data.corrupted_manifest import FILE_NAME, Encoding, Header, Manifest, read_manifest
from groupnl.data.image_set import ImageSet
from groupnl_device.atomic import write_atomically

Corrupt = Callable[[Tensor, str, int, int], Tensor]  # (images, corruption, severity, first index) -> images
Progress = Callable[[str, int, int], None]  # (what runs, pictures done, pictures in all)

_LOCK = ".groupnl-corruptions.lock"  # beside the manifest, held by the run that writes
_UNFINISHED = {_LOCK, f".{FILE_NAME}.tmp"}  # what a run may leave that was killed before it began
_CLEAN_HASHED = 256  # images: enough to tell another decoder, crop or recompression, at little cost for large sets


def describe_corrupted(
    data: ImageSet,
    *,
    corruptions: Sequence[str],
    severities: Sequence[int],
    variant: str,
    seed: int,
    frost_source: str | None,
    encoding: Encoding | None = None,
) -> Header:
    """Put together the header of a set to write.

    Args:
        data: The clean set.
        corruptions: At least one name.
        severities: At least one, ascending.
        variant: Whose constants.
        seed: Of the draws.
        frost_source: Which frost photographs, None without frost.
        encoding: ``raw`` for CIFAR-10-C's layout, ``jpeg`` or ``png`` for ImageNet-C's; None: ``jpeg`` where the images
            come from files of their own, else ``raw``.

    Raises:
        ValueError: Pictures asked for, but the images have no files, or two of them would have one name.
    """
    chosen = encoding or ("jpeg" if data.files else "raw")
    if chosen != "raw":
        _check_names(data, chosen)
    digest = hashlib.sha256(data.labels.cpu().numpy().tobytes())
    digest.update("\n".join(data.files).encode())
    digest.update(data.images[:_CLEAN_HASHED].cpu().contiguous().numpy().tobytes())
    return Header(
        groupnl=version("groupnl"),
        versions={
            "python": platform.python_version(),
            "torch": str(torch.__version__),
            "numpy": np.__version__,
            "pillow": PIL.__version__,
        },
        data=data.name,
        split=data.split,
        images=len(data),
        image_shape=tuple(data.images.shape[1:]),
        clean_sha256=digest.hexdigest(),
        corruptions=tuple(corruptions),
        severities=tuple(severities),
        variant=variant,
        seed=seed,
        frost_source=frost_source,
        layout="npy" if chosen == "raw" else "tree",
        encoding=chosen,
    )


def write_corrupted(
    folder: Path,
    data: ImageSet,
    header: Header,
    corrupt: Corrupt,
    *,
    batch_size: int = 256,
    device: torch.device | str = "cpu",
    progress: Progress | None = None,
) -> Manifest:
    """Write what is missing of a corrupted set; a finished one is not touched.

    Each corruption appears whole, under its name, and only then in the manifest; a run that was killed goes on with the
    first one that the manifest lacks. A second run on the same folder waits for the first. Memory does not grow with
    the set, beyond 32 bytes for each picture of a tree.

    Args:
        folder: New, empty, or begun by a run with an equal header; its parent must exist.
        data: The clean set that ``header`` describes.
        header: Of :func:`describe_corrupted`.
        corrupt: Gives the corrupted images, uint8 of the same shape, given images, the corruption, the severity, and
            the index of the first image.
        batch_size: Images at a time.
        device: Where to corrupt.
        progress: Called after each batch and severity.

    Returns:
        The finished set's manifest.

    Raises:
        FileExistsError: The folder holds something else.
        ValueError: It was begun with other settings.
        OSError: The disk is full or refuses; what the manifest lists is intact.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = _found(folder, header)
    if found is not None and found.finished.keys() >= set(header.corruptions):
        return found
    lock = folder / _LOCK
    with FileLock(lock):
        manifest = _write_missing(folder, data, header, corrupt, batch_size, torch.device(device), progress)
    with contextlib.suppress(OSError):  # of use only while something is missing
        lock.unlink()
    return manifest


def _write_missing(
    folder: Path,
    data: ImageSet,
    header: Header,
    corrupt: Corrupt,
    batch_size: int,
    device: torch.device,
    progress: Progress | None,
) -> Manifest:
    """What ``write_corrupted`` does while no other run does it."""
    manifest = _found(folder, header)
    if manifest is None:
        manifest = Manifest(header=header, finished={})
        manifest.write(folder)
    if header.layout == "npy":
        _check_space(folder, header, len(header.corruptions) - len(manifest.finished))
        labels = np.tile(data.labels.cpu().numpy(), len(header.severities))
        write_atomically(folder / "labels.npy", lambda file: np.save(file, labels))
    count = _Counter(progress, len(data) * len(header.severities) * len(header.corruptions))
    write = write_array if header.layout == "npy" else write_tree
    for name in header.corruptions:
        if name in manifest.finished:
            count.add(name, len(data) * len(header.severities))
            continue

        def spoiled(images: Tensor, severity: int, first_index: int, name: str = name) -> NDArray[np.uint8]:
            result = corrupt(images.to(device), name, severity, first_index)
            count.add(f"{name} {severity}", len(images))
            return result.permute(0, 2, 3, 1).contiguous().cpu().numpy()

        sha256 = write(folder, name, data, header, spoiled, batch_size)
        manifest = Manifest(header=header, finished={**manifest.finished, name: sha256})
        manifest.write(folder)
    return manifest


def _found(folder: Path, header: Header) -> Manifest | None:
    """What a run with an equal header has left; None in a folder that is empty."""
    names = {
        path.name for path in folder.iterdir()
    }  # before the manifest is looked for: another run may begin meanwhile
    if (folder / FILE_NAME).exists():
        manifest = read_manifest(folder)
        if manifest.header != header:
            was, now = vars(manifest.header), vars(header)
            changed = [f"{name}={was[name]!r}, now {now[name]!r}" for name in now if was[name] != now[name]]
            raise ValueError(
                f"{folder} was begun with {'; '.join(changed)}: give the same settings again, or another folder"
            )
        return manifest
    if names - _UNFINISHED:
        raise FileExistsError(
            f"{folder} is not empty and holds no set that groupnl began: give a new folder; nothing was written"
        )
    return None


def _check_space(folder: Path, header: Header, missing: int) -> None:
    needed = missing * len(header.severities) * header.images * int(np.prod(header.image_shape))
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise OSError(
            f"{folder}: {needed / 2**30:.3g} GiB are needed and {free / 2**30:.3g} GiB are free: make room or choose "
            "another disk"
        )


def _check_names(data: ImageSet, encoding: Encoding) -> None:
    if not data.files:
        raise ValueError(
            f"encoding={encoding!r}: the images of {data.name} have no files whose names pictures could take; expected "
            "'raw' (arrays)"
        )
    copies = Counter(str(PurePosixPath(file).with_suffix("")) for file in data.files)
    if twice := [name for name, number in copies.items() if number > 1]:
        raise ValueError(f"{data.name} has two pictures {twice[0]!r} that differ in their suffix only: rename one")


class _Counter:
    """Counts pictures and tells the caller."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self.progress, self.total, self.done = progress, total, 0

    def add(self, what: str, pictures: int) -> None:
        self.done += pictures
        if self.progress is not None:
            self.progress(what, self.done, self.total)
