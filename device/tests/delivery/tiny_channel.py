"""A device, a repository with a channel of tiny nets, and the server between them."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from device.tests.conftest import TinyNet, assemble
from device.tests.delivery.http_server import Server, serving
from device.tests.delivery.signed_repository import SignedRepository, release_custom

from groupnl_device.delivery import trial, update
from groupnl_device.delivery.client import Settings, pull, rollback
from groupnl_device.delivery.device import Device
from groupnl_device.delivery.errors import SelfTestError
from groupnl_device.delivery.outcome import Outcome
from groupnl_device.delivery.patience import Patience

DEVICE = Device(device_id="device-1", runtimes=frozenset({"onnxruntime"}))
IMPATIENT = Patience(attempts=1)


def tiny_net(seed: int) -> TinyNet:
    rng = np.random.default_rng(seed)
    shapes = {"conv.weight": (5, 3, 1, 1), "fc.weight": (4, 12), "fc.bias": (4,)}
    return TinyNet({name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()})


def good(seed: int) -> bytes:
    """A bundle that passes its self-test."""
    net = tiny_net(seed)
    return assemble(net.manifest(), net.entries())


def wrong_answers(seed: int) -> bytes:
    """A valid bundle whose sample belongs to another net."""
    net, other = tiny_net(seed), tiny_net(seed + 1000)
    sample = other.entries()["self_test.safetensors"]
    return assemble(net.manifest(), {**net.entries(), "self_test.safetensors": sample})


@dataclass
class World:
    """What a test needs; ``folder`` is the device's."""

    server: Server
    folder: Path
    root: Path
    repository: SignedRepository = field(default_factory=SignedRepository)

    def publish(self, version: int, content: bytes, channel: str = "stable", **changes: Any) -> None:
        stored = {"sha256": hashlib.sha256(content).hexdigest(), "length": len(content)}
        custom = release_custom(channel, version, **{"stored": stored, **changes})
        self.repository.add(f"{channel}/{version}/model.gnl", content, custom)
        self.repository.publish()

    def withdraw(self, version: int, channel: str = "stable") -> None:
        del self.repository.targets.targets[f"{channel}/{version}/model.gnl"]
        told = self.repository.targets.unrecognized_fields.setdefault("groupnl", {"withdrawn": {}})
        told["withdrawn"].setdefault(channel, []).append(version)
        self.repository.publish()

    def settings(self, channel: str = "stable", **changes: Any) -> Settings:
        given = {"device": DEVICE, "patience": IMPATIENT, **changes}
        return Settings(repo=self.server.url, root=self.root, channel=channel, folder=self.folder, **given)

    def pull(self, channel: str = "stable", **changes: Any) -> Outcome:
        return pull(self.settings(channel, **changes))

    def rollback(self) -> Outcome:
        return rollback(self.folder)

    @property
    def current(self) -> bytes:
        return (self.folder / "current" / "model.gnl").read_bytes()

    def asked_for(self, ending: str) -> int:
        return sum(path.endswith(ending) for path, _ in self.server.requests)


def quick_trial(path: Path, *, most_latency_ms: float | None, seconds: float) -> dict[str, Any]:
    """The same test without the process of its own, which takes most of the time of a pull."""
    if most_latency_ms is not None:
        return trial.try_model(path, most_latency_ms=most_latency_ms, seconds=seconds)
    try:
        return trial._figures(str(path))
    except ValueError as error:
        raise SelfTestError(f"the self-test failed: {error}") from error


@contextmanager
def tiny_world(folder: Path, *, tested_apart: bool = False) -> Iterator[World]:
    """Args: tested_apart: Models are tested as on a device, in a process of their own."""
    test = trial.try_model if tested_apart else quick_trial
    with serving() as server, mock.patch.object(update, "try_model", test):
        world = World(server=server, folder=folder / "device", root=folder / "root.json")
        world.root.write_bytes(world.repository.first_root)
        server.files = world.repository.files
        yield world
