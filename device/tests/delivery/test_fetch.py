"""HTTP against a real server on this machine: faults, retries, redirects, proxies, IPv6."""

import datetime
import email.utils
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from device.tests.delivery.http_server import Request, Server, broken_after, endless, serving, stalled_after, status
from tuf.api.exceptions import DownloadHTTPError

import groupnl_device
from groupnl_device.delivery.errors import ContentError, NetworkError, SlowError
from groupnl_device.delivery.fetch import Fetcher
from groupnl_device.delivery.patience import PassingError, Patience

BODY = b"x" * 100_000


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        server.files["/file"] = BODY
        yield server


def fetch(url: str, patience: Patience | None = None, slept: list[float] | None = None, most: int = 10**6) -> bytes:
    slept = [] if slept is None else slept
    with Fetcher(patience or Patience(), sleep=slept.append, chance=lambda: 1.0) as fetcher:
        return fetcher.download_bytes(url, most)


def test_gets_a_file_and_says_who_asks(server: Server) -> None:
    assert fetch(server.url + "/file") == BODY
    assert server.headers[0]["User-Agent"] == f"groupnl-device/{groupnl_device.__version__}"
    assert server.headers[0]["Accept-Encoding"] == "identity"


def test_one_connection_serves_many_requests_refused_ones_included(server: Server) -> None:
    accepted = []
    get_request = server.get_request
    server.get_request = lambda: accepted.append(1) or get_request()  # type: ignore[method-assign, func-returns-value]
    with Fetcher() as fetcher:
        for _ in range(3):
            assert fetcher.download_bytes(server.url + "/file", len(BODY)) == BODY
            with pytest.raises(DownloadHTTPError):
                fetcher.download_bytes(server.url + "/absent", 10)
    assert accepted == [1]


def test_a_long_refusal_is_not_read_to_its_end(server: Server) -> None:
    accepted = []
    get_request = server.get_request
    server.get_request = lambda: accepted.append(1) or get_request()  # type: ignore[method-assign, func-returns-value]
    server.answers["/absent"] = lambda request: request.send_whole(404, bytes(10**6))
    with Fetcher() as fetcher:
        for _ in range(2):
            with pytest.raises(DownloadHTTPError):
                fetcher.download_bytes(server.url + "/absent", 10)
    assert accepted == [1, 1]


@pytest.mark.parametrize("code", [400, 401, 403, 404, 410])
def test_a_refusal_is_final(server: Server, code: int) -> None:
    server.answers["/file"] = status(code)
    with pytest.raises(DownloadHTTPError, match=f"HTTP status {code}") as caught:
        fetch(server.url + "/file")
    assert caught.value.status_code == code
    assert len(server.requests) == 1


@pytest.mark.parametrize("code", [408, 425, 429, 500, 502, 503, 504])
def test_a_busy_server_is_asked_again(server: Server, code: int) -> None:
    server.planned["/file"] = [status(code)] * 3
    slept: list[float] = []
    assert fetch(server.url + "/file", slept=slept) == BODY
    assert slept == [1, 2, 4]


def test_attempts_come_to_an_end(server: Server) -> None:
    server.answers["/file"] = status(503)
    slept: list[float] = []
    with pytest.raises(NetworkError, match="/file: HTTP status 503"):
        fetch(server.url + "/file", Patience(attempts=3), slept)
    assert len(slept) == 2


def test_retry_after_in_seconds_and_as_a_date(server: Server) -> None:
    soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=1000)
    date = email.utils.format_datetime(soon, usegmt=True)
    server.planned["/file"] = [status(503, Retry_After=value) for value in ("7", date, "soon", "1e400")]
    slept: list[float] = []
    assert fetch(server.url + "/file", slept=slept) == BODY
    assert slept == [7, 60, 4, 8]


def test_a_broken_line_is_tried_again(server: Server) -> None:
    server.planned["/file"] = [broken_after(0, BODY), broken_after(50_000, BODY), Request.hang_up]
    assert fetch(server.url + "/file") == BODY
    assert len(server.requests) == 4


def test_nobody_there() -> None:
    with socket.socket() as unused:  # bound, not listening: nobody else can take the port meanwhile
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(PassingError, match=r"(?i)refused"):
            fetch(f"http://127.0.0.1:{unused.getsockname()[1]}/", Patience(attempts=2))


def test_no_such_host(monkeypatch: pytest.MonkeyPatch) -> None:
    def getaddrinfo(*arguments: object, **options: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with pytest.raises(PassingError, match=r"^http://nowhere\.invalid/: .*Name or service not known"):
        fetch("http://nowhere.invalid/", Patience(attempts=1))


def test_not_http_at_all(server: Server) -> None:
    server.answers["/file"] = lambda request: (request.wfile.write(b"SSH-2.0-x\r\n"), request.hang_up())[0]
    with pytest.raises(PassingError, match="/file"):
        fetch(server.url + "/file", Patience(attempts=1))


def test_longer_than_allowed(server: Server) -> None:
    assert fetch(server.url + "/file", most=len(BODY)) == BODY
    with pytest.raises(ContentError, match="longer than 99999 bytes"):
        fetch(server.url + "/file", most=len(BODY) - 1)
    server.answers["/file"] = endless(b"y" * 1000)
    with pytest.raises(ContentError, match="longer than 99999 bytes"):
        fetch(server.url + "/file", most=len(BODY) - 1)


def test_chunked_bodies(server: Server) -> None:
    def chunked(request: Request) -> None:
        request.begin(200, {"Transfer-Encoding": "chunked"})
        request.wfile.write(b"3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n")

    def cut(request: Request) -> None:
        request.begin(200, {"Transfer-Encoding": "chunked"})
        request.wfile.write(b"3\r\nabc\r\n4\r\nd")
        request.hang_up()

    server.planned["/file"] = [cut, chunked]
    assert fetch(server.url + "/file") == b"abcdefg"


def test_a_body_without_a_length(server: Server) -> None:
    def bare(request: Request) -> None:
        request.begin(200, {})
        request.wfile.write(BODY)

    server.answers["/file"] = bare
    assert fetch(server.url + "/file") == BODY


def test_compression_that_nobody_asked_for(server: Server) -> None:
    server.answers["/file"] = lambda request: request.send_whole(200, b"..", {"Content-Encoding": "gzip"})
    with pytest.raises(NetworkError, match="compresses what nobody asked it to"):
        fetch(server.url + "/file")


def test_a_deadline_over_all_requests(server: Server) -> None:
    now = [0.0]
    with Fetcher(Patience(total_seconds=100), clock=lambda: now[0], sleep=lambda s: None) as fetcher:
        assert fetcher.download_bytes(server.url + "/file", len(BODY)) == BODY
        now[0] = 100.5
        with pytest.raises(SlowError, match="not finished after 100 s"):
            fetcher.download_bytes(server.url + "/file", len(BODY))


class TestRedirects:
    def test_are_followed(self, server: Server) -> None:
        server.answers["/a"] = status(302, Location="/b?x=1")
        server.answers["/b"] = status(307, Location=server.url + "/file")
        assert fetch(server.url + "/a") == BODY

    def test_not_in_circles(self, server: Server) -> None:
        server.answers["/a"] = status(301, Location="/a")
        with pytest.raises(NetworkError, match="more than 5 redirects"):
            fetch(server.url + "/a")
        assert len(server.requests) == 6

    @pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://host/x", "http://u:p@host/", "http://[x"])
    def test_not_to_anything_but_http(self, server: Server, target: str) -> None:
        server.answers["/a"] = status(302, Location=target)
        with pytest.raises(NetworkError, match="redirected to where no device can fetch from"):
            fetch(server.url + "/a")

    def test_with_an_endless_body(self, server: Server) -> None:
        def answer(request: Request) -> None:
            request.begin(302, {"Location": "/file"})
            while not request.server.ending.is_set():
                request.wfile.write(b"z" * 1000)

        server.answers["/a"] = answer
        assert fetch(server.url + "/a") == BODY


class TestProxies:
    def test_of_the_environment(self, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
        server.answers["http://models.invalid/file"] = lambda request: request.send_whole(200, b"by proxy")
        monkeypatch.setenv("http_proxy", server.url.replace("http://", "http://me:p%40ss@"))
        assert fetch("http://models.invalid/file") == b"by proxy"
        assert server.headers[0]["Proxy-Authorization"] == "Basic bWU6cEBzcw=="

    def test_for_all_schemes_without_a_scheme_of_its_own(self, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
        server.answers["http://models.invalid/file"] = lambda request: request.send_whole(200, b"by proxy")
        monkeypatch.setenv("all_proxy", server.url.removeprefix("http://"))
        assert fetch("http://models.invalid/file") == b"by proxy"

    def test_not_for_hosts_that_are_excepted(self, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("http_proxy", "http://proxy.invalid:1")
        monkeypatch.setenv("no_proxy", "example.org,127.0.0.1")
        assert fetch(server.url + "/file") == BODY

    def test_a_tunnel_for_https_that_the_proxy_refuses(self, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("https_proxy", server.url)  # its handler knows no CONNECT
        with pytest.raises(PassingError, match="Tunnel connection failed: 501"):
            fetch("https://models.invalid/file", Patience(attempts=1))

    def test_of_another_kind(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("http_proxy", "socks5://me:secret@host:1080")
        with pytest.raises(NetworkError, match=r"proxy socks5://host:1080: expected http:// or https://"):
            fetch("http://models.invalid/")


def test_ipv6() -> None:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("this machine has no IPv6")
    with serving("::1") as server:
        server.files["/file"] = BODY
        assert fetch(server.url + "/file") == BODY


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    today = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(today - datetime.timedelta(days=1))
        .not_valid_after(today + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file.write_bytes(private + made.public_bytes(pem))
    return file


class TestTls:
    """With a certificate of its own, for 127.0.0.1."""

    @pytest.fixture
    def tls(self, certificate: Path) -> Iterator[Server]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        with serving(tls=context) as server:
            server.files["/file"] = BODY
            yield server

    def test_a_certificate_that_nobody_vouches_for(self, tls: Server) -> None:
        with pytest.raises(
            NetworkError, match=r"(?i)certificate verify failed.*; is the clock right, and is the"
        ) as caught:
            fetch(tls.url + "/file")
        assert not isinstance(caught.value, PassingError)  # no other attempt cures it
        assert tls.requests == []

    def test_one_that_the_system_trusts(self, tls: Server, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert fetch(tls.url + "/file") == BODY

    def test_a_stalled_server_is_noticed(self, tls: Server, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        tls.answers["/file"] = stalled_after(BODY[:10], len(BODY))
        with pytest.raises(SlowError, match="expected 1e"):
            fetch(tls.url + "/file", Patience(attempts=1, window_seconds=0.2, least_rate=1e7))

    def test_through_a_proxy(
        self, server: Server, tls: Server, certificate: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        monkeypatch.setenv("https_proxy", server.url)
        server.tunnels = True
        assert fetch(tls.url + "/file") == BODY
        assert server.requests == [(tls.url.removeprefix("https://"), None)]


def test_a_server_that_never_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        done = threading.Event()

        def accept() -> None:
            connection, _ = listener.accept()
            with connection:
                done.wait()

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            with pytest.raises(SlowError, match="0 bytes in"):
                fetch(f"http://127.0.0.1:{listener.getsockname()[1]}/", Patience(attempts=1, window_seconds=0.1))
        finally:
            done.set()
            thread.join()
