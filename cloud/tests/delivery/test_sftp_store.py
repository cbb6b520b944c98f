"""SFTP as a store: against a server of paramiko's, whose rename refuses a taken name as OpenSSH's does."""

import os
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cloud.tests.delivery.simulated import Device, bundle_file, secret

from groupnl.delivery import Repository, init_repository, publish
from groupnl.delivery.store import open_store

paramiko = pytest.importorskip("paramiko", reason="paramiko is not installed")


@dataclass
class Server:
    """Serves a folder to one user, ``fleet`` with the password ``horse``."""

    folder: Path
    careless: bool = False  # renames over a file, as some servers do
    key: object = field(default_factory=lambda: paramiko.ECDSAKey.generate())
    closing: bool = False

    def __post_init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.transports: list[object] = []
        self.thread = threading.Thread(target=self._accept)
        self.thread.start()

    def url(self, path: str, password: str = "horse") -> str:
        return f"sftp://fleet:{password}@127.0.0.1:{self.port}{path}"

    def _accept(self) -> None:
        while True:
            connection, _ = self.listener.accept()
            if self.closing:
                connection.close()
                return
            transport = paramiko.Transport(connection)
            transport.add_server_key(self.key)
            transport.set_subsystem_handler("sftp", paramiko.SFTPServer, Files, self)
            self.transports.append(transport)
            try:
                transport.start_server(server=Login())
            except (paramiko.SSHException, EOFError):  # a client that does not know our key goes away
                transport.close()

    def stop(self) -> None:
        self.closing = True
        socket.create_connection(("127.0.0.1", self.port)).close()
        self.thread.join()
        self.listener.close()
        for transport in self.transports:
            transport.close()
            transport.join()


class Login(paramiko.ServerInterface):
    def check_auth_password(self, username: str, password: str) -> int:
        return paramiko.AUTH_SUCCESSFUL if (username, password) == ("fleet", "horse") else paramiko.AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED


class Handle(paramiko.SFTPHandle):
    def stat(self) -> object:
        return paramiko.SFTPAttributes.from_stat(os.fstat(self.readfile.fileno()))


class Files(paramiko.SFTPServerInterface):
    """A folder of this machine, with OpenSSH's meaning of rename: a second name, then the first one goes."""

    def __init__(self, server: object, files: Server) -> None:
        super().__init__(server)
        self._files = files

    def _path(self, path: str) -> Path:
        return self._files.folder / path.lstrip("/")

    def _done(self, work) -> int:
        try:
            work()
        except OSError as error:
            return paramiko.SFTP_FAILURE if error.errno == 17 else paramiko.SFTPServer.convert_errno(error.errno)
        return paramiko.SFTP_OK

    def stat(self, path: str) -> object:
        try:
            return paramiko.SFTPAttributes.from_stat(self._path(path).stat())
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno)

    lstat = stat

    def open(self, path: str, flags: int, attr: object) -> object:
        try:
            descriptor = os.open(self._path(path), flags, 0o644)
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno)
        handle = Handle(flags)
        handle.readfile = handle.writefile = os.fdopen(descriptor, "wb" if flags & os.O_WRONLY else "rb")
        return handle

    def remove(self, path: str) -> int:
        return self._done(self._path(path).unlink)

    def mkdir(self, path: str, attr: object) -> int:
        return self._done(self._path(path).mkdir)

    def rename(self, oldpath: str, newpath: str) -> int:
        old, new = self._path(oldpath), self._path(newpath)
        if self._files.careless:
            return self._done(lambda: old.replace(new))
        return self._done(lambda: (os.link(old, new), old.unlink()))

    def posix_rename(self, oldpath: str, newpath: str) -> int:
        return self._done(lambda: self._path(oldpath).replace(self._path(newpath)))


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server whose key is known here."""
    (tmp_path / "home/.ssh").mkdir(parents=True)
    (tmp_path / "served").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    running = Server(tmp_path / "served")
    know(running, tmp_path)
    yield running
    running.stop()


def know(server: Server, tmp_path: Path) -> None:
    line = f"[127.0.0.1]:{server.port} {server.key.get_name()} {server.key.get_base64()}\n"
    (tmp_path / "home/.ssh/known_hosts").write_text(line)


def files(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_create_read_replace(server: Server) -> None:
    store = open_store(server.url("/a/site"))
    assert store.read("metadata/x") is None
    assert store.create("metadata/x", b"1" * 100_000)
    assert not store.create("metadata/x", b"2")
    assert store.read("metadata/x") == b"1" * 100_000
    store.replace("metadata/x", b"3")
    assert store.read("metadata/x") == b"3"
    assert files(server.folder) == ["a/site/metadata/.probe", "a/site/metadata/x"]
    assert store.where == "sftp://127.0.0.1/a/site"


def test_a_name_that_is_taken(server: Server) -> None:
    one, other = (open_store(server.url("/site")) for _ in range(2))
    assert other.create("claim", b"the other's")
    assert not one.create("claim", b"mine")
    assert one.read("claim") == b"the other's"
    assert files(server.folder) == ["site/claim", "site/metadata/.probe"]


def test_a_repository(server: Server, tmp_path: Path) -> None:
    url = server.url("/site")
    repository = init_repository(url, tmp_path / "keys", tmp_path / "root-keys", secret, encrypt=False)
    for number in (1, 2):
        publish(repository, bundle_file(tmp_path / f"{number}.gnl", number), "stable")
    root = (tmp_path / "keys/root.json").read_bytes()
    assert len(Device(server.folder / "site", root, tmp_path / "device").sees()) == 3
    assert Repository.open(url, tmp_path / "keys", secret).state().timestamp.version == 3


def test_a_server_that_overwrites_is_refused(server: Server) -> None:
    server.careless = True
    with pytest.raises(ValueError, match=r"sftp://127.0.0.1/site: overwrites a file .*SFTP: OpenSSH"):
        open_store(server.url("/site"))


def test_a_server_that_is_not_known(server: Server, tmp_path: Path) -> None:
    (tmp_path / "home/.ssh/known_hosts").unlink()
    with pytest.raises(OSError, match=r"not found in known_hosts; does sftp 127.0.0.1 connect without asking"):
        open_store(server.url("/site"))


def test_another_server_in_its_place(server: Server, tmp_path: Path) -> None:
    known = server.key
    server.key = paramiko.ECDSAKey.generate()
    line = f"[127.0.0.1]:{server.port} {known.get_name()} {known.get_base64()}\n"
    (tmp_path / "home/.ssh/known_hosts").write_text(line)
    with pytest.raises(OSError, match=r"does not match"):
        open_store(server.url("/site"))


def test_a_wrong_password_is_not_shown(server: Server) -> None:
    with pytest.raises(OSError, match=r"Authentication failed") as refused:
        open_store(server.url("/site", password="mule"))
    assert "mule" not in str(refused.value)


def test_a_broken_connection(server: Server) -> None:
    store = open_store(server.url("/site"))
    for transport in server.transports:
        transport.close()
    with pytest.raises(OSError, match=r"closed|sftp://127.0.0.1/site"):
        store.read("metadata/x")


@pytest.mark.parametrize("url", ["sftp:///folder", "sftp://host", "sftp://host/"])
def test_addresses(url: str) -> None:
    with pytest.raises(ValueError, match=r"expected sftp://USER@HOST/FOLDER"):
        open_store(url)
