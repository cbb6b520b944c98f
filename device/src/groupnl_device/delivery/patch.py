"""Applies a patch: the new bundle from the old one and a few bytes, in little memory, and nothing but the promised one.

The patch's own promise, a SHA-256, is checked here. That the promised bundle is the released one is for the caller to
check, against signed metadata.
"""

import hashlib
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from groupnl_device.archive import MANIFEST, pack_pieces
from groupnl_device.atomic import write_atomically
from groupnl_device.delivery.errors import PatchError
from groupnl_device.delivery.old_bundle import OldBundle, open_old
from groupnl_device.delivery.patch_format import STEP_BYTES, Recipe, Source, manifest_base, read_exactly, read_head
from groupnl_device.delivery.patch_steps import make
from groupnl_device.limits import DEFAULT_LIMITS, Limits


def apply_patch(old: str | Path, patch: str | Path, out: str | Path, limits: Limits = DEFAULT_LIMITS) -> None:
    """Write the new bundle, in its stored form; ``out`` is there whole and verified, or not at all.

    Args:
        old: The bundle that the patch starts from, in either form; its entries are trusted to be what they were.
        patch: The patch.
        out: The new bundle. Beside it lie, meanwhile, its temporary file and, if ``old`` is compressed, what ``old``
            unpacks to.
        limits: On both bundles.

    Raises:
        PatchError: The patch is damaged, is for another old bundle, exceeds the limits, or gives another bundle than
            it promises.
        OSError: A file cannot be opened, or the disk is full or fails.
    """
    out = Path(out)
    with Path(old).open("rb") as old_file, Path(patch).open("rb") as patch_file:
        write_atomically(out, lambda file: file.writelines(patched(old_file, patch_file, out.parent, limits)))


def patched(
    old: BinaryIO, patch: BinaryIO, scratch: Path | None = None, limits: Limits = DEFAULT_LIMITS
) -> Iterator[bytes | memoryview]:
    """The new bundle piece by piece. Only who has taken the last piece without an error has the promised bundle.

    Args:
        old: As in :func:`apply_patch`, seekable.
        patch: Likewise.
        scratch: Where compressed entries of ``old`` are unpacked, in files without a name; None: where the system
            keeps such files.
        limits: On both bundles.

    Raises:
        PatchError: See :func:`apply_patch`.
        OSError: Likewise.
    """
    with open_old(old, scratch, limits) as source:
        head = read_head(patch, manifest_base(source.manifest_json), limits)
        listed = {name: (sum(s.length for s in recipe.steps), recipe.crc32) for name, recipe in head.recipes.items()}
        listed[MANIFEST] = len(head.manifest_json), zlib.crc32(head.manifest_json)

        def content(name: str) -> Iterator[bytes]:
            return iter((head.manifest_json,)) if name == MANIFEST else _made(head.recipes[name], source, patch)

        length, sha256 = 0, hashlib.sha256()
        try:
            for piece in pack_pieces(listed, content):
                length += len(piece)
                sha256.update(piece)
                yield piece
        except PatchError:
            raise
        except ValueError as error:  # a name or a size that no bundle has
            raise PatchError(f"the patch describes no bundle: {error}") from error
        if patch.read(1):
            raise PatchError("bytes follow the end of the patch")
        if (length, sha256.digest()) != (head.length, head.sha256):
            raise PatchError("the result is not the bundle that the patch promises: it was made from another old one")


def _made(recipe: Recipe, old: OldBundle, patch: BinaryIO) -> Iterator[bytes]:
    """The bytes of an entry, step by step."""
    for step in recipe.steps:
        if step.by == "copy" and (source := step.source) is not None:
            for at in range(source.at, source.at + source.span, STEP_BYTES):
                span = min(STEP_BYTES, source.at + source.span - at)
                yield old.read(Source(entry=source.entry, at=at, span=span))
        else:
            frames = [read_exactly(patch, part) for part in step.parts]
            yield make(step, frames, b"" if step.source is None else old.read(step.source))
