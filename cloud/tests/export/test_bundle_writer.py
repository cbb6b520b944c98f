"""A bundle appears whole or not at all."""

import errno
import os
import sys
from pathlib import Path

import pytest

from groupnl.export import write_bundle
from groupnl.export.bundle_writer import assemble
from groupnl_device.bundle import Bundle
from groupnl_device.manifest import Artifact, Manifest
from groupnl_device.preprocessing import Preprocessing

MANIFEST = Manifest(
    name="nothing",
    input_name="input",
    input_shape=(None, 3, 4, 4),
    output_name="logits",
    output_shape=(None, 2),
    preprocessing=Preprocessing(input_size=(3, 4, 4), mean=(0, 0, 0), std=(1, 1, 1)),
    class_names=("a", "b"),
    entries={},
    layers=(),
    artifacts=(
        Artifact(runtime="none", form="plain", precision="float32", files={"graph": "g"}, requires={}, agreement={}),
    ),
    measured={},
    producer={},
)
ENTRIES = {"g": b"graph", "w": bytes(1000)}


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.gnl"
    size = write_bundle(MANIFEST, ENTRIES, path)
    bundle = Bundle.open(path)
    assert size == path.stat().st_size == bundle.size_bytes
    assert {name: bytes(bundle.read(name)) for name in bundle.manifest.entries} == ENTRIES
    assert [file.name for file in tmp_path.iterdir()] == ["x.gnl"]


def test_same_content_same_bytes() -> None:
    assert assemble(MANIFEST, ENTRIES) == assemble(MANIFEST, dict(reversed(ENTRIES.items())))


def test_a_bad_manifest_is_never_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'g' is not among the entries"):
        write_bundle(MANIFEST, {"w": b""}, tmp_path / "x.gnl")
    with pytest.raises(ValueError, match="relative name"):
        write_bundle(MANIFEST, {**ENTRIES, "../x": b""}, tmp_path / "x.gnl")
    assert not list(tmp_path.iterdir())


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.gnl"
    path.write_bytes(b"old")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            write_bundle(MANIFEST, ENTRIES, path)
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["x.gnl"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs resource limits")
def test_a_real_limit_of_the_file_size(tmp_path: Path) -> None:
    """The kernel itself refuses the write half-way."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(OSError, match=r"(?i)too large"):
            write_bundle(MANIFEST, {**ENTRIES, "w": bytes(50_000)}, tmp_path / "x.gnl")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(tmp_path.iterdir())
