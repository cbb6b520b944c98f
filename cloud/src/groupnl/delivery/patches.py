"""Patches: what a device that has one version of a bundle needs to make another one of it."""

import hashlib
import io
import zlib

from groupnl.delivery.regions import regions_of
from groupnl.delivery.ways import cheapest
from groupnl_device.archive import MANIFEST, pack
from groupnl_device.bundle import Bundle
from groupnl_device.delivery.patch import patched
from groupnl_device.delivery.patch_format import Head, Recipe, manifest_base, write_head
from groupnl_device.repack import ENDING, stored_parts


def make_patch(old: Bundle, new: Bundle) -> bytes:
    """A patch from one bundle to the stored form of another, tried once before it is returned.

    Whether it is smaller than the bundle itself is for the caller to see.

    Args:
        old: What devices have, in either form; read from the published file, as its manifest's very bytes count.
        new: What they shall have, in either form.

    Raises:
        BundleError: An entry cannot be unpacked, or ``new`` is of a later format.
        PatchError: A bundle exceeds a reader's limits.
    """
    held = {name.removesuffix(ENDING): memoryview(old.read(name)) for name in old.manifest.entries}
    wanted = {name: memoryview(content) for name, content in stored_parts(new).items()}
    manifest_json = bytes(wanted.pop(MANIFEST))
    recipes, frames = {}, []
    for name in sorted(wanted):
        before = held.get(name, memoryview(b""))
        made = [cheapest(name, region, before, wanted[name]) for region in regions_of(before, wanted[name])]
        recipes[name] = Recipe(crc32=zlib.crc32(wanted[name]), steps=tuple(step for step, _ in made))
        frames += [frame for _, parts in made for frame in parts]
    length, sha256 = 0, hashlib.sha256()
    for piece in pack({**wanted, MANIFEST: manifest_json}):
        length += len(piece)
        sha256.update(piece)
    head = Head(manifest_json=manifest_json, recipes=recipes, length=length, sha256=sha256.digest())
    patch = write_head(head, manifest_base(bytes(old.manifest_json))) + b"".join(frames)
    device = io.BytesIO(b"".join(pack({**held, MANIFEST: old.manifest_json})))
    for _ in patched(device, io.BytesIO(patch)):
        pass  # it ends with an error where the result is not the promised one
    return patch
