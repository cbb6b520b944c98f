"""One update at a time: a lock that the system takes back from a process that dies."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import BinaryIO

from groupnl_device.delivery.errors import BusyError

# A process that was killed while it started another has the lock until that one runs its own program, or ends.
_WAIT_SECONDS, _STEP_SECONDS = 2.0, 0.02


@contextmanager
def only_one(path: Path) -> Iterator[None]:
    """Hold the lock while the block runs.

    Args:
        path: The file to lock; it is made where it is missing and stays.

    Raises:
        BusyError: Another process holds it, and goes on holding it for two seconds.
        OSError: The file cannot be made.
    """
    with path.open("ab") as file:
        begin = monotonic()
        while not _take(file):
            if monotonic() - begin > _WAIT_SECONDS:
                raise BusyError(f"{path}: another process updates this folder; try again when it is done")
            sleep(_STEP_SECONDS)
        yield


def _take(file: BinaryIO) -> bool:
    """Whether the lock is ours now."""
    import fcntl  # POSIX only, as is the link that an update switches

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
