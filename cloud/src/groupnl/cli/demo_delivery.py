"""The demo's delivery: a signed repository, a device that pulls from it over HTTP, and what the device refuses."""

import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from groupnl.cli.device_process import run_device
from groupnl.delivery import init_repository, publish, retire
from groupnl.export.bundle_writer import write_bundle
from groupnl_device.archive import MANIFEST
from groupnl_device.bundle import Bundle
from groupnl_device.repack import stored_parts

FOLDER = "delivery"  # in the demo's folder: keys, the repository, the device's folder
CHANNEL = "stable"


@dataclass(frozen=True, kw_only=True)
class Delivered:
    """What happened.

    Attributes:
        rows: Of each step: ``step``, ``outcome`` and, where the device refused, ``why``; ``version`` in use afterwards,
            ``received_bytes``, ``full_bytes`` and ``seconds`` of the device's command.
        answers: Of the pulled first version on the pictures: the classes chosen.
        failures: What should not have happened.
    """

    rows: list[dict[str, Any]]
    answers: list[int]
    failures: list[str]


class _Quiet(SimpleHTTPRequestHandler):
    """Any web server can hold a repository; this is Python's own."""

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class _Device:
    """A device in a folder, which pulls from an address, and the account of what it did."""

    def __init__(self, folder: Path, address: str, root: Path) -> None:
        self.folder = folder
        self.model = folder / "current" / "model.gnl"
        self.rows: list[dict[str, Any]] = []
        self._pull = ["pull", "--repo", address, "--root", str(root), "--channel", CHANNEL, "--device-id", "demo"]

    def pull(self, step: str) -> dict[str, Any]:
        """Look for another version."""
        return self._do(step, self._pull)

    def roll_back(self, step: str) -> dict[str, Any]:
        """Take the version before into use again."""
        return self._do(step, ["rollback"])

    def _do(self, step: str, command: Sequence[str]) -> dict[str, Any]:
        began = time.perf_counter()
        told = run_device([*command, "--dir", str(self.folder)], may_fail=True)
        received = told["received"] or {}
        self.rows.append(
            {
                "step": step,
                "outcome": _outcome(told),
                "why": told["error"] and told["error"]["message"],
                "version": told["active"] and told["active"]["version"],
                "received_bytes": received.get("received_bytes"),
                "full_bytes": received.get("full_bytes"),
                "seconds": time.perf_counter() - began,
            }
        )
        return told


def deliver(out: Path, first: Path, second: Path, pictures: Path) -> Delivered:
    """Publish, pull, update by a patch, refuse a tampered and a broken version, roll back.

    Args:
        out: The demo's folder; what is in its ``delivery`` is replaced.
        first: A bundle.
        second: The same net, trained further.
        pictures: Folder of pictures that the device classifies.
    """
    folder = out / FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    keys = folder / "keys"
    # A demo's keys guard nothing, so no passphrase is asked for; groupnl repo init does ask.
    repository = init_repository(str(folder / "repository"), keys, folder / "root-keys", _no_secret, encrypt=False)
    publish(repository, first, CHANNEL)
    failures: list[str] = []
    with _served(folder / "repository") as address:
        device = _Device(folder / "device", address, keys / "root.json")
        _expect(failures, device.pull("first pull"), "updated", 1)
        found = run_device(["run", str(device.model), str(pictures), "--top", "1"])["pictures"]

        publish(repository, second, CHANNEL)
        told = device.pull("one more epoch of training")
        _expect(failures, told, "updated", 2)
        if told["received"] and told["received"]["way"] != "patch":
            failures.append(f"the update came in full: {told['received']['patch_refused']}")

        tampered = publish(repository, first, CHANNEL).release
        _tamper(folder / "repository" / "targets" / tampered.path)
        _expect(failures, device.pull("a file changed on the server"), "failed", 2)
        retire(repository, CHANNEL, tampered.version)

        publish(repository, _mixed_up(first, second, folder / "mixed-up.gnl"), CHANNEL)
        _expect(failures, device.pull("a build with another net's weights"), "failed", 2)
        _expect(failures, device.pull("the next pull"), "up to date", 2)
        _expect(failures, device.roll_back("groupnl-device rollback"), "rolled back", 1)
    return Delivered(rows=device.rows, answers=[answer["top"][0]["index"] for answer in found], failures=failures)


def _expect(failures: list[str], told: dict[str, Any], result: str, version: int) -> None:
    active = told["active"] and told["active"]["version"]
    if told["result"] != result or active != version:
        failures.append(
            f"delivery: {_outcome(told)}, version {active} in use; expected: {result}, version {version} in use"
        )


def _outcome(told: dict[str, Any]) -> str:
    """In a few words."""
    if told["error"] is not None:
        return f"refused, {told['error']['kind']}"
    if told["received"] is not None:
        return f"{told['result']}, by {'a patch' if told['received']['way'] == 'patch' else 'the whole file'}"
    return str(told["result"])


def _no_secret(kind: str, name: str) -> str:
    raise ValueError(f"the key {name} asks for a {kind}; the demo's keys have none")


@contextmanager
def _served(folder: Path) -> Iterator[str]:
    """The address of a web server that serves a folder on this machine, as long as the context lasts."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, name="repository")
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _tamper(model: Path) -> None:
    """Change one byte in the middle of every file of a version, as an attacker on the server might."""
    for file in model.parent.iterdir():
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)


def _mixed_up(weights: Path, rest: Path, out: Path) -> Path:
    """A bundle whose parts are whole and belong to two nets: its answers are not those that it promises."""
    parts = {name: bytes(part) for name, part in stored_parts(Bundle.open(rest)).items() if name != MANIFEST}
    other = stored_parts(Bundle.open(weights))
    parts["weights.safetensors"] = bytes(other["weights.safetensors"])
    write_bundle(Bundle.open(rest).manifest, parts, out)
    return out
