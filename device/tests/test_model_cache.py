"""The cache: what was kept comes back whole or not at all, and never is there too much of it."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from groupnl_device import model_cache
from groupnl_device.model_cache import ModelCache, default_cache, key_of, processor


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_is_kept_comes_back(tmp_path: Path) -> None:
    cache = ModelCache(tmp_path / "a" / "b")
    assert cache.load("k") is None
    assert cache.store("k", b"model")
    assert cache.store("empty", b"")
    assert cache.load("k") == b"model"
    assert cache.load("empty") == b""
    assert cache.store("k", b"another")
    assert cache.load("k") == b"another"
    assert files(tmp_path / "a" / "b") == ["empty.model", "k.model"]


@pytest.mark.parametrize("damage", ["cut", "flipped", "longer", "empty", "other magic"])
def test_a_damaged_file_is_not_there(tmp_path: Path, damage: str) -> None:
    cache = ModelCache(tmp_path)
    cache.store("k", bytes(range(200)))
    path = tmp_path / "k.model"
    raw = bytearray(path.read_bytes())
    if damage == "flipped":
        raw[-7] ^= 1
    damaged = {"cut": raw[:-1], "flipped": raw, "longer": raw + b"x", "empty": b"", "other magic": b"x" + raw[1:]}
    path.write_bytes(damaged[damage])
    assert cache.load("k") is None
    assert files(tmp_path) == []  # gone: the next load makes it anew
    assert cache.store("k", b"again")
    assert cache.load("k") == b"again"


def test_the_longest_unused_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_cache, "MOST_FILES", 3)
    cache = ModelCache(tmp_path)
    for age, key in enumerate("abc"):
        cache.store(key, b"x")
        os.utime(tmp_path / f"{key}.model", (1000 + age, 1000 + age))
    assert cache.load("a") == b"x"  # now the one used last
    cache.store("d", b"x")
    assert files(tmp_path) == ["a.model", "c.model", "d.model"]
    monkeypatch.setattr(model_cache, "MOST_BYTES", 200)
    assert not cache.store("e", b"x" * 201)
    cache.store("e", b"x" * 120)
    assert files(tmp_path) == ["e.model"]


def test_what_a_kill_left_behind_is_removed_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_cache, "MOST_FILES", 1)
    for name in ("k.123.model", ".k.123.model.tmp", "something else"):
        (tmp_path / name).write_bytes(b"half")
        os.utime(tmp_path / name, (1000, 1000))
    ModelCache(tmp_path).store("k", b"x")
    assert files(tmp_path) == ["k.model", "something else"]


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    cache = ModelCache(tmp_path / "file")
    assert not cache.store("k", b"x")
    assert cache.load("k") is None
    off = ModelCache(None)
    assert not off.store("k", b"x")
    assert off.load("k") is None


def test_several_processes_at_once(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from groupnl_device.model_cache import ModelCache
cache = ModelCache(Path(sys.argv[1]))
for round in range(40):
    cache.store("k", sys.argv[2].encode() * 50_000)
    found = cache.load("k")
    assert found is None or found == found[:1] * 50_000, "mixed"
"""
    command = [sys.executable, "-P", "-c", code, str(tmp_path)]
    processes = [subprocess.Popen([*command, letter]) for letter in "xyz"]
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert files(tmp_path) == ["k.model"]


def test_where_it_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def folder(**environment: str) -> Path | None:
        return default_cache(environment)._folder

    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert folder(GROUPNL_CACHE_DIR="/somewhere", XDG_CACHE_HOME="/x") == Path("/somewhere")
    assert folder(GROUPNL_CACHE_DIR="") is None
    assert folder(XDG_CACHE_HOME="/x") == Path("/x/groupnl")
    assert folder(XDG_CACHE_HOME="relative") == folder() == tmp_path / ".cache" / "groupnl"


def test_a_user_without_a_home_has_no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere() -> Path:
        raise RuntimeError("no home")

    monkeypatch.setattr(Path, "home", nowhere)
    assert default_cache({}).load("k") is None


def test_keys() -> None:
    w = {"w": np.arange(6, dtype=np.float32).reshape(2, 3), "v": np.arange(2)}
    key = key_of(b"graph", w, ["onnxruntime 1"])
    assert key == key_of(b"graph", dict(reversed(w.items())), ["onnxruntime 1"])
    assert key == key_of(b"graph", {**w, "w": np.asfortranarray(w["w"])}, ["onnxruntime 1"])
    others = [
        key_of(b"graphs", w, ["onnxruntime 1"]),
        key_of(b"graph", w, ["onnxruntime 2"]),
        key_of(b"graph", w, ["onnxruntime ", "1"]),
        key_of(b"graph", {**w, "w": w["w"].T.copy()}, ["onnxruntime 1"]),
        key_of(b"graph", {**w, "w": w["w"] + 1}, ["onnxruntime 1"]),
        key_of(b"graph", {**w, "w": w["w"].view(np.int32)}, ["onnxruntime 1"]),
        key_of(b"graph", {"w2": w["w"], "v": w["v"]}, ["onnxruntime 1"]),
        key_of(b"graph", {"w": w["w"]}, ["onnxruntime 1"]),
    ]
    assert len({key, *others}) == 9


def test_the_processor_counts(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    info = tmp_path / "proc" / "cpuinfo"
    info.write_text("model name : A\nflags : sse avx\nbogomips : 1\n\nmodel name : A\nflags : sse avx\n")
    one = processor(tmp_path)
    info.write_text("model name : A\nflags : sse avx\nbogomips : 2\n")
    assert processor(tmp_path) == one
    info.write_text("model name : A\nflags : sse\n")
    assert processor(tmp_path) != one
    info.unlink()
    assert processor(tmp_path) not in ("", one)
