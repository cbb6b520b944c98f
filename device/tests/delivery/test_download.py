"""A target's file, over lines that break, from servers that know no ranges, into folders that are full."""

import errno
import hashlib
import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path

import pytest
from device.tests.delivery.http_server import Request, Server, broken_after, serving, status
from hypothesis import given, settings
from hypothesis import strategies as st

from groupnl_device.delivery import download as module
from groupnl_device.delivery.catalogue import TargetFile
from groupnl_device.delivery.download import Download, download
from groupnl_device.delivery.errors import ContentError, NetworkError, StorageError
from groupnl_device.delivery.fetch import Fetcher
from groupnl_device.delivery.patience import Patience

CONTENT = b"".join(hashlib.sha256(bytes([k & 255, k >> 8])).digest() for k in range(10_000))  # 320,000 bytes
SHA256 = hashlib.sha256(CONTENT).hexdigest()
PATH = f"/targets/stable/1/{SHA256}.model.gnl"


@pytest.fixture(scope="module")
def shared() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture
def server(shared: Server) -> Server:
    shared.files = {PATH: CONTENT}
    shared.ranges = True
    for kept in (shared.answers, shared.planned, shared.requests, shared.headers):
        kept.clear()
    return shared


def file_at(server: Server, content: bytes = CONTENT) -> TargetFile:
    return TargetFile("stable/1/model.gnl", server.url + PATH, len(content), hashlib.sha256(content).hexdigest())


def pull(server: Server, staging: Path, attempts: int = 3) -> Download:
    with Fetcher(Patience(attempts=attempts), sleep=lambda seconds: None) as fetcher:
        return download(file_at(server), staging, fetcher)


def ranges_of(server: Server) -> list[str | None]:
    return [wanted for _, wanted in server.requests]


def test_a_whole_file(server: Server, tmp_path: Path) -> None:
    got = pull(server, tmp_path / "staging")
    assert got == Download(tmp_path / "staging" / f"{SHA256}.part", 0, len(CONTENT))
    assert got.path.read_bytes() == CONTENT
    assert ranges_of(server) == [None]


def test_an_empty_file_needs_no_request(server: Server, tmp_path: Path) -> None:
    with Fetcher() as fetcher:
        assert download(file_at(server, b""), tmp_path, fetcher).path.read_bytes() == b""
    assert server.requests == []


def test_what_is_there_whole_is_verified_and_not_asked_for(server: Server, tmp_path: Path) -> None:
    pull(server, tmp_path)
    server.requests.clear()
    assert pull(server, tmp_path) == Download(tmp_path / f"{SHA256}.part", len(CONTENT), 0)
    assert server.requests == []


def test_goes_on_where_the_last_process_stopped(server: Server, tmp_path: Path) -> None:
    (tmp_path / f"{SHA256}.part").write_bytes(CONTENT[:123_456])
    got = pull(server, tmp_path)
    assert (got.reused_bytes, got.received_bytes) == (123_456, len(CONTENT) - 123_456)
    assert got.path.read_bytes() == CONTENT
    assert ranges_of(server) == ["bytes=123456-"]


def test_goes_on_after_each_break_of_the_line(server: Server, tmp_path: Path) -> None:
    server.planned[PATH] = [broken_after(count, CONTENT) for count in (70_000, 1, 100_000, 12_345)]
    got = pull(server, tmp_path, attempts=2)  # each brought something new: none counts as a second failure
    assert got.path.read_bytes() == CONTENT
    assert got.received_bytes == len(CONTENT)
    assert ranges_of(server) == [None, "bytes=70000-", "bytes=70001-", "bytes=170001-", "bytes=182346-"]


def test_gives_up_where_nothing_new_comes_and_keeps_what_came(server: Server, tmp_path: Path) -> None:
    server.planned[PATH] = [broken_after(1000, CONTENT)]
    server.answers[PATH] = broken_after(0, CONTENT)
    with pytest.raises(NetworkError, match="IncompleteRead"):
        pull(server, tmp_path, attempts=3)
    assert (tmp_path / f"{SHA256}.part").read_bytes() == CONTENT[:1000]
    assert len(server.requests) == 3


@settings(deadline=None, max_examples=15)
@given(breaks=st.lists(st.integers(0, 200_000), max_size=4), start=st.integers(0, 320_000), ranges=st.booleans())
def test_any_history_ends_with_the_file(shared: Server, tmp_path_factory, breaks, start, ranges) -> None:
    shared.files, shared.ranges = {PATH: CONTENT}, ranges
    shared.answers.clear()
    if ranges:
        shared.planned[PATH] = [broken_after(count, CONTENT) for count in breaks]
    staging = tmp_path_factory.mktemp("staging")
    (staging / f"{SHA256}.part").write_bytes(CONTENT[:start])
    assert pull(shared, staging, attempts=10).path.read_bytes() == CONTENT


class TestServersWithoutRanges:
    def test_send_the_whole_and_only_the_rest_is_written(self, server: Server, tmp_path: Path) -> None:
        server.ranges = False
        (tmp_path / f"{SHA256}.part").write_bytes(CONTENT[:200_000])
        got = pull(server, tmp_path)
        assert got.path.read_bytes() == CONTENT
        assert (got.reused_bytes, got.received_bytes) == (200_000, len(CONTENT))

    def test_a_break_before_the_rest_loses_nothing(self, server: Server, tmp_path: Path) -> None:
        server.ranges = False
        (tmp_path / f"{SHA256}.part").write_bytes(CONTENT[:200_000])
        server.answers[PATH] = lambda request: (
            request.begin(200, {"Content-Length": str(len(CONTENT))}),
            request.wfile.write(CONTENT[:150_000]),
            request.hang_up(),
        )[0]
        with pytest.raises(NetworkError):
            pull(server, tmp_path)
        assert (tmp_path / f"{SHA256}.part").read_bytes() == CONTENT[:200_000]

    @pytest.mark.parametrize(
        "place", [None, "", "bytes */320000", "bytes 200001-319999/320000", "bytes x-y/z", "pages 1-2/3"]
    )
    def test_a_senseless_range_is_not_used(self, server: Server, tmp_path: Path, place: str | None) -> None:
        (tmp_path / f"{SHA256}.part").write_bytes(CONTENT[:200_000])
        headers = {} if place is None else {"Content-Range": place}
        server.planned[PATH] = [lambda request: request.send_whole(206, CONTENT[200_001:], headers)]
        assert pull(server, tmp_path).path.read_bytes() == CONTENT
        assert ranges_of(server) == ["bytes=200000-", None]

    def test_an_earlier_range_than_asked_for_is_of_use(self, server: Server, tmp_path: Path) -> None:
        (tmp_path / f"{SHA256}.part").write_bytes(CONTENT[:200_000])
        headers = {"Content-Range": "bytes 199000-319999/320000"}
        server.planned[PATH] = [lambda request: request.send_whole(206, CONTENT[199_000:], headers)]
        assert pull(server, tmp_path).path.read_bytes() == CONTENT
        assert len(server.requests) == 1

    def test_a_range_that_cannot_be_had(self, server: Server, tmp_path: Path) -> None:
        (tmp_path / f"{SHA256}.part").write_bytes(CONTENT[:200_000])
        server.planned[PATH] = [status(416)]
        assert pull(server, tmp_path).path.read_bytes() == CONTENT
        assert ranges_of(server) == ["bytes=200000-", None]

    def test_a_part_that_nobody_asked_for(self, server: Server, tmp_path: Path) -> None:
        headers = {"Content-Range": "bytes 5-319999/320000"}
        server.answers[PATH] = lambda request: request.send_whole(206, CONTENT[5:], headers)
        with pytest.raises(NetworkError, match="sends a part that nobody asked for"):
            pull(server, tmp_path)


class TestAnotherFile:
    def test_of_the_same_length(self, server: Server, tmp_path: Path) -> None:
        server.files[PATH] = CONTENT[:-1] + b"!"
        with pytest.raises(ContentError, match=f"its sha256 is [0-9a-f]{{64}}, the signed metadata say {SHA256}"):
            pull(server, tmp_path)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("content", [b"", CONTENT[:-1], CONTENT + b"!"])
    def test_of_another_length(self, server: Server, tmp_path: Path, content: bytes) -> None:
        server.files[PATH] = content
        with pytest.raises(ContentError, match=f"has {len(content)} bytes, the signed metadata say {len(CONTENT)}"):
            pull(server, tmp_path)
        assert list(tmp_path.iterdir()) == []

    def test_of_another_length_in_a_range(self, server: Server, tmp_path: Path) -> None:
        (tmp_path / f"{SHA256}.part").write_bytes(CONTENT[:10])
        server.files[PATH] = CONTENT * 2
        with pytest.raises(ContentError, match="has 640000 bytes"):
            pull(server, tmp_path)

    def test_a_spoiled_beginning_is_fetched_again_once(self, server: Server, tmp_path: Path) -> None:
        """As a power cut may leave it: the right length, zeros inside."""
        (tmp_path / f"{SHA256}.part").write_bytes(CONTENT[:1000] + bytes(500))
        got = pull(server, tmp_path)
        assert got.path.read_bytes() == CONTENT
        assert (got.reused_bytes, got.received_bytes) == (0, len(CONTENT) - 1500 + len(CONTENT))
        assert ranges_of(server) == ["bytes=1500-", None]

    @pytest.mark.parametrize("left", [b"!" * len(CONTENT), CONTENT + b"!"], ids=["spoiled", "too long"])
    def test_a_spoiled_whole_file_is_fetched_again(self, server: Server, tmp_path: Path, left: bytes) -> None:
        (tmp_path / f"{SHA256}.part").write_bytes(left)
        assert pull(server, tmp_path) == Download(tmp_path / f"{SHA256}.part", 0, len(CONTENT))
        assert (tmp_path / f"{SHA256}.part").read_bytes() == CONTENT

    @pytest.mark.parametrize("code", [403, 404])
    def test_a_file_that_is_not_there(self, server: Server, tmp_path: Path, code: int) -> None:
        server.answers[PATH] = status(code)
        with pytest.raises(NetworkError, match=f"HTTP status {code}"):
            pull(server, tmp_path)


def test_every_byte_passes_the_hash_once(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed = []

    class Counting:
        def __init__(self, inner) -> None:
            self._inner = inner

        def update(self, data) -> None:
            hashed.append(len(data))
            self._inner.update(data)

        def hexdigest(self) -> str:
            return self._inner.hexdigest()

    def file_digest(stream, name):
        content = stream.read()
        hashed.append(len(content))
        return Counting(hashlib.new(name, content))

    monkeypatch.setattr(module.hashlib, "file_digest", file_digest)
    (tmp_path / f"{SHA256}.part").write_bytes(CONTENT[:100_000])
    server.planned[PATH] = [broken_after(50_000, CONTENT)]
    pull(server, tmp_path)
    assert sum(hashed) == len(CONTENT)


class TestDisk:
    def test_too_little_space_is_noticed_before_anything_is_asked_for(
        self, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        usage = namedtuple("usage", "total used free")
        monkeypatch.setattr(module.shutil, "disk_usage", lambda folder: usage(10, 10, 219_999))
        (tmp_path / f"{SHA256}.part").write_bytes(CONTENT[:100_000])
        with pytest.raises(StorageError, match="220000 bytes are to come, 219999 bytes are free"):
            pull(server, tmp_path)
        assert server.requests == []
        assert (tmp_path / f"{SHA256}.part").stat().st_size == 100_000

    def test_a_disk_that_becomes_full(self, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        class Full(io.FileIO):
            def write(self, data) -> int:
                if (room := 100_000 - self.tell()) <= 0:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                return super().write(data[:room])

        monkeypatch.setattr(module.os, "fdopen", lambda descriptor, mode, buffering: Full(descriptor, "r+"))
        with pytest.raises(StorageError, match=r"\.part: No space left on device"):
            pull(server, tmp_path)
        assert (tmp_path / f"{SHA256}.part").read_bytes() == CONTENT[:100_000]
        monkeypatch.undo()
        assert pull(server, tmp_path).reused_bytes == 100_000

    def test_a_staging_folder_that_is_a_file(self, server: Server, tmp_path: Path) -> None:
        (tmp_path / "staging").write_bytes(b"")
        with pytest.raises(StorageError, match=r"staging.*File exists"):
            pull(server, tmp_path / "staging")

    def test_a_disk_that_fails_while_writing(
        self, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fsync(descriptor: int) -> None:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        monkeypatch.setattr(module.os, "fsync", fsync)
        with pytest.raises(StorageError, match="Input/output error"):
            pull(server, tmp_path)
        monkeypatch.undo()
        assert pull(server, tmp_path).received_bytes == 0


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_what_came_before_a_kill_is_not_asked_for_again(server: Server, tmp_path: Path) -> None:
    sent = threading.Event()

    def half(request: Request) -> None:
        request.begin(200, {"Content-Length": str(len(CONTENT))})
        request.wfile.write(CONTENT[:160_000])
        sent.set()
        request.server.ending.wait()

    server.answers[PATH] = half
    code = (
        "import sys; from pathlib import Path; from groupnl_device.delivery.catalogue import TargetFile;"
        "from groupnl_device.delivery.download import download; from groupnl_device.delivery.fetch import Fetcher;"
        "download(TargetFile('m', sys.argv[1], int(sys.argv[2]), sys.argv[3]), Path(sys.argv[4]), Fetcher())"
    )
    file = file_at(server)
    process = subprocess.Popen([sys.executable, "-c", code, file.url, str(file.length), file.sha256, str(tmp_path)])
    try:
        assert sent.wait(60)
        part = tmp_path / f"{SHA256}.part"
        while not (part.exists() and part.stat().st_size == 160_000):  # the kernel hands it over in its own time
            assert process.poll() is None
            time.sleep(0.01)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    del server.answers[PATH]
    got = pull(server, tmp_path)
    assert got.path.read_bytes() == CONTENT
    assert (got.reused_bytes, got.received_bytes) == (160_000, 160_000)
