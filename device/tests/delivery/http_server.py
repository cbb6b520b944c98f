"""A web server for tests, in a thread: serves files from memory, with ranges, and fails in any way a test asks for."""

import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = Callable[["Request"], None]


class Request(BaseHTTPRequestHandler):
    """One request; what an answer of a test writes to."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or headers and body wait for each other
    server: "Server"

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        with self.server.lock:
            self.server.requests.append((path, self.headers.get("Range")))
            self.server.headers.append(self.headers)
            planned = self.server.planned.get(path)
            answer = planned.pop(0) if planned else self.server.answers.get(path)
        if answer is not None:
            answer(self)
        elif path in self.server.files:
            self.send_file(self.server.files[path])
        else:
            self.send_whole(404, b"not here")

    def do_CONNECT(self) -> None:
        """A tunnel, as proxies make one for TLS."""
        if not self.server.tunnels:
            self.send_error(501)
            return
        self.server.requests.append((self.path, None))
        host, _, port = self.path.rpartition(":")
        with socket.create_connection((host, int(port))) as there:
            self.send_response(200)
            self.end_headers()
            back = threading.Thread(target=_copy, args=(there, self.connection))
            back.start()
            _copy(self.connection, there)
            back.join()
        self.hang_up()

    def send_file(self, content: bytes) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if asked is None or not self.server.ranges:
            self.send_whole(200, content)
            return
        begin = int(asked[1])
        if begin >= len(content):
            self.send_whole(416, b"", {"Content-Range": f"bytes */{len(content)}"})
        else:
            place = f"bytes {begin}-{len(content) - 1}/{len(content)}"
            self.send_whole(206, content[begin:], {"Content-Range": place})

    def send_whole(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.begin(status, {"Content-Length": str(len(content)), **(headers or {})})
        self.wfile.write(content)

    def begin(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if "Content-Length" not in headers and "Transfer-Encoding" not in headers:
            self.close_connection = True

    def hang_up(self) -> None:
        self.close_connection = True

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


def _copy(source: socket.socket, target: socket.socket) -> None:
    """Until the source ends; the target then learns of it."""
    with suppress(OSError):
        while piece := source.recv(65536):
            target.sendall(piece)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


class Server(ThreadingHTTPServer):
    """Use :func:`serving`.

    Attributes:
        files: What it serves, by path.
        answers: By path, what answers in place of a file.
        planned: By path, answers that are given once each, before all others.
        ranges: Whether it understands the header ``Range``.
        tunnels: Whether it is a proxy that makes tunnels.
        requests: Path and ``Range`` of each request so far.
        headers: Of each request.
        ending: Set when the server ends; an answer that hangs waits for it.
    """

    daemon_threads = False  # server_close() waits for them

    def __init__(self, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.files: dict[str, bytes] = {}
        self.answers: dict[str, Answer] = {}
        self.planned: dict[str, list[Answer]] = {}
        self.ranges = True
        self.tunnels = False
        self.requests: list[tuple[str, str | None]] = []
        self.headers: list[Message] = []
        self.ending = threading.Event()
        self.lock = threading.Lock()
        self._connections: list[socket.socket] = []
        super().__init__((host, 0), Request)
        shown = f"[{host}]" if ":" in host else host
        self.url = f"{'http' if tls is None else 'https'}://{shown}:{self.server_address[1]}"
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_side=True)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        self._connections.append(connection)
        return connection, address

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # a client that hung up, as many tests do

    def end(self) -> None:
        self.ending.set()
        self.shutdown()
        for connection in self._connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.server_close()


@contextmanager
def serving(host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    server = Server(host, tls)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.end()
        thread.join()


def status(code: int, **headers: str) -> Answer:
    """An answer without the file."""
    return lambda request: request.send_whole(code, b"no", {k.replace("_", "-"): v for k, v in headers.items()})


def broken_after(count: int, content: bytes) -> Answer:
    """Announces what is missing of the content, sends that many bytes and hangs up."""

    def answer(request: Request) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range", ""))
        begin = int(asked[1]) if asked else 0
        headers = {"Content-Length": str(len(content) - begin)}
        if asked:
            headers["Content-Range"] = f"bytes {begin}-{len(content) - 1}/{len(content)}"
        request.begin(206 if asked else 200, headers)
        request.wfile.write(content[begin : begin + count])
        request.hang_up()

    return answer


def endless(piece: bytes) -> Answer:
    """Sends the piece again and again until the other side or the test ends."""

    def answer(request: Request) -> None:
        request.begin(200, {})
        while not request.server.ending.is_set():
            request.wfile.write(piece)

    return answer


def stalled_after(content: bytes, announced: int) -> Answer:
    """Sends a few bytes of a body of that length, then nothing for ever."""

    def answer(request: Request) -> None:
        request.begin(200, {"Content-Length": str(announced)})
        request.wfile.write(content)
        request.server.ending.wait()
        request.hang_up()

    return answer


def stalled_in_headers(request: Request) -> None:
    """Not even the headers come to an end."""
    request.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    request.server.ending.wait()
    request.hang_up()
