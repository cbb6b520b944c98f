"""Answers that are no HTTP, or HTTP at its worst: an error of ours comes out, soon, and never anything else."""

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from device.tests.delivery.http_server import Server, serving
from hypothesis import given, settings
from hypothesis import strategies as st
from tuf.api.exceptions import DownloadHTTPError

from groupnl_device.delivery.catalogue import TargetFile
from groupnl_device.delivery.download import download
from groupnl_device.delivery.errors import DeliveryError
from groupnl_device.delivery.fetch import Fetcher
from groupnl_device.delivery.patience import Patience

CONTENT = b"the content of the file"
PATIENCE = Patience(attempts=2, first_wait_seconds=0, longest_wait_seconds=0)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


def ask(server: Server, answer: bytes, folder: Path) -> None:
    """As metadata and as a target; whatever happens is one of the errors that are foretold."""
    server.answers["/m"] = lambda request: (request.wfile.write(answer), request.hang_up())[1]
    file = TargetFile("m", server.url + "/m", len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
    with Fetcher(PATIENCE) as fetcher:
        with suppress(DeliveryError, DownloadHTTPError):
            assert len(fetcher.download_bytes(server.url + "/m", 1000)) <= 1000
        try:
            got = download(file, folder, fetcher)
        except DeliveryError:
            parts = list(folder.iterdir())
            assert sum(part.stat().st_size for part in parts) <= len(CONTENT)
        else:
            assert got.path.read_bytes() == CONTENT


LENGTHS = [
    "0",
    "23",
    "24",
    "-1",
    "+23",
    "023",
    "23, 23",
    "23, 24",
    "9" * 30,
    "9" * 5000,
    "0x17",
    "1e3",
    "",
    " ",
    "\u00b2",
]
RANGES = ["bytes 0-22/23", "bytes 5-22/23", "bytes 0-22/*", "bytes */23", "bytes 9-3/23", "bytes 0-0/" + "9" * 5000]
WORDS = ["chunked", "identity", "gzip", "chunked, chunked", "close", "keep-alive", "br, zstd"]
PLACES = ["/m", "//", "http://[", "http://a:99999/", "\u00e9\u00ff", "%", "#", "http://127.0.0.1:1/", "\x00"]
TIMES = ["Mon, 01 Jan 0001 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 -2359", "Mon, 99 Foo 20", "NaN", "inf"]
NAMES = [
    "Content-Length",
    "Content-Range",
    "Transfer-Encoding",
    "Content-Encoding",
    "Location",
    "Retry-After",
    "Connection",
]
CODES = [100, 101, 103, 200, 204, 206, 299, 301, 302, 304, 308, 404, 416, 429, 500, 503, 599, 600, 999]
_VALUES = st.sampled_from(LENGTHS + RANGES + WORDS + PLACES + TIMES)
_NAMES, _STATUS = st.sampled_from(NAMES), st.sampled_from(CODES)
_BODIES = st.sampled_from(
    [
        b"",
        CONTENT,
        CONTENT[5:],
        CONTENT * 100,
        b"17\r\n" + CONTENT + b"\r\n0\r\n\r\n",
        b"fffffffffffffffffff\r\n" + CONTENT,
        b"-5\r\n" + CONTENT + b"\r\n",
        b"17;" + b"x" * 70000 + b"\r\n" + CONTENT,
        b"\x1f\x8b\x08\x00" + bytes(20),
    ]
)


@settings(deadline=None, max_examples=60)
@given(status=_STATUS, headers=st.lists(st.tuples(_NAMES, _VALUES), max_size=4), body=_BODIES)
def test_strange_headers(server: Server, tmp_path_factory, status, headers, body) -> None:
    lines = [f"HTTP/1.1 {status} x", *(f"{name}: {value}" for name, value in headers), "", ""]
    ask(server, "\r\n".join(lines).encode("latin-1") + body, tmp_path_factory.mktemp("staging"))


@settings(deadline=None, max_examples=30)
@given(
    answer=st.binary(max_size=200),
    prefix=st.sampled_from([b"", b"HTTP/1.1 ", b"HTTP/1.1 200 OK\r\n", b"HTTP/9.9 200\r\n"]),
)
def test_noise(server: Server, tmp_path_factory, answer, prefix) -> None:
    ask(server, prefix + answer, tmp_path_factory.mktemp("staging"))


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 " + b"x" * 100_000,
        b"HTTP/1.1 200 OK\r\n" + b"X-Many: 1\r\n" * 1000,
        b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 100_000,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 1000,
    ],
    ids=["status", "headers", "header", "continue"],
)
def test_without_end(server: Server, tmp_path: Path, answer: bytes) -> None:
    ask(server, answer, tmp_path)
    assert not list(tmp_path.iterdir()) or next(tmp_path.iterdir()).stat().st_size == 0


@pytest.mark.long
@settings(deadline=None, max_examples=1000)
@given(status=_STATUS, headers=st.lists(st.tuples(_NAMES, _VALUES), max_size=5), body=_BODIES, cut=st.integers(0, 300))
def test_strange_headers_cut_anywhere(server: Server, tmp_path_factory, status, headers, body, cut) -> None:
    lines = [f"HTTP/1.1 {status} x", *(f"{name}: {value}" for name, value in headers), "", ""]
    answer = "\r\n".join(lines).encode("latin-1") + body
    ask(server, answer[: len(answer) - cut] if cut < 150 else answer, tmp_path_factory.mktemp("staging"))
