"""A repository, devices half way through its versions, and what must hold after whatever ends an update.

Version 3 is out; devices have taken versions 1 and 2, or none. Whatever ends their next command, ``current`` has to
lead to a whole model, the old one or the new one, and the pull after that has to bring the newest version.
"""

import hashlib
import re
import shutil
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from groupnl.delivery import Repository, init_repository, publish, retire
from groupnl_device.bundle import Bundle
from groupnl_device.delivery.client import Settings, pull
from groupnl_device.delivery.device import Device
from groupnl_device.runtime import Session

_RANGE = re.compile(r"bytes=(\d+)-")
_PIECE = 64 * 1024  # bytes


class PromiseBrokenError(Exception):
    """A device without a whole model, or one that the next pull does not bring up to date."""


@dataclass(frozen=True)
class Scenario:
    """A command that is going to be ended, and between which versions.

    Attributes:
        name: For the report.
        channel: ``full`` has no patches, ``patched`` has, ``recalled`` has withdrawn its version 3.
        command: Of ``groupnl-device``.
        old: The version in use before; None: none.
        new: The version in use after.
        newest: What the next pull has to bring.
    """

    name: str
    channel: str
    command: str
    old: int | None
    new: int
    newest: int = 3


SCENARIOS = (
    Scenario("first model", "full", "pull", None, 3),
    Scenario("full file", "full", "pull", 2, 3),
    Scenario("patch", "patched", "pull", 2, 3),
    Scenario("withdrawn", "recalled", "pull", 3, 2, newest=2),
    Scenario("rollback", "full", "rollback", 2, 1),
)


class Rig:
    """Use :func:`rig`.

    Args:
        folder: For all of it.
        url: Of the server.
        versions: By SHA-256 of a file, the version that it is a form of.
    """

    def __init__(self, folder: Path, url: str, versions: dict[str, int]) -> None:
        self.url = url
        self.root = folder / "keys" / "root.json"
        self._folder = folder
        self._versions = versions

    def device(self, scenario: Scenario) -> Path:
        """A device folder as it is before the command; the one of the run before is removed."""
        device = self._folder / "device"
        shutil.rmtree(device, ignore_errors=True)
        if scenario.old is not None:
            shutil.copytree(self._folder / f"device-{scenario.channel}", device, symlinks=True)
        return device

    def arguments(self, scenario: Scenario, device: Path) -> list[str]:
        """Of ``groupnl-device``."""
        if scenario.command == "rollback":
            return ["rollback", "--dir", str(device)]
        given = ["--repo", self.url, "--root", str(self.root), "--channel", scenario.channel, "--dir", str(device)]
        return ["pull", *given, "--device-id", "rig"]

    def served(self, scenario: Scenario, device: Path) -> int | None:
        """Which version programs find, read whole and run; None: none, as before a first model.

        Raises:
            PromiseBrokenError: Not the old one, not the new one, or not whole.
        """
        model = device / "current" / "model.gnl"
        if scenario.old is None and not model.exists():
            return None
        if not model.is_file():
            raise PromiseBrokenError("current leads to no model")
        version = self._versions.get(hashlib.sha256(model.read_bytes()).hexdigest())
        if version not in (scenario.old, scenario.new):
            raise PromiseBrokenError(f"current leads to version {version}, expected {scenario.old} or {scenario.new}")
        Session(Bundle.open(model)).self_test()
        return version

    def complete(self, scenario: Scenario, device: Path) -> None:
        """The next pull, which nothing ends.

        Raises:
            PromiseBrokenError: It does not bring the newest version, or leaves something lying about.
        """
        here = Device.here(device_id="rig")
        outcome = pull(Settings(repo=self.url, root=self.root, channel=scenario.channel, folder=device, device=here))
        version = None if outcome.active is None else outcome.active.what.version
        if outcome.error is not None or version != scenario.newest:
            raise PromiseBrokenError(f"the next pull: {outcome.result}, version {version}, {outcome.error}")
        if self.served(Scenario("", "", "", scenario.newest, scenario.newest), device) != scenario.newest:
            raise PromiseBrokenError("the next pull left another model than it says")
        if left := [path for path in device.rglob("*") if path.name[0] == "." or path.parent.name == "staging"]:
            raise PromiseBrokenError(f"the next pull leaves {left}")


@contextmanager
def rig(folder: Path, bundles: Sequence[bytes]) -> Iterator[Rig]:
    """Publish, serve, and let the devices take their first versions.

    Args:
        folder: An empty one; made if absent.
        bundles: The versions 1, 2 and 3.
    """
    folder.mkdir(parents=True, exist_ok=True)
    repository = init_repository(
        str(folder / "repo"), folder / "keys", folder / "root-keys", lambda *_: "unused", encrypt=False
    )
    versions: dict[str, int] = {}
    with _serving(folder / "repo") as url:
        made = Rig(folder, url, versions)
        for channel, patches in (("full", 0), ("patched", 3), ("recalled", 0)):
            for version, bundle in enumerate(bundles, start=1):
                _publish(repository, folder / "model.gnl", bundle, channel, patches, versions)
                if version < 3 or channel == "recalled":
                    _take(made, channel, folder / f"device-{channel}")
        retire(repository, "recalled", 3)
        yield made


def _publish(
    repository: Repository, file: Path, bundle: bytes, channel: str, patches: int, versions: dict[str, int]
) -> None:
    file.write_bytes(bundle)
    published = publish(repository, file, channel, patches=patches)
    versions[published.sha256] = versions[published.release.stored_sha256] = published.release.version


def _take(made: Rig, channel: str, device: Path) -> None:
    here = Device.here(device_id="rig")
    outcome = pull(Settings(repo=made.url, root=made.root, channel=channel, folder=device, device=here))
    if outcome.result != "updated":
        raise PromiseBrokenError(f"a device does not take version after version: {outcome.lines()}")


class _Files(SimpleHTTPRequestHandler):
    """Files with ranges to their ends, piece by piece."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            self.send_error(404)
            return
        size = path.stat().st_size
        asked = _RANGE.fullmatch(self.headers.get("Range", ""))
        begin = int(asked[1]) if asked and int(asked[1]) < size else 0
        self.send_response(206 if begin else 200)
        self.send_header("Content-Length", str(size - begin))
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{size - 1}/{size}")
        self.end_headers()
        with path.open("rb") as file:
            file.seek(begin)
            while piece := file.read(_PIECE):
                self.wfile.write(piece)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        pass  # a client that was killed


@contextmanager
def _serving(folder: Path) -> Iterator[str]:
    """The address of a web server over a folder."""
    with _Server(("127.0.0.1", 0), partial(_Files, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
