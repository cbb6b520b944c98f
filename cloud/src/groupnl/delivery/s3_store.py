"""A repository in S3-compatible object storage, through fsspec and s3fs: conditional writes keep publishers apart.

Credentials, region and endpoint are those of the AWS tools: ``AWS_PROFILE``, ``AWS_ENDPOINT_URL`` and so on.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import fsspec

from groupnl.delivery.store import prove_exclusive

_TAKEN = ("PreconditionFailed", "412")  # how servers say that an object to be created is there
_BUSY = ("ConditionalRequestConflict", "409")  # another write to the same name is under way
_ATTEMPTS = 10


class S3Store:
    """Objects below a prefix.

    Args:
        filesystem: Of s3fs.
        folder: ``BUCKET`` or ``BUCKET/PREFIX``.
    """

    def __init__(self, filesystem: Any, folder: str) -> None:
        self._filesystem = filesystem
        self._folder = folder.strip("/")
        self.where = f"s3://{self._folder}"

    @classmethod
    def connect(cls, url: str) -> "S3Store":
        """Open an address, and see whether the server honours conditional writes: not all do.

        Raises:
            ValueError: s3fs is not installed, the address names no bucket, or the server does not.
            OSError: It cannot be reached.
        """
        parts = urlsplit(url)
        if not parts.netloc:
            raise ValueError(f"repository {url}: expected s3://BUCKET or s3://BUCKET/FOLDER")
        try:
            filesystem = fsspec.filesystem("s3", use_listings_cache=False, skip_instance_cache=True)
        except ImportError as error:
            raise ValueError(f"repository {url}: needs s3fs; pip install 'groupnl[s3]'") from error
        store = cls(filesystem, parts.netloc + parts.path)
        try:
            prove_exclusive(store)
        except FileNotFoundError as error:
            raise OSError(f"{store.where}: {error}; make the bucket first") from error
        return store

    def read(self, name: str) -> bytes | None:
        """See :class:`groupnl.delivery.store.Store`."""
        try:
            with self._plain_errors():
                content: bytes = self._filesystem.cat_file(self._path(name))
        except FileNotFoundError:
            return None
        return content

    def create(self, name: str, content: bytes) -> bool:
        """See :class:`groupnl.delivery.store.Store`.

        A write whose answer was lost is sent again and then finds the name taken, by itself: hence the comparison.
        """
        for _ in range(_ATTEMPTS):
            try:
                with self._plain_errors():
                    self._filesystem.pipe_file(self._path(name), content, mode="create")
            except OSError as error:
                if _says(error, _BUSY):
                    continue
                if not isinstance(error, FileExistsError) and not _says(error, _TAKEN):
                    raise
                return self.read(name) == content
            return True
        raise OSError(f"{self.where}: {name} is being written by others all the time; try again later")

    def replace(self, name: str, content: bytes) -> None:
        """See :class:`groupnl.delivery.store.Store`."""
        with self._plain_errors():
            self._filesystem.pipe_file(self._path(name), content)

    def _path(self, name: str) -> str:
        return f"{self._folder}/{name}"

    @contextmanager
    def _plain_errors(self) -> Iterator[None]:
        """What botocore raises by itself (no credentials, no connection) as an OSError."""
        try:
            yield
        except OSError:
            raise
        except Exception as error:
            raise OSError(f"{self.where}: {error}") from error


def _says(error: BaseException, codes: tuple[str, ...]) -> bool:
    """Whether the server's answer behind an error has one of these codes."""
    answer = getattr(error.__cause__, "response", None) or {}
    return str(answer.get("Error", {}).get("Code")) in codes
