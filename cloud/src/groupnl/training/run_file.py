"""Writing a file of a run: whole or not at all, and what to do when it cannot be written."""

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from groupnl.training.errors import TrainingError
from groupnl_device.atomic import write_atomically


def write_run_file(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file atomically (``groupnl_device.atomic``); a failure stops the run, which can be resumed.

    Args:
        path: The file; its folder exists.
        write: Writes the content.

    Raises:
        TrainingError: The disk is full or refuses; the old file, if any, is intact.
    """
    try:
        write_atomically(path, write)
    except (OSError, RuntimeError) as error:  # torch reports a failed write as RuntimeError
        kept = "the previous one is intact" if path.exists() else "there was none before"
        raise TrainingError(
            f"cannot write {path}: {error}; {kept}. Make room or correct the permissions, then resume the run"
        ) from error
