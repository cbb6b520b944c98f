"""A repository on an SFTP server, such as the one that a web server serves a folder of.

A new name is given by SFTP's plain rename, which OpenSSH refuses where the name is taken; the timestamp is replaced by
its ``posix-rename`` extension. The server's key has to be in ``~/.ssh/known_hosts``.
"""

import posixpath
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import unquote, urlsplit

from groupnl.delivery.store import prove_exclusive

_PORT = 22
_CONNECT_SECONDS = 30


class SftpStore:
    """Files below a folder of the server.

    Args:
        connection: Of paramiko.
        folder: Absolute, or relative to where the user begins.
        where: For messages, without a password.
        client: What the connection belongs to and ends with.
    """

    def __init__(self, connection: Any, folder: str, where: str, client: Any = None) -> None:
        self._connection = connection
        self._client = client
        self._folder = folder
        self.where = where
        self._known_folders: set[str] = set()

    @classmethod
    def connect(cls, url: str) -> "SftpStore":
        """Open an address, and see whether the server refuses to overwrite: not all do.

        Raises:
            ValueError: paramiko is not installed, the address names no server, or the server overwrites.
            OSError: It cannot be reached, or its key is not a known one.
        """
        try:
            import paramiko
        except ImportError as error:
            raise ValueError("a repository on an SFTP server needs paramiko; pip install 'groupnl[sftp]'") from error
        parts = urlsplit(url)
        if not parts.hostname or not parts.path.strip("/"):
            raise ValueError("expected sftp://USER@HOST/FOLDER or sftp://USER@HOST:PORT/FOLDER as the repository")
        where = f"sftp://{parts.hostname}{parts.path}"
        client = paramiko.SSHClient()
        client.load_system_host_keys()
        client.set_missing_host_key_policy(paramiko.RejectPolicy())
        try:
            client.connect(
                parts.hostname,
                parts.port or _PORT,
                username=None if parts.username is None else unquote(parts.username),
                password=None if parts.password is None else unquote(parts.password),
                timeout=_CONNECT_SECONDS,
                banner_timeout=_CONNECT_SECONDS,
                auth_timeout=_CONNECT_SECONDS,
            )
            connection = client.open_sftp()
        except (paramiko.SSHException, OSError) as error:
            raise OSError(f"{where}: {error}; does sftp {parts.hostname} connect without asking?") from error
        store = cls(connection, unquote(parts.path), where, client)
        prove_exclusive(store)
        return store

    def read(self, name: str) -> bytes | None:
        """See :class:`groupnl.delivery.store.Store`."""
        try:
            with self._plain_errors(), self._connection.open(self._path(name), "rb") as file:
                file.prefetch()
                content: bytes = file.read()
        except FileNotFoundError:
            return None
        return content

    def create(self, name: str, content: bytes) -> bool:
        """See :class:`groupnl.delivery.store.Store`. No look before: it would hide a server whose rename overwrites."""
        try:
            self._write(name, content, self._connection.rename)
        except OSError:
            if self._exists(name):  # version 3 of the protocol has no word for "it exists"
                return False
            raise
        return True

    def replace(self, name: str, content: bytes) -> None:
        """See :class:`groupnl.delivery.store.Store`."""
        self._write(name, content, self._connection.posix_rename)

    def _write(self, name: str, content: bytes, place: Callable[[str, str], None]) -> None:
        path = self._path(name)
        folder = posixpath.dirname(path)
        temporary = f"{folder}/.{secrets.token_hex(8)}.tmp"
        with self._plain_errors():
            self._make_folder(folder)
            try:
                with self._connection.open(temporary, "wx") as file:
                    file.set_pipelined(True)
                    file.write(content)
                if self._connection.stat(temporary).st_size != len(content):
                    raise OSError(f"{self.where}: {name} was not written whole")
                place(temporary, path)
            finally:
                with suppress(OSError):
                    self._connection.remove(temporary)

    def _make_folder(self, folder: str) -> None:
        if folder in self._known_folders or not folder.strip("/"):
            return
        try:
            self._connection.stat(folder)
        except FileNotFoundError:
            self._make_folder(posixpath.dirname(folder))
            try:
                self._connection.mkdir(folder)
            except OSError:  # another publisher may have made it
                self._connection.stat(folder)
        self._known_folders.add(folder)

    def _exists(self, name: str) -> bool:
        try:
            with self._plain_errors():
                self._connection.stat(self._path(name))
        except FileNotFoundError:
            return False
        return True

    def _path(self, name: str) -> str:
        return posixpath.join(self._folder, name)

    @contextmanager
    def _plain_errors(self) -> Iterator[None]:
        """What paramiko raises by itself (a closed connection) as an OSError."""
        try:
            yield
        except OSError:
            raise
        except Exception as error:
            raise OSError(f"{self.where}: {error or type(error).__name__}") from error
