"""Files that are there whole or not at all, whatever happens while they are written."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO


def write_atomically(path: str | Path, write: Callable[[BinaryIO], object]) -> None:
    """Write under a temporary name, force it to the disk, then rename: a kill leaves the old file or the new one.

    Args:
        path: The file; its folder exists. The temporary name is ``.<name>.tmp`` beside it, so that what a kill leaves
            behind is overwritten by the next attempt instead of piling up.
        write: Writes the content.

    Raises:
        OSError: The disk is full or refuses. The old file, if any, is intact and the temporary one is gone, as after
            any other error that ``write`` raises.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with temporary.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the rename itself durable; only POSIX systems can open a folder."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
