"""The bundle's archive: a zip with stored entries in one canonical form, so equal content means equal bytes.

Canonical: ``manifest.json`` first, the other names sorted; local headers and data back to back from byte 0, the central
directory, its end record, nothing else; no flags, comments or zip64; all times 1980-01-01. Each entry's data begin at a
multiple of 64 bytes, by zeros in an extra field of the local header (as Android's zipalign does), so that tensors can
be used where they lie. Any zip tool reads it. The reader checks every byte of the structure against this form, hence a
changed byte anywhere is noticed.

Field layout: PKWARE APPNOTE 6.3.10, sections 4.3.7 (local header), 4.3.12 (central directory), 4.3.16 (end record).
"""

import re
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

from groupnl_device.errors import (
    BundleTooLargeError,
    NotABundleError,
    TamperedBundleError,
    TruncatedBundleError,
    UnsafeBundleError,
)
from groupnl_device.limits import DEFAULT_LIMITS, Limits

MANIFEST = "manifest.json"

_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_LOCAL_MAGIC, _CENTRAL_MAGIC, _END_MAGIC = b"PK\3\4", b"PK\1\2", b"PK\5\6"
_VERSION = 20
_MADE_BY = 3 << 8 | _VERSION  # Unix, so that the mode below is read
_DATE = 1 << 5 | 1  # 1980-01-01, the earliest a zip can say
_MODE = 0o100644 << 16  # a regular file
_FILE_TYPE, _REGULAR = 0o170000, 0o100000
_LARGEST = 2**32 - 1
_ALIGNMENT = 64  # bytes: a cache line, and the widest vector of today's processors
_PADDING = struct.Struct("<2H")  # tag and length of an extra field
_PADDING_TAG = 0xD935  # zipalign's

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")
_LONGEST_NAME = 200


@dataclass(frozen=True)
class _Entry:
    """One row of the central directory."""

    name: str
    crc: int
    size: int
    offset: int

    @property
    def padding(self) -> int:
        """Bytes of the extra field: at least its own header, then zeros until the data are aligned."""
        bare = self.offset + _LOCAL.size + len(self.name) + _PADDING.size
        return _PADDING.size + -bare % _ALIGNMENT

    @property
    def begin(self) -> int:
        """Where the data begin."""
        return self.offset + _LOCAL.size + len(self.name) + self.padding

    @property
    def end(self) -> int:
        """Where the next entry begins."""
        return self.begin + self.size


def is_safe_name(name: str) -> bool:
    """Whether an entry may be called so: relative, ASCII letters, digits, ``_ . -``, no part begins with a dot."""
    return len(name) <= _LONGEST_NAME and _NAME.fullmatch(name) is not None


def pack(entries: Mapping[str, bytes | memoryview]) -> Iterator[bytes | memoryview]:
    """The canonical archive of these entries, piece by piece.

    Raises:
        ValueError: No manifest, a name that no reader accepts, or more than 4 GiB.
    """
    listed = {name: (len(data), zlib.crc32(data)) for name, data in entries.items()}
    return pack_pieces(listed, lambda name: (entries[name],))


def pack_pieces(
    listed: Mapping[str, tuple[int, int]], content: Callable[[str], Iterable[bytes | memoryview]]
) -> Iterator[bytes | memoryview]:
    """As :func:`pack`, for entries that need not be in memory: their content is asked for in the archive's order.

    Args:
        listed: Size in bytes and CRC-32 by name.
        content: The pieces of an entry; together they have its size and its CRC-32.

    Raises:
        ValueError: See :func:`pack`.
    """
    if MANIFEST not in listed:
        raise ValueError(f"entries {sorted(listed)}: {MANIFEST} is missing")
    if unsafe := [name for name in listed if not is_safe_name(name)]:
        raise ValueError(f"entry {unsafe[0]!r}: expected a relative name of letters, digits and _ . - /")
    if sum(size + 512 for size, _ in listed.values()) > _LARGEST:
        raise ValueError("the entries exceed 4 GiB, the most that a bundle can hold")
    rows = []
    offset = 0
    for name in sorted(listed, key=_order):
        size, crc = listed[name]
        row = _Entry(name, crc, size, offset)
        rows.append(row)
        yield _local_header(row)
        yield from content(name)
        offset = row.end
    yield _directory(rows, offset)


def unpack(data: bytes, limits: Limits = DEFAULT_LIMITS) -> dict[str, memoryview]:
    """Split an archive into its entries, as views of ``data``: nothing is copied.

    Raises:
        BundleError: One of its children, with the reason; see :mod:`groupnl_device.errors`.
    """
    rows, start = _read_directory(data, limits)
    _check_layout(rows, start)
    view = memoryview(data)
    entries = {}
    for row in rows:
        if view[row.offset : row.begin] != _local_header(row):
            raise TamperedBundleError(f"entry {row.name!r}: its local header differs from the central directory")
        entries[row.name] = view[row.begin : row.end]
        if zlib.crc32(entries[row.name]) != row.crc:
            raise TamperedBundleError(f"entry {row.name!r}: its CRC-32 differs from the stored one")
    if view[start:] != _directory(rows, start):
        raise TamperedBundleError("the central directory is not in the canonical form of a bundle")
    return entries


def _order(name: str) -> tuple[bool, str]:
    return name != MANIFEST, name


def _local_header(row: _Entry) -> bytes:
    fixed = (_VERSION, 0, 0, 0, _DATE, row.crc, row.size, row.size, len(row.name), row.padding)
    zeros = row.padding - _PADDING.size
    padding = _PADDING.pack(_PADDING_TAG, zeros) + bytes(zeros)
    return _LOCAL.pack(_LOCAL_MAGIC, *fixed) + row.name.encode("ascii") + padding


def _directory(rows: list[_Entry], start: int) -> bytes:
    """Central directory and end record of an archive whose directory begins at ``start``."""
    lines = []
    for row in rows:
        fixed = (_MADE_BY, _VERSION, 0, 0, 0, _DATE, row.crc, row.size, row.size)
        tail = (len(row.name), 0, 0, 0, 0, _MODE, row.offset)
        lines.append(_CENTRAL.pack(_CENTRAL_MAGIC, *fixed, *tail) + row.name.encode("ascii"))
    directory = b"".join(lines)
    return directory + _END.pack(_END_MAGIC, 0, 0, len(rows), len(rows), len(directory), start, 0)


def _read_directory(data: bytes, limits: Limits) -> tuple[list[_Entry], int]:
    """Rows of the central directory and where it begins."""
    if not data.startswith(_LOCAL_MAGIC):
        raise NotABundleError("not a bundle: it does not begin like one")
    if len(data) < _END.size or data[-_END.size :][:4] != _END_MAGIC:
        if (found := data.rfind(_END_MAGIC)) >= 0 and len(data) - found > _END.size:
            raise TamperedBundleError("bytes follow the end of the archive")
        raise TruncatedBundleError("the end of the archive is missing; was it copied whole?")
    _, disk, first_disk, here, count, size, start, comment = _END.unpack_from(data, len(data) - _END.size)
    if (disk, first_disk, comment) != (0, 0, 0) or here != count or start + size + _END.size != len(data):
        raise TamperedBundleError("the end record of the archive contradicts the file")
    if count > limits.entries:
        raise BundleTooLargeError(f"{count} entries, at most {limits.entries} allowed")
    rows = []
    at = start
    for _ in range(count):
        if at + _CENTRAL.size > start + size:
            raise TamperedBundleError("the central directory ends early")
        magic, _, _, flags, method, _, _, crc, packed, unpacked, length, extra, note, _, _, mode, offset = (
            _CENTRAL.unpack_from(data, at)
        )
        name = _check_name(data[at + _CENTRAL.size : at + _CENTRAL.size + length])
        if magic != _CENTRAL_MAGIC or extra or note:
            raise TamperedBundleError(f"entry {name!r}: its row in the central directory is malformed")
        if flags & 0b1:
            raise UnsafeBundleError(f"entry {name!r}: encrypted")
        if flags:
            raise UnsafeBundleError(f"entry {name!r}: zip flags {flags:#x} are not used in bundles")
        if method != 0:
            raise UnsafeBundleError(f"entry {name!r}: compressed by zip (method {method}); bundles store their entries")
        if (mode >> 16) & _FILE_TYPE not in (0, _REGULAR):
            raise UnsafeBundleError(f"entry {name!r}: not a regular file but a link or a device")
        if packed != unpacked:
            raise TamperedBundleError(f"entry {name!r}: stored, yet its two sizes differ")
        rows.append(_Entry(name, crc, packed, offset))
        at += _CENTRAL.size + length
    return rows, start


def _check_name(raw: bytes) -> str:
    name = raw.decode("ascii", errors="backslashreplace")
    if not is_safe_name(name):
        shown = name if len(name) <= 60 else name[:60] + "..."
        raise UnsafeBundleError(f"entry {shown!r}: unsafe name; expected a relative one of letters, digits and _ . - /")
    return name


def _check_layout(rows: list[_Entry], start: int) -> None:
    """Entries are unique, in order, back to back and end where the directory begins."""
    folded = [row.name.lower() for row in rows]
    if len(set(folded)) != len(rows):
        double = next(name for name in folded if folded.count(name) > 1)
        raise UnsafeBundleError(f"entry {double!r}: there twice")
    if all(row.name != MANIFEST for row in rows):
        raise NotABundleError(f"not a bundle: a zip without {MANIFEST}")
    by_offset = sorted(rows, key=lambda row: row.offset)
    ends = [0, *(row.end for row in by_offset)]
    for before, row in pairwise(by_offset):
        if row.offset < before.end - before.padding:
            raise UnsafeBundleError(f"entry {row.name!r}: overlaps the one before")
    if by_offset[-1].end - by_offset[-1].padding > start:
        raise UnsafeBundleError(f"entry {by_offset[-1].name!r}: overlaps the central directory")
    for end, row in zip(ends, by_offset, strict=False):
        if row.offset != end:
            raise TamperedBundleError(f"entry {row.name!r}: at byte {row.offset}, in a bundle it would be at {end}")
    if start != ends[-1]:
        raise TamperedBundleError(f"the central directory is at byte {start}, in a bundle it would be at {ends[-1]}")
    if rows != by_offset or rows != sorted(rows, key=lambda row: _order(row.name)):
        raise TamperedBundleError("the entries are not in the canonical order of a bundle")
