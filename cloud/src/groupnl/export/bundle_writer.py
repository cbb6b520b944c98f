"""Writes a bundle: the manifest's list of entries, the archive, and the file that appears whole or not at all."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from groupnl_device.archive import MANIFEST, pack
from groupnl_device.atomic import write_atomically
from groupnl_device.bundle import Bundle
from groupnl_device.manifest import EntryInfo, Manifest


def assemble(manifest: Manifest, entries: Mapping[str, bytes]) -> bytes:
    """A bundle in memory, read back once: what is returned is a bundle that a device accepts.

    Args:
        manifest: Its ``entries`` are replaced by what the entries are.
        entries: Content by name.

    Raises:
        ValueError: The manifest breaks its schema, or an entry's name is not allowed.
    """
    listed = {
        name: EntryInfo(sha256=hashlib.sha256(data).hexdigest(), size=len(data)) for name, data in entries.items()
    }
    document = replace(manifest, entries=listed).to_json()
    data = b"".join(pack({**entries, MANIFEST: document}))
    Bundle.from_bytes(data)
    return data


def write_bundle(manifest: Manifest, entries: Mapping[str, bytes], path: str | Path) -> int:
    """Write a bundle; see :func:`assemble`. The same content gives the same bytes.

    Returns:
        Its size in bytes.

    Raises:
        ValueError: See :func:`assemble`.
        OSError: The file cannot be written; whatever was at ``path`` is untouched.
    """
    data = assemble(manifest, entries)
    write_atomically(path, lambda file: file.write(data))
    return len(data)
