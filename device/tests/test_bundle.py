"""Reading a bundle: what is refused, and that nothing else happens."""

import hashlib
import json
import os
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from groupnl_device.archive import pack, unpack
from groupnl_device.bundle import Bundle
from groupnl_device.constants import rebuild
from groupnl_device.errors import (
    BundleError,
    BundleTooLargeError,
    FormatVersionError,
    InvalidManifestError,
    NotABundleError,
    TamperedBundleError,
)
from groupnl_device.limits import Limits


def repacked(data: bytes, **changes: bytes | None) -> bytes:
    """The archive with entries replaced, added or (None) removed; its manifest stays as it is."""
    entries = {name: bytes(content) for name, content in unpack(data).items()}
    for name, content in changes.items():
        if content is None:
            del entries[name]
        else:
            entries[name] = content
    return b"".join(pack(entries))


def test_reads_what_was_written(net, bundle_bytes: bytes, tmp_path: Path) -> None:
    path = tmp_path / "tiny.gnl"
    path.write_bytes(bundle_bytes)
    bundle = Bundle.open(path)
    assert bundle.manifest.name == "tiny"
    assert bundle.size_bytes == len(bundle_bytes)
    assert bundle.manifest_json == unpack(bundle_bytes)["manifest.json"]
    assert {name: bytes(bundle.read(name)) for name in bundle.manifest.entries} == net.entries()


def test_every_changed_byte_is_refused(bundle_bytes: bytes) -> None:
    for position in range(len(bundle_bytes)):
        changed = bytearray(bundle_bytes)
        changed[position] ^= 1 << position % 8
        with pytest.raises(BundleError):
            Bundle.from_bytes(bytes(changed))


@pytest.mark.parametrize("name", ["graph.onnx", "weights.safetensors", "self_test.safetensors"])
def test_entries_with_a_changed_byte_are_refused_in_a_valid_zip(bundle_bytes: bytes, name: str) -> None:
    content = bytearray(unpack(bundle_bytes)[name])
    content[len(content) // 2] ^= 1
    with pytest.raises(TamperedBundleError, match=f"{name}.*SHA-256"):
        Bundle.from_bytes(repacked(bundle_bytes, **{name: bytes(content)}))


def test_entries_of_another_size(bundle_bytes: bytes) -> None:
    with pytest.raises(TamperedBundleError, match=r"graph\.onnx.*3 bytes"):
        Bundle.from_bytes(repacked(bundle_bytes, **{"graph.onnx": b"abc"}))


def test_entries_too_many_or_too_few(bundle_bytes: bytes) -> None:
    with pytest.raises(TamperedBundleError, match=r"'run\.sh': not listed"):
        Bundle.from_bytes(repacked(bundle_bytes, **{"run.sh": b"rm -rf /"}))
    with pytest.raises(TamperedBundleError, match=r"'graph\.onnx': listed in manifest\.json, but not there"):
        Bundle.from_bytes(repacked(bundle_bytes, **{"graph.onnx": None}))


def test_later_formats_are_told_apart(bundle_bytes: bytes) -> None:
    newer = bytes(unpack(bundle_bytes)["manifest.json"]).replace(b'"1.0"', b'"2.0"')
    with pytest.raises(FormatVersionError, match=r"2\.0.*update"):
        Bundle.from_bytes(repacked(bundle_bytes, **{"manifest.json": newer}))


def test_the_message_names_the_file(bundle_bytes: bytes, tmp_path: Path) -> None:
    path = tmp_path / "cut.gnl"
    path.write_bytes(bundle_bytes[:-5])
    with pytest.raises(BundleError, match=r"cut\.gnl: the end of the archive is missing"):
        Bundle.open(path)


def test_limits_apply_before_reading(bundle_bytes: bytes, tmp_path: Path) -> None:
    path = tmp_path / "tiny.gnl"
    path.write_bytes(bundle_bytes)
    with pytest.raises(BundleTooLargeError, match="at most 1000 allowed"):
        Bundle.open(path, Limits(file_bytes=1000))
    with pytest.raises(BundleTooLargeError, match=r"manifest\.json.*at most 100 allowed"):
        Bundle.open(path, Limits(manifest_bytes=100))
    with pytest.raises(BundleTooLargeError, match="unpack to"):
        Bundle.open(path, Limits(unpacked_bytes=1000))


def test_a_huge_sparse_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.gnl"
    with path.open("wb") as file:
        file.truncate(3 * 1024**3)
    with pytest.raises(BundleTooLargeError, match="3221225472 bytes"):
        Bundle.open(path)


def test_empty_files_and_folders(tmp_path: Path) -> None:
    (tmp_path / "empty.gnl").touch()
    with pytest.raises(NotABundleError, match="empty"):
        Bundle.open(tmp_path / "empty.gnl")
    with pytest.raises((NotABundleError, OSError)):
        Bundle.open(tmp_path)
    with pytest.raises(FileNotFoundError):
        Bundle.open(tmp_path / "absent.gnl")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_named_pipe_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.gnl")
    with pytest.raises(NotABundleError, match="regular file"):
        Bundle.open(tmp_path / "pipe.gnl")


def compressed(net, content: bytes, size: int) -> bytes:
    """A bundle with one compressed entry, whose unpacked size is claimed to be ``size``."""
    entries = {**net.entries(), "extra.bin.zst": content}
    document = net.manifest()
    document["entries"] = {
        name: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)} for name, data in entries.items()
    }
    document["entries"]["extra.bin.zst"]["unpacked_size"] = size
    return b"".join(pack({**entries, "manifest.json": json.dumps(document).encode()}))


def test_compressed_entries(net) -> None:
    zstandard = pytest.importorskip("zstandard")
    content = bytes(range(250)) * 28
    frame = zstandard.ZstdCompressor().compress(content)
    assert bytes(Bundle.from_bytes(compressed(net, frame, 7000)).read("extra.bin.zst")) == content
    for wrong in (6999, 7001):
        with pytest.raises(TamperedBundleError, match="does not unpack to"):
            Bundle.from_bytes(compressed(net, frame, wrong)).read("extra.bin.zst")
    with pytest.raises(TamperedBundleError, match="cannot be decompressed"):
        Bundle.from_bytes(compressed(net, b"no zstd at all" * 50, 7000)).read("extra.bin.zst")


def test_a_frame_that_asks_for_much_memory_is_refused(net) -> None:
    zstandard = pytest.importorskip("zstandard")
    wide = zstandard.ZstdCompressionParameters(window_log=27, write_content_size=False)
    for parameters, allowed in ((wide, False), (zstandard.ZstdCompressionParameters(window_log=23), True)):
        packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()  # it does not know the size
        frame = packer.compress(bytes(range(250)) * 4) + packer.flush()
        bundle = Bundle.from_bytes(compressed(net, frame, 1000))
        if allowed:
            assert len(bundle.read("extra.bin.zst")) == 1000
            continue
        with pytest.raises(TamperedBundleError, match="cannot be decompressed"):
            bundle.read("extra.bin.zst")


def test_compressed_entries_without_zstandard(net, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    bundle = Bundle.from_bytes(compressed(net, bytes(100), 1000))
    with pytest.raises(BundleError, match="needs the package zstandard"):
        bundle.read("extra.bin.zst")


def test_compression_bombs_are_refused_before_unpacking(net) -> None:
    with pytest.raises(BundleTooLargeError, match="would unpack to 3000000000"):
        Bundle.from_bytes(compressed(net, bytes(100), 3_000_000_000))


def test_unpacked_size_belongs_to_compressed_entries(net) -> None:
    entries = net.entries()
    document = net.manifest()
    document["entries"] = {
        name: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "unpacked_size": 5}
        for name, data in entries.items()
    }
    with pytest.raises(InvalidManifestError, match="unpacked_size belongs to compressed"):
        Bundle.from_bytes(b"".join(pack({**entries, "manifest.json": json.dumps(document).encode()})))


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_mutated_manifests_raise_nothing_but_bundle_errors(bundle_bytes: bytes, data: st.DataObject) -> None:
    """In a valid zip, and through to the constants."""
    pieces = [b"", b"9", b"99999999", b"null", b"-1", b'"', b"[", b"}", b"1.5", b"\xff", b","]
    text = bytearray(unpack(bundle_bytes)["manifest.json"])
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text) - 1))
        text[start : start + data.draw(st.integers(0, 3))] = data.draw(st.sampled_from(pieces))
    try:
        bundle = Bundle.from_bytes(repacked(bundle_bytes, **{"manifest.json": bytes(text)}))
        rebuild(bundle.manifest.layers, {})
    except BundleError:
        pass
