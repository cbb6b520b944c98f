"""The few acts on the disk that an update consists of; each is whole or not done, also when the power fails."""

import errno
import hashlib
import os
from pathlib import Path

from groupnl_device.atomic import sync_folder
from groupnl_device.delivery.errors import StorageError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def move(source: Path, target: Path) -> None:
    """Rename a file over another one on the same file system, its content on the disk before its new name.

    Raises:
        OSError: The disk refuses.
    """
    with source.open("rb") as file:
        os.fsync(file.fileno())
    source.replace(target)
    sync_folder(target.parent)
    if source.parent != target.parent:
        sync_folder(source.parent)


def point(link: Path, target: str) -> None:
    """Let a symbolic link lead elsewhere: at each moment it leads to the old target or to the new one.

    Args:
        link: The link; it may exist already.
        target: Relative to the link's folder.

    Raises:
        OSError: The disk refuses, or something that is no link and no file stands there.
    """
    temporary = link.with_name(f".{link.name}.tmp")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    temporary.replace(link)
    sync_folder(link.parent)


def remove(path: Path) -> None:
    """Remove a file for good; nothing happens where there is none.

    Raises:
        OSError: The disk refuses.
    """
    if path.is_symlink() or path.exists():
        path.unlink(missing_ok=True)
        sync_folder(path.parent)


def sha256_of(path: Path) -> str:
    """Of a file, in hex, read piece by piece.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_full(error: OSError) -> bool:
    """Whether the disk, or what this user may have of it, is full."""
    return error.errno in _FULL


def storage_error(error: OSError) -> StorageError:
    """What an operator is told when the disk refuses."""
    where = f"{error.filename}: " if error.filename else ""
    if is_full(error):
        return StorageError(f"{where}the disk is full; free some space, the next pull goes on")
    if error.errno == errno.EROFS:
        return StorageError(f"{where}the disk is read-only; an update has to write into the folder of --dir")
    if error.errno == errno.EIO:
        return StorageError(f"{where}the disk reports an error; it may be about to fail")
    return StorageError(f"{where}{error.strerror or error}")
