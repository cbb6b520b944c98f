"""Reads any part of the device's present bundle without holding the bundle in memory."""

import errno
import struct
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, BinaryIO

import zstandard

from groupnl_device.archive import MANIFEST
from groupnl_device.delivery.errors import PatchError
from groupnl_device.delivery.patch_format import Source
from groupnl_device.limits import Limits

_ZST = ".zst"
_LOCAL_HEADER = struct.Struct("<26x2H")  # of which only the lengths of name and extra field are of interest
_PIECE = 2**18  # bytes at a time
_LARGEST_WINDOW = 2**23  # bytes that zstd holds while it unpacks; what groupnl publishes needs no more
_BROKEN = (
    zipfile.BadZipFile,
    NotImplementedError,
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
    struct.error,
    zstandard.ZstdError,
)


class OldBundle:
    """Entries of a bundle as they are once unpacked.

    Attributes:
        manifest_json: As it is in the file.
    """

    def __init__(self, manifest_json: bytes, places: dict[str, tuple[BinaryIO, int, int]]) -> None:
        self.manifest_json = manifest_json
        self._places = places  # by name without .zst: file, first byte, size

    def read(self, source: Source) -> bytes:
        """These bytes.

        Raises:
            PatchError: The bundle does not have them: the patch was made from another one.
            OSError: The disk fails.
        """
        file, begin, size = self._places.get(source.entry, (None, 0, 0))
        if file is None or source.at + source.span > size:
            raise PatchError(
                f"the patch needs bytes {source.at} to {source.at + source.span} of {source.entry!r:.80}, which has "
                f"{size} here: it was made from another bundle"
            )
        return _exactly(file, begin + source.at, source.span)


@contextmanager
def open_old(file: BinaryIO, scratch: Path | None, limits: Limits) -> Iterator[OldBundle]:
    """Find the entries of a bundle that was verified when it was activated; only its structure is looked at again.

    Args:
        file: The bundle in its stored or compressed form; seekable.
        scratch: Compressed entries are unpacked to files without a name in this folder, which vanish even when the
            process is killed. None: the system's folder for such files.
        limits: On entries and bytes.

    Raises:
        PatchError: It is no bundle, or its entries cannot be unpacked within the limits.
        OSError: The disk fails, or is full.
    """
    with ExitStack() as stack:
        try:
            archive = zipfile.ZipFile(file)
            rows = archive.infolist()
            if len(rows) > limits.entries:
                raise PatchError(f"the old bundle has {len(rows)} entries, at most {limits.entries} allowed")
            places: dict[str, tuple[BinaryIO, int, int]] = {}
            left = limits.unpacked_bytes
            for row in rows:
                if row.compress_type != zipfile.ZIP_STORED or row.compress_size != row.file_size:
                    raise PatchError(f"entry {row.filename!r:.80}: compressed by zip, which no bundle is")
                if row.filename.endswith(_ZST):
                    unpacked = stack.enter_context(tempfile.TemporaryFile(dir=scratch))
                    with archive.open(row) as packed:
                        length = _unpack(packed, unpacked, left)
                    places[row.filename.removesuffix(_ZST)] = (unpacked, 0, length)
                    left -= length
                else:
                    places[row.filename] = (file, _begin(file, row), row.file_size)
        except PatchError:
            raise
        except _BROKEN as error:
            if isinstance(error, OSError) and error.errno != errno.EINVAL:  # that one: a place before the file's begin
                raise
            raise PatchError(f"the old bundle is damaged: {type(error).__name__}: {error}") from error
        _, begin, size = places.pop(MANIFEST, (file, 0, 0))
        if not 0 < size <= limits.manifest_bytes:
            raise PatchError(f"the old bundle's {MANIFEST} has {size} bytes; allowed are 1 to {limits.manifest_bytes}")
        yield OldBundle(_exactly(file, begin, size), places)


def _begin(file: BinaryIO, row: zipfile.ZipInfo) -> int:
    """Where the data of an entry begin."""
    name, extra = _LOCAL_HEADER.unpack(_exactly(file, row.header_offset, _LOCAL_HEADER.size))
    return row.header_offset + _LOCAL_HEADER.size + int(name) + int(extra)


def _unpack(packed: IO[bytes], unpacked: BinaryIO, most: int) -> int:
    """Decompress an entry into a file; returns its length in bytes."""
    length = 0
    with zstandard.ZstdDecompressor(max_window_size=_LARGEST_WINDOW).stream_reader(packed) as reader:
        while piece := reader.read(_PIECE):
            length += len(piece)
            if length > most:
                raise PatchError("the old bundle's entries unpack to more bytes than the limits allow")
            unpacked.write(piece)
    return length


def _exactly(file: BinaryIO, begin: int, size: int) -> bytes:
    file.seek(begin)
    data = file.read(size)
    if len(data) != size:
        raise PatchError("the old bundle ends early")
    return data
