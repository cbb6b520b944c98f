"""One update at a time: a lock that the system takes back from a process that dies."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from groupnl_device.delivery.errors import BusyError


@contextmanager
def only_one(path: Path) -> Iterator[None]:
    """Hold the lock while the block runs.

    Args:
        path: The file to lock; it is made where it is missing and stays.

    Raises:
        BusyError: Another process holds it.
        OSError: The file cannot be made.
    """
    import fcntl  # POSIX only, as is the link that an update switches

    with path.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BusyError(f"{path}: another process updates this folder; try again when it is done") from error
        yield
