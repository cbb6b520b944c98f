"""The head of a patch: what is written is read back; what both forms of a bundle share. Lies: test_patch.py."""

import io
import json

import pytest

from groupnl_device.bundle import Bundle
from groupnl_device.delivery.errors import PatchError
from groupnl_device.delivery.patch_format import (
    Head,
    Recipe,
    Source,
    Step,
    manifest_base,
    read_head,
    write_head,
)
from groupnl_device.limits import Limits
from groupnl_device.repack import compressed


def test_what_is_written_is_read_back(bundle_bytes: bytes) -> None:
    bundle = Bundle.from_bytes(bundle_bytes)
    recipes = {
        name: Recipe(
            crc32=2**32 - 1,
            steps=(
                Step(by="copy", length=5, source=Source(entry="other", at=7, span=5)),
                Step(by="zstd", length=info.size - 5, parts=(9,)),
            ),
        )
        for name, info in bundle.manifest.entries.items()
    }
    head = Head(manifest_json=bytes(bundle.manifest_json), recipes=recipes, length=12345, sha256=bytes(range(32)))
    file = io.BytesIO(write_head(head, b"base") + b"frames")
    assert read_head(file, b"base", Limits()) == head
    assert file.read() == b"frames"


def test_both_forms_of_a_bundle_have_one_base(bundle_bytes: bytes) -> None:
    packed = Bundle.from_bytes(compressed(Bundle.from_bytes(bundle_bytes)))
    stored = Bundle.from_bytes(bundle_bytes)
    assert packed.manifest_json != stored.manifest_json
    assert manifest_base(bytes(packed.manifest_json)) == manifest_base(bytes(stored.manifest_json))


def test_base_without_a_self_test(net, build) -> None:
    manifest = net.manifest()
    del manifest["self_test"]
    raw = bytes(Bundle.from_bytes(build(manifest, net.entries())).manifest_json)
    document = json.loads(raw)
    del document["entries"]
    assert json.loads(manifest_base(raw)) == document


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b'{"entries": 1, "artifacts": [{"files": 3}]}', b"\xff"])
def test_base_of_what_is_no_manifest(raw: bytes) -> None:
    with pytest.raises(PatchError, match=r"manifest\.json cannot be read"):
        manifest_base(raw)
