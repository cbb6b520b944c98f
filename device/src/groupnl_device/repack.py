"""One bundle, two files: the stored form, with no entry compressed, and the compressed form, for the way to a device.

Both hold the same manifest but for the names, hashes and sizes of entries. The stored form is the same bytes for ever;
those of the compressed form depend on the version of zstd that made it. Hence patches and their hashes go by the stored
form.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import import_module

from groupnl_device.archive import MANIFEST, is_safe_name, pack
from groupnl_device.bundle import Bundle
from groupnl_device.errors import BundleError, FormatVersionError, InvalidManifestError
from groupnl_device.limits import DEFAULT_LIMITS
from groupnl_device.manifest import FORMAT_MAJOR, FORMAT_MINOR, EntryInfo, Manifest

Content = bytes | memoryview

ENDING = ".zst"  # of compressed entries
LEVEL = 19  # of zstd: above it the window, which whoever unpacks must hold in memory, grows from 8 MB to 128 MB
_WORTH = 0.97  # a compressed entry has at most this fraction of its bytes; else the device is spared the work


@dataclass(frozen=True, kw_only=True)
class _Part:
    """An entry under its new name; ``unpacked_size`` in bytes, of a compressed one."""

    name: str
    content: Content
    unpacked_size: int | None = None


def stored_parts(bundle: Bundle) -> dict[str, Content]:
    """All entries of the stored form by name, ``manifest.json`` included; ``archive.pack`` makes the file of them.

    What is stored already is a view of the bundle, not a copy.

    Args:
        bundle: In either form.

    Raises:
        BundleError: An entry cannot be unpacked, two would have one name, or the format is newer than this package,
            which would lose what it does not know.
    """
    manifest = bundle.manifest
    known = f"{FORMAT_MAJOR}.{FORMAT_MINOR}"
    if manifest.format_version != known:
        raise FormatVersionError(
            f"bundle format {manifest.format_version}: this groupnl-device writes {known} and would lose what is new "
            "in it; update groupnl-device"
        )
    names = {name: name.removesuffix(ENDING) for name in manifest.entries}
    uses = Counter(name.lower() for name in (MANIFEST, *names.values()))
    for name, bare in names.items():
        if name != bare and (uses[bare.lower()] > 1 or bare.endswith(ENDING)):
            raise InvalidManifestError(f"entry {name!r}: unpacked it would be called {bare!r}, which is not free")
    return _renamed(manifest, {name: _Part(name=bare, content=bundle.read(name)) for name, bare in names.items()})


def stored(bundle: Bundle) -> bytes:
    """The stored form as a file: for one content always the same bytes.

    Args:
        bundle: In either form.

    Raises:
        BundleError: See :func:`stored_parts`.
    """
    return b"".join(pack(stored_parts(bundle)))


def compressed(bundle: Bundle, level: int = LEVEL) -> bytes:
    """The compressed form as a file: by zstd every entry that becomes at least 3 % smaller; the others as they are.

    Args:
        bundle: In either form.
        level: Of zstd, 1 (fast) to 22 (small).

    Raises:
        ValueError: Another level.
        BundleError: See :func:`stored_parts`; or the package ``zstandard`` is absent.
    """
    if isinstance(level, bool) or not isinstance(level, int) or not 1 <= level <= 22:
        raise ValueError(f"level={level!r}: expected an integer from 1 to 22")
    bare = Bundle.from_bytes(stored(bundle))
    return b"".join(pack(_renamed(bare.manifest, {n: _packed(n, bare.read(n), level) for n in bare.manifest.entries})))


def _packed(name: str, content: memoryview, level: int) -> _Part:
    """One entry, compressed where that pays and a reader's limits allow it."""
    try:
        zstandard = import_module("zstandard")
    except ImportError as error:
        raise BundleError('the package zstandard is absent; pip install "groupnl-device[delivery]"') from error
    packed: bytes = zstandard.ZstdCompressor(level=level).compress(content)
    pays = len(packed) <= _WORTH * len(content)
    if not pays or len(content) > DEFAULT_LIMITS.ratio * len(packed) or not is_safe_name(name + ENDING):
        return _Part(name=name, content=content)
    return _Part(name=name + ENDING, content=packed, unpacked_size=len(content))


def _renamed(manifest: Manifest, parts: Mapping[str, _Part]) -> dict[str, Content]:
    """The entries of a bundle whose parts, by their old names, take the place of its entries."""
    test = manifest.self_test
    document = replace(
        manifest,
        entries={
            part.name: EntryInfo(
                sha256=hashlib.sha256(part.content).hexdigest(),
                size=len(part.content),
                unpacked_size=part.unpacked_size,
            )
            for part in parts.values()
        },
        artifacts=tuple(
            replace(artifact, files={role: parts[file].name for role, file in artifact.files.items()})
            for artifact in manifest.artifacts
        ),
        self_test=None if test is None else replace(test, file=parts[test.file].name),
    )
    return {MANIFEST: document.to_json(), **{part.name: part.content for part in parts.values()}}
