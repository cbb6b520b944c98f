"""The two forms of a bundle, looked at with Python's zip reader and zstd itself."""

import hashlib
import io
import json
import sys
import zipfile

import numpy as np
import pytest
import safetensors.numpy
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from groupnl_device.archive import pack, unpack
from groupnl_device.bundle import Bundle
from groupnl_device.errors import BundleError, FormatVersionError, InvalidManifestError
from groupnl_device.repack import compressed, stored, stored_parts
from groupnl_device.runtime import Session

FILES = ("graph.onnx", "self_test.safetensors", "weights.safetensors")


@pytest.fixture
def smooth(net) -> bytes:
    """A bundle whose weights compress."""
    more = {"steps": np.repeat(np.arange(4, dtype=np.float32), 500)}
    return assembled(
        net.manifest(), {**net.entries(), "weights.safetensors": safetensors.numpy.save(net.weights | more)}
    )


def assembled(manifest: dict, entries: dict[str, bytes], **unpacked: int) -> bytes:
    """A bundle in the canonical text of a manifest, written without our own manifest class."""
    listed = {n: {"sha256": hashlib.sha256(c).hexdigest(), "size": len(c)} for n, c in sorted(entries.items())}
    for name, size in unpacked.items():
        listed[name]["unpacked_size"] = size
    text = json.dumps({**manifest, "entries": listed}, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    return b"".join(pack({**entries, "manifest.json": text.encode()}))


def unzipped(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_what_export_writes_is_the_stored_form(bundle_bytes: bytes) -> None:
    assert stored(Bundle.from_bytes(bundle_bytes)) == bundle_bytes


def test_stored_entries_are_not_copied(bundle_bytes: bytes) -> None:
    bundle = Bundle.from_bytes(bundle_bytes)
    parts = stored_parts(bundle)
    assert sorted(parts) == sorted([*FILES, "manifest.json"])
    assert all(parts[name].obj is bundle_bytes for name in FILES)


def test_the_compressed_form_holds_the_same_and_less(smooth: bytes) -> None:
    small = compressed(Bundle.from_bytes(smooth))
    assert len(small) < len(smooth)
    before, after = unzipped(smooth), unzipped(small)
    assert set(after) == {"manifest.json", *(f"{name}.zst" for name in FILES)}
    manifest = json.loads(after["manifest.json"])
    for name in FILES:
        packed, entry = after[f"{name}.zst"], manifest["entries"][f"{name}.zst"]
        assert zstandard.ZstdDecompressor().decompress(packed) == before[name]
        assert entry == {
            "sha256": hashlib.sha256(packed).hexdigest(),
            "size": len(packed),
            "unpacked_size": len(before[name]),
        }
    (artifact,) = manifest["artifacts"]
    assert artifact["files"] == {"graph": "graph.onnx.zst", "weights": "weights.safetensors.zst"}
    assert manifest["self_test"]["file"] == "self_test.safetensors.zst"


def test_nothing_else_of_the_manifest_changes(smooth: bytes) -> None:
    before = json.loads(unzipped(smooth)["manifest.json"])
    after = json.loads(unzipped(compressed(Bundle.from_bytes(smooth)))["manifest.json"])
    for manifest in (before, after):
        del manifest["entries"], manifest["self_test"]["file"], manifest["artifacts"][0]["files"]
    assert before == after


def test_both_forms_run(smooth: bytes) -> None:
    one, other = (Session(Bundle.from_bytes(data)) for data in (smooth, compressed(Bundle.from_bytes(smooth))))
    assert one.self_test() == other.self_test() < 1e-5


@pytest.mark.parametrize("level", [1, 3, 19, 22])
def test_the_stored_form_is_the_same_bytes_whatever_was_compressed(smooth: bytes, level: int) -> None:
    once = compressed(Bundle.from_bytes(smooth), level)
    assert stored(Bundle.from_bytes(once)) == smooth
    assert compressed(Bundle.from_bytes(once), level) == once


def test_an_entry_is_compressed_only_where_it_pays(net) -> None:
    noise = np.random.default_rng(0).integers(0, 256, 100_000, np.uint8).tobytes()
    least = noise + bytes(2_800)  # about 2.7 % less: not worth it
    enough = noise + bytes(3_400)
    tight = bytes(100_000)  # readers allow a ratio of 200
    extra = {"noise.bin": noise, "least.bin": least, "enough.bin": enough, "tight.bin": tight, "empty.bin": b""}
    data = compressed(Bundle.from_bytes(assembled(net.manifest(), {**net.entries(), **extra})))
    names = set(Bundle.from_bytes(data).manifest.entries)
    assert {"noise.bin", "least.bin", "enough.bin.zst", "tight.bin", "empty.bin"} <= names


def test_a_name_that_has_no_room_for_the_ending_stays(net) -> None:
    name = "n" * 197
    data = assembled(net.manifest(), {**net.entries(), name: bytes(range(100)) * 20})
    assert name in Bundle.from_bytes(compressed(Bundle.from_bytes(data))).manifest.entries


@pytest.mark.parametrize(
    ("name", "there", "bare"),
    [
        ("extra.bin.zst", "extra.bin", "extra.bin"),
        ("extra.bin.zst", "EXTRA.bin", "extra.bin"),
        ("extra.zst.zst", "other.bin", "extra.zst"),
        ("manifest.json.zst", "other.bin", "manifest.json"),
    ],
)
def test_names_that_would_meet_are_refused(net, name: str, there: str, bare: str) -> None:
    frame = zstandard.ZstdCompressor().compress(bytes(range(100)))
    data = assembled(net.manifest(), {**net.entries(), name: frame, there: b"abc"}, **{name: 100})
    bundle = Bundle.from_bytes(data)  # as a bundle it is whole
    for act in (stored, compressed):
        with pytest.raises(InvalidManifestError, match=f"'{name}': unpacked it would be called '{bare}'"):
            act(bundle)


def test_a_later_format_is_refused_rather_than_cut_down(net) -> None:
    data = assembled({**net.manifest(), "format_version": "1.1", "licence": "CC0"}, net.entries())
    with pytest.raises(FormatVersionError, match=r"format 1\.1.*writes 1\.0.*would lose.*update"):
        stored(Bundle.from_bytes(data))


def test_damaged_frames_are_refused(net) -> None:
    data = assembled(net.manifest(), {**net.entries(), "extra.bin.zst": bytes(100)}, **{"extra.bin.zst": 1000})
    with pytest.raises(BundleError, match=r"extra\.bin\.zst.*cannot be decompressed"):
        stored(Bundle.from_bytes(data))


@pytest.mark.parametrize("level", [0, 23, 1.5, True, "19"])
def test_levels_that_zstd_lacks_are_refused(bundle_bytes: bytes, level) -> None:
    with pytest.raises(ValueError, match="expected an integer from 1 to 22"):
        compressed(Bundle.from_bytes(bundle_bytes), level)


def test_without_zstandard_the_stored_form_can_still_be_made(bundle_bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = Bundle.from_bytes(bundle_bytes)
    monkeypatch.setitem(sys.modules, "zstandard", None)
    assert stored(bundle) == bundle_bytes
    with pytest.raises(BundleError, match=r"zstandard is absent; pip install \"groupnl-device\[delivery\]\""):
        compressed(bundle)


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    contents=st.lists(
        st.one_of(
            st.binary(max_size=60),
            st.tuples(st.binary(min_size=1, max_size=5), st.integers(1, 2000)).map(lambda pair: pair[0] * pair[1]),
        ),
        max_size=6,
    ),
    level=st.sampled_from([1, 19]),
)
def test_any_content_comes_back(net, contents: list[bytes], level: int) -> None:
    extra = {f"extra{index}.bin": content for index, content in enumerate(contents)}
    data = assembled(net.manifest(), {**net.entries(), **extra})
    small = Bundle.from_bytes(compressed(Bundle.from_bytes(data), level))
    assert small.size_bytes <= len(data) + 1000
    back = stored(small)
    assert back == data
    assert {name: bytes(content) for name, content in unpack(back).items()} == unzipped(data)
