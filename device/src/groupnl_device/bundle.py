"""Reads a bundle (``*.gnl``): checks all of it before any is used; nothing is unpacked to disk, unpickled or run."""

import hashlib
import os
import stat
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

from groupnl_device.archive import MANIFEST, unpack
from groupnl_device.errors import (
    BundleError,
    BundleTooLargeError,
    NotABundleError,
    TamperedBundleError,
)
from groupnl_device.limits import DEFAULT_LIMITS, Limits
from groupnl_device.manifest import EntryInfo, Manifest

_LEAST_WINDOW, _LARGEST_WINDOW = 2**23, 2**27  # bytes that zstd holds besides: what level 19 takes of any data, and 22


class Bundle:
    """A verified bundle in memory.

    Attributes:
        manifest: Its description.
        manifest_json: The same as it is written in the file.
        size_bytes: Of the whole file.
    """

    def __init__(
        self, manifest: Manifest, manifest_json: memoryview, entries: Mapping[str, memoryview], size_bytes: int
    ) -> None:
        self.manifest = manifest
        self.manifest_json = manifest_json
        self.size_bytes = size_bytes
        self._entries = entries

    @classmethod
    def open(cls, path: str | Path, limits: Limits = DEFAULT_LIMITS) -> "Bundle":
        """Read and verify a file.

        Raises:
            BundleError: One of its children; the message names the file and the reason.
            OSError: The file cannot be opened.
        """
        try:
            return cls.from_bytes(_read_file(Path(path), limits), limits)
        except BundleError as error:
            raise type(error)(f"{path}: {error}") from error

    @classmethod
    def from_bytes(cls, data: bytes, limits: Limits = DEFAULT_LIMITS) -> "Bundle":
        """Verify a bundle that is in memory already.

        Raises:
            BundleError: One of its children, with the reason.
        """
        _check_size(len(data), limits)
        stored = unpack(data, limits)
        raw = stored.pop(MANIFEST)
        if len(raw) > limits.manifest_bytes:
            raise BundleTooLargeError(f"{MANIFEST}: {len(raw)} bytes, at most {limits.manifest_bytes} allowed")
        manifest = Manifest.from_json(bytes(raw))
        if unlisted := sorted(set(stored) - set(manifest.entries)):
            raise TamperedBundleError(f"entry {unlisted[0]!r}: not listed in {MANIFEST}")
        if missing := sorted(set(manifest.entries) - set(stored)):
            raise TamperedBundleError(f"entry {missing[0]!r}: listed in {MANIFEST}, but not there")
        _check_unpacked_sizes(manifest.entries, limits)
        for name, info in manifest.entries.items():
            if len(stored[name]) != info.size:
                raise TamperedBundleError(f"entry {name!r}: {len(stored[name])} bytes, {MANIFEST} says {info.size}")
            if hashlib.sha256(stored[name]).hexdigest() != info.sha256:
                raise TamperedBundleError(f"entry {name!r}: its SHA-256 is not the one in {MANIFEST}")
        return cls(manifest, raw, stored, len(data))

    def read(self, name: str) -> memoryview:
        """Content of an entry, decompressed if its name ends in ``.zst``; otherwise a view, not a copy.

        Raises:
            KeyError: No such entry.
            BundleError: The entry cannot be decompressed here, or not to the size that the manifest gives.
        """
        info = self.manifest.entries[name]
        stored = self._entries[name]
        return stored if info.unpacked_size is None else _decompress(name, stored, info.unpacked_size)


def _read_file(path: Path, limits: Limits) -> bytes:
    # Non-blocking, so that a named pipe in place of the file cannot hang the device.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise NotABundleError("not a bundle: not a regular file")
        _check_size(status.st_size, limits)
        return file.read(status.st_size)


def _check_size(size: int, limits: Limits) -> None:
    if size == 0:
        raise NotABundleError("not a bundle: the file is empty")
    if size > limits.file_bytes:
        raise BundleTooLargeError(f"{size} bytes, at most {limits.file_bytes} allowed")


def _check_unpacked_sizes(entries: Mapping[str, EntryInfo], limits: Limits) -> None:
    total = 0
    for name, info in entries.items():
        if info.unpacked_size is not None and info.unpacked_size > limits.ratio * info.size:
            raise BundleTooLargeError(
                f"entry {name!r}: {info.size} bytes would unpack to {info.unpacked_size}, allowed are at most "
                f"{limits.ratio:g} times as many"
            )
        total += info.size if info.unpacked_size is None else info.unpacked_size
    if total > limits.unpacked_bytes:
        raise BundleTooLargeError(f"the entries unpack to {total} bytes, at most {limits.unpacked_bytes} allowed")


def _decompress(name: str, stored: memoryview, size: int) -> memoryview:
    try:
        zstandard = import_module("zstandard")
    except ImportError as error:
        raise BundleError(f"entry {name!r}: compressed; reading it needs the package zstandard") from error
    try:  # one byte more than allowed: an entry that goes on is noticed, not expanded
        window = min(_LARGEST_WINDOW, max(_LEAST_WINDOW, 1 << size.bit_length()))  # a frame could ask for gigabytes
        reader = zstandard.ZstdDecompressor(max_window_size=window).stream_reader(stored, read_across_frames=True)
        unpacked: bytes = reader.read(size + 1)
    except zstandard.ZstdError as error:
        raise TamperedBundleError(f"entry {name!r}: cannot be decompressed ({error})") from error
    if len(unpacked) != size:
        raise TamperedBundleError(f"entry {name!r}: does not unpack to the {size} bytes that {MANIFEST} gives")
    return memoryview(unpacked)
