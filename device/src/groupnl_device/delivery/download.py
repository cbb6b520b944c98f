"""One file of the repository, into a staging file that the next attempt, or the next process, goes on with.

Whatever ends a download - a broken line, kill -9, the end of power - what had arrived stays in ``<hash>.part``. The
next one reads it once, for the hash, and asks for the rest. No ``If-Range`` is needed: the address names the content,
and the hash over everything decides.
"""

import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from groupnl_device.atomic import sync_folder
from groupnl_device.delivery.address import shown
from groupnl_device.delivery.catalogue import TargetFile
from groupnl_device.delivery.errors import ContentError, NetworkError, SlowError, StorageError
from groupnl_device.delivery.fetch import Fetcher, Reply
from groupnl_device.delivery.patience import PassingError, Tries

_PIECE = 64 * 1024  # bytes
_CONTENT_RANGE = re.compile(r"bytes (\d{1,15})-\d{1,15}/(\d{1,15}|\*)")


@dataclass(frozen=True)
class Download:
    """A file that is here whole.

    Attributes:
        path: The staging file, verified and on the disk.
        reused_bytes: Of it that were there already.
        received_bytes: That came over the network for it.
    """

    path: Path
    reused_bytes: int
    received_bytes: int


def download(file: TargetFile, staging: Path, fetcher: Fetcher) -> Download:
    """Download what is missing of a file and verify all of it.

    Args:
        file: What the signed metadata promise.
        staging: The folder of staging files, made if absent.
        fetcher: The network.

    Raises:
        NetworkError: No attempt is left; what has arrived stays for the next time.
        ContentError: The server has another file; the staging file is removed.
        StorageError: The disk is full, read-only or broken; with too little space nothing is asked for.
    """
    path = staging / f"{file.digest}.part"
    try:
        staging.mkdir(parents=True, exist_ok=True)
        with _Part(path, file) as part:
            reused = part.length
            received = _fill(part, file, fetcher)
            if not part.is_right() and reused:  # perhaps a power cut spoiled what was there: once more, from the start
                part.clear()
                reused = 0
                received += _fill(part, file, fetcher)
            if not part.is_right():
                raise ContentError(
                    f"{shown(file.url)}: its {file.algorithm} is {part.digest}, the signed metadata say {file.digest}"
                )
            part.force_to_disk()
    except ContentError:
        path.unlink(missing_ok=True)
        raise
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror or error}") from error
    sync_folder(staging)
    return Download(path, reused, received)


class _Part:
    """The staging file and the hash of what it holds; every byte passes the hash once."""

    def __init__(self, path: Path, file: TargetFile) -> None:
        self._path = path
        self._file = file

    def __enter__(self) -> Self:
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o644)
        self._stream = os.fdopen(descriptor, "r+b", buffering=0)  # no buffer: what was written survives a kill
        try:
            if os.fstat(descriptor).st_size > self._file.length:
                self._stream.truncate(0)
            self._hash = hashlib.file_digest(self._stream, self._file.algorithm)
            self.length = self._stream.tell()
            self._check_space()
        except BaseException:
            self._stream.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()

    @property
    def missing(self) -> int:
        """Bytes that are still to come."""
        return self._file.length - self.length

    @property
    def digest(self) -> str:
        """Of what is there."""
        return self._hash.hexdigest()

    def is_right(self) -> bool:
        """Whether it is the promised file."""
        return self.missing == 0 and self.digest == self._file.digest

    def append(self, piece: bytes) -> None:
        """Write at the end."""
        view = memoryview(piece)
        while view:
            count = self._stream.write(view)
            self._hash.update(view[:count])
            self.length += count
            view = view[count:]

    def clear(self) -> None:
        """Begin anew."""
        self._stream.seek(0)
        self._stream.truncate()
        self._hash = hashlib.new(self._file.algorithm)
        self.length = 0

    def force_to_disk(self) -> None:
        """Return once it is there."""
        os.fsync(self._stream.fileno())

    def _check_space(self) -> None:
        if (free := shutil.disk_usage(self._path.parent).free) < self.missing:
            raise StorageError(f"{self._path.parent}: {self.missing} bytes are to come, {free} bytes are free")


def _fill(part: _Part, file: TargetFile, fetcher: Fetcher) -> int:
    """Fetch what is missing, in as many attempts as patience allows.

    Returns:
        Bytes that came.
    """
    tries = fetcher.tries()
    received = 0
    ranges = True
    while part.missing:
        begin = part.length if ranges else 0
        try:
            with fetcher.open(file.url, {"Range": f"bytes={begin}-"} if begin else None) as reply:
                first = _first_byte(reply, file)
                if first is None or first > part.length:
                    if not begin:
                        raise NetworkError(f"{shown(file.url)}: the server sends a part that nobody asked for")
                    ranges = False  # it does not understand ranges: then the whole
                    continue
                for count in _take(reply, part, part.length - first, tries):
                    received += count
        except (PassingError, SlowError) as error:
            tries.failed(error)
    return received


def _take(reply: Reply, part: _Part, skip: int, tries: Tries) -> Iterator[int]:
    """Append to the staging file, never more than is missing.

    Args:
        reply: The answer.
        part: The staging file.
        skip: Bytes at the beginning of the answer that are there already.
        tries: Told of every new byte.

    Yields:
        How many bytes came.
    """
    while part.missing:
        piece = reply.read(min(_PIECE, skip or part.missing))
        if not piece:
            raise PassingError(f"the answer ends {part.missing} bytes early")
        if skip:
            skip -= len(piece)
        else:
            part.append(piece)
            tries.progressed()
        yield len(piece)


def _first_byte(reply: Reply, file: TargetFile) -> int | None:
    """Where in the file the answer begins; None: the server cannot tell, or not from there.

    Raises:
        ContentError: The server's file has another length.
        NetworkError: The server refuses.
    """
    if reply.status == 206:
        told = _CONTENT_RANGE.fullmatch(reply.headers.get("Content-Range", ""))
        if told is None:
            return None
        _check_length(told[2], file)
        return int(told[1])
    if reply.status == 200:
        _check_length(reply.headers.get("Content-Length", "*"), file)
        return 0
    if reply.status == 416:
        return None
    raise NetworkError(f"{shown(file.url)}: HTTP status {reply.status}")


def _check_length(told: str, file: TargetFile) -> None:
    if told.isdecimal() and (told.lstrip("0") or "0") != str(file.length):  # int() has a longest number
        raise ContentError(
            f"{shown(file.url)}: the server's file has {told} bytes, the signed metadata say {file.length}"
        )
