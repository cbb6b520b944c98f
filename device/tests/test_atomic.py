"""A file is there whole or not at all."""

import errno
import os
import stat
from pathlib import Path

import pytest

from groupnl_device.atomic import write_atomically


def test_writes(tmp_path: Path) -> None:
    write_atomically(tmp_path / "x", lambda file: file.write(b"new"))
    write_atomically(str(tmp_path / "x"), lambda file: file.write(b"newer"))
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("x", b"newer")]


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_permissions_are_the_usual_ones(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_atomically(tmp_path / "x", lambda file: file.write(b"new"))
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o640


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, MemoryError])
def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path, error: type[BaseException]) -> None:
    (tmp_path / "x").write_bytes(b"old")

    def write(file) -> None:
        file.write(b"half")
        raise error

    with pytest.raises(error):
        write_atomically(tmp_path / "x", write)
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("x", b"old")]


def test_the_content_is_on_the_disk_before_it_is_visible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x").write_bytes(b"old")
    seen = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        seen.append((tmp_path / "x").read_bytes())
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    write_atomically(tmp_path / "x", lambda file: file.write(b"new"))
    assert seen[0] == b"old"
    if os.name == "posix":
        assert seen[1:] == [b"new"]  # the folder, after the rename


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failing_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    (tmp_path / "x").write_bytes(b"old")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os if call == "fsync" else Path, call, full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(tmp_path / "x", lambda file: file.write(b"new"))
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("x", b"old")]


def test_an_absent_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_atomically(tmp_path / "absent" / "x", lambda file: file.write(b"new"))
