"""What reading a hostile bundle takes at the limits, in a process of its own: the bound that docs/bundle.md states."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import zstandard

from groupnl_device.archive import pack

CHILD = Path(__file__).with_name("memory_child.py")
MIB = 2**20
JSON_BOUND = 64 * MIB  # for a manifest or a safetensors header, whatever is in it
MANIFEST_BYTES = 4 * MIB
SLACK = 4 * MIB  # of the allocator, which works in whole pages and arenas


def costliest() -> bytes:
    """JSON that takes the most memory for its bytes and values: short texts, each with a character of four bytes."""
    pairs = (f'"\N{GRINNING FACE}{i:07x}":"\N{GRINNING FACE}{i:07x}"'.encode() for i in range(124_000))
    text = b"{" + b",".join(pairs) + b"}"
    assert len(text) <= MANIFEST_BYTES
    return text


def with_manifest(net, manifest: bytes) -> bytes:
    return b"".join(pack({**net.entries(), "manifest.json": manifest}))


def listed(net, extra: dict[str, bytes], unpacked: dict[str, int], **manifest: Any) -> bytes:
    """A bundle with right hashes."""
    entries = {**net.entries(), **extra}
    rows: dict[str, Any] = {n: {"sha256": hashlib.sha256(c).hexdigest(), "size": len(c)} for n, c in entries.items()}
    for name, size in unpacked.items():
        rows[name]["unpacked_size"] = size
    document = json.dumps({**net.manifest(), **manifest, "entries": rows}, ensure_ascii=False)
    return b"".join(pack({**entries, "manifest.json": document.encode()}))


def taken(data: bytes, folder: Path) -> tuple[int, str]:
    """Bytes by which a process grows while it reads a bundle, and what comes of it."""
    path = folder / "hostile.gnl"
    path.write_bytes(data)
    made = subprocess.run([sys.executable, str(CHILD), str(path)], capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr[-3000:]
    found = json.loads(made.stdout)
    if found["grown_kib"] is None:
        pytest.skip("this system does not tell how much memory a process has held")
    return found["grown_kib"] * 1024, found["outcome"]


@pytest.mark.parametrize(
    ("manifest", "reason"),
    [
        (costliest(), "InvalidManifestError"),
        (b"[" + b",".join([b"[[]]"] * 83_000) + b"]", "InvalidManifestError"),
        (b"[" + b",".join([b"{}"] * 1_000_000) + b"]", "commas, colons and opening brackets, at most 250000"),
        (b"[" * MANIFEST_BYTES, "commas, colons and opening brackets"),
        (b'["' + "\N{GRINNING FACE}".encode() + b"a" * (MANIFEST_BYTES - 8) + b'"]', "InvalidManifestError"),
        (b"0" * MANIFEST_BYTES, "InvalidManifestError"),
        (b" " * (MANIFEST_BYTES + 1), "at most 4194304 allowed"),
    ],
    ids=["texts", "lists", "too many", "deep", "one text", "one number", "too long"],
)
def test_hostile_manifests(net, manifest: bytes, reason: str, tmp_path: Path) -> None:
    data = with_manifest(net, manifest)
    grown, outcome = taken(data, tmp_path)
    assert reason in outcome
    assert grown <= len(data) + JSON_BOUND + SLACK


def test_a_manifest_as_large_as_is_allowed(net, tmp_path: Path) -> None:
    names = [f"\N{GRINNING FACE}{index:08x}" for index in range(100_000)]  # the schema allows no more
    output = {"name": "logits", "dtype": "float32", "shape": [None, len(names)]}
    data = listed(net, {}, {}, class_names=names, output=output)
    grown, outcome = taken(data, tmp_path)
    assert outcome == "read"
    assert grown <= len(data) + JSON_BOUND + SLACK


def test_a_hostile_header_of_tensors(net, tmp_path: Path) -> None:
    header = costliest()
    content = len(header).to_bytes(8, "little") + header
    data = listed(net, {"extra.safetensors": content}, {})
    grown, outcome = taken(data, tmp_path)
    assert "not a safetensors file" in outcome
    assert grown <= len(data) + JSON_BOUND + SLACK


def test_an_entry_that_unpacks_to_much(net, tmp_path: Path) -> None:
    """64 MiB of zeros; frames that are skipped make up for what the ratio asks."""
    size = 64 * MIB
    frame = zstandard.ZstdCompressor(level=19).compress(bytes(size))
    skipped = 0x184D2A50.to_bytes(4, "little") + (size // 190).to_bytes(4, "little") + bytes(size // 190)
    data = listed(net, {"extra.bin.zst": frame + skipped}, {"extra.bin.zst": size})
    grown, outcome = taken(data, tmp_path)
    assert outcome == "read"
    assert grown <= len(data) + 3 * size + SLACK  # the content, and zstd's window of at most twice that
    assert grown > size  # the measurement sees it at all


def test_a_window_is_refused_where_it_is_larger_than_the_content(net, tmp_path: Path) -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=27)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    frame = packer.compress(bytes(2 * MIB)) + packer.flush() + b""
    padding = 0x184D2A50.to_bytes(4, "little") + (20_000).to_bytes(4, "little") + bytes(20_000)
    data = listed(net, {"extra.bin.zst": frame + padding}, {"extra.bin.zst": 2 * MIB})
    grown, outcome = taken(data, tmp_path)
    assert "cannot be decompressed" in outcome
    assert grown <= len(data) + 2 * MIB + 8 * MIB + SLACK
