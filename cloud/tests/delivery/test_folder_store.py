"""A folder as a store: whole files or none, one winner, and all of it readable by a web server."""

import errno
import os
import threading
from pathlib import Path

import pytest

from groupnl.delivery import folder_store
from groupnl.delivery.folder_store import FolderStore


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_create_and_read(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "site")
    assert store.read("metadata/1.root.json") is None
    assert store.create("metadata/1.root.json", b"one")
    assert store.read("metadata/1.root.json") == b"one"
    assert not store.create("metadata/1.root.json", b"two")
    assert files(tmp_path) == {"site/metadata/1.root.json": b"one"}


def test_replace(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.replace("metadata/timestamp.json", b"one")
    store.replace("metadata/timestamp.json", b"two")
    assert files(tmp_path) == {"metadata/timestamp.json": b"two"}


def test_a_name_that_is_taken_while_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The look before is for speed; what decides is the link."""
    store = FolderStore(tmp_path)
    link = os.link

    def late(source: Path, target: Path) -> None:
        if not target.exists():
            target.write_bytes(b"the other's")
        link(source, target)

    monkeypatch.setattr(folder_store.os, "link", late)
    assert not store.create("a/b", b"mine")
    assert files(tmp_path) == {"a/b": b"the other's"}


def test_one_of_many_wins(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    begin = threading.Barrier(8)
    won = []

    def attempt(number: int) -> None:
        begin.wait()
        if store.create("metadata/2.snapshot.json", b"%d" % number * 1000):
            won.append(number)

    threads = [threading.Thread(target=attempt, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert files(tmp_path) == {"metadata/2.snapshot.json": b"%d" % won[0] * 1000}


@pytest.mark.parametrize("act", ["create", "replace"])
@pytest.mark.parametrize("call", ["fsync", "link", "replace"])
def test_stopped_at_any_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, act: str, call: str) -> None:
    """Old content, new content or no file; and a full disk leaves no rubbish."""
    store = FolderStore(tmp_path)
    store.create("metadata/1.root.json", b"other")
    if act == "replace":
        store.replace("metadata/x.json", b"old")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(folder_store.os, call, full)
        needed = call in ("fsync", "link" if act == "create" else "replace")
        if needed:
            with pytest.raises(OSError, match=r"No space left"):
                getattr(store, act)("metadata/x.json", b"new")
        else:
            getattr(store, act)("metadata/x.json", b"new")
    expected = {"metadata/1.root.json": b"other"}
    if not needed:
        expected["metadata/x.json"] = b"new"
    elif act == "replace":
        expected["metadata/x.json"] = b"old"
    assert files(tmp_path) == expected


def test_the_content_is_on_the_disk_before_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = []
    for name in ("fsync", "link"):
        real = getattr(os, name)
        monkeypatch.setattr(folder_store.os, name, lambda *a, name=name, real=real: (told.append(name), real(*a)))
    FolderStore(tmp_path / "site").create("targets/c/1/x", b"new")
    # the file, its name, then the folders targets/c/1, targets/c, targets, site and the one that holds it
    assert told == ["fsync", "link", *["fsync"] * 5]


def test_a_file_system_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(folder_store.os, "link", none)
    with pytest.raises(ValueError, match=r"no hard links, which keep two publishers apart"):
        FolderStore(tmp_path).create("a", b"x")


@pytest.mark.skipif(os.name != "posix", reason="modes of files are POSIX's")
def test_files_are_as_readable_as_the_umask_says(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        FolderStore(tmp_path).create("a", b"x")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o644
