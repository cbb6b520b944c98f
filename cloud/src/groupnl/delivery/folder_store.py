"""A repository in a folder of this machine, or one that is mounted here."""

import errno
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit


class FolderStore:
    """Files below a folder. What is written is on the disk before it has its name, and the name is before we go on.

    Args:
        root: The folder; made when the first file is written.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self.where = str(root)

    @classmethod
    def at(cls, url: str) -> "FolderStore":
        """From a path or a ``file://`` address."""
        return cls(Path(unquote(urlsplit(url).path)) if url.lower().startswith("file:") else Path(url))

    def read(self, name: str) -> bytes | None:
        """See :class:`groupnl.delivery.store.Store`."""
        try:
            return (self._root / name).read_bytes()
        except FileNotFoundError:
            return None

    def create(self, name: str, content: bytes) -> bool:
        """See :class:`groupnl.delivery.store.Store`. A second name for a whole file, which fails on a taken name."""
        if (self._root / name).exists():  # spares the writing; the link below is what decides
            return False
        try:
            self._write(name, content, os.link)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS):
                raise ValueError(
                    f"{self.where}: this file system has no hard links, which keep two publishers apart; use another"
                ) from error
            raise
        return True

    def replace(self, name: str, content: bytes) -> None:
        """See :class:`groupnl.delivery.store.Store`."""
        self._write(name, content, os.replace)

    def _write(self, name: str, content: bytes, place: Callable[[Path, Path], None]) -> None:
        path = self._root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
        try:
            with temporary.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            place(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
        for folder in path.parents:  # up to the one that holds the root: each may be new
            _sync(folder)
            if folder == self._root.parent:
                break


def _sync(folder: Path) -> None:
    """Make a new name durable; only POSIX systems can open a folder."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
