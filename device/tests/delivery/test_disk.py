"""Acts on the disk, and what an operator is told when it refuses."""

import errno
import os
import stat
from pathlib import Path

import pytest

from groupnl_device.delivery import disk


def test_a_moved_file_replaces_the_other_and_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "new").write_bytes(b"new")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "old").write_bytes(b"old")
    acts: list[str] = []
    fsync, rename = os.fsync, Path.replace

    def noted_fsync(descriptor: int) -> None:
        acts.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(Path, "replace", lambda path, target: (acts.append("rename"), rename(path, target))[1])
    disk.move(tmp_path / "new", tmp_path / "folder" / "old")
    assert (tmp_path / "folder" / "old").read_bytes() == b"new"
    assert not (tmp_path / "new").exists()
    assert acts == ["file", "rename", "folder", "folder"]


def test_a_link_is_replaced_also_where_a_kill_left_half_of_the_work(tmp_path: Path) -> None:
    link = tmp_path / "current"
    disk.point(link, "a")
    assert link.readlink() == Path("a")
    (tmp_path / ".current.tmp").symlink_to("nonsense")
    disk.point(link, "b")
    assert link.readlink() == Path("b")
    assert [path.name for path in tmp_path.iterdir()] == ["current"]


def test_a_link_does_not_replace_a_folder(tmp_path: Path) -> None:
    (tmp_path / "current").mkdir()
    with pytest.raises(IsADirectoryError):
        disk.point(tmp_path / "current", "a")


def test_removing_what_is_not_there_is_no_error(tmp_path: Path) -> None:
    disk.remove(tmp_path / "absent")
    (tmp_path / "file").write_bytes(b"x")
    disk.remove(tmp_path / "file")
    assert not list(tmp_path.iterdir())


def test_the_hash_is_that_of_the_content(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")  # the example of FIPS 180-2, appendix B.1
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert disk.sha256_of(tmp_path / "abc") == expected


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.ENOSPC, "D/x: the disk is full; free some space"),
        (errno.EDQUOT, "the disk is full"),
        (errno.EROFS, "the disk is read-only; an update has to write into the folder of --dir"),
        (errno.EIO, "the disk reports an error"),
        (errno.EACCES, "D/x: Permission denied"),
    ],
)
def test_what_the_disk_refuses_is_told_in_words(number: int, message: str) -> None:
    error = disk.storage_error(OSError(number, os.strerror(number), "D/x"))
    assert error.kind == "storage"
    assert message in str(error)
