"""A fleet that pulls from one web server: bytes, time and the server's load.

    python -m benchmarks.delivery_load --json results/delivery-load.json
    python -m benchmarks.delivery_load --devices 50 --json -

nginx serves a signed repository on this machine, and simulated devices pull from it, as many at a time as
``--in-flight`` says. Each has a folder and an id of its own and runs the real client, except for one thing: the
self-test is left out, since on a device it costs the device's time, and here it would cost the server's. The versions
are one net with random weights, before and after a step of training; what patches of trained nets come to is in
docs/delivery-patches.md.
"""

import argparse
import copy
import multiprocessing
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from typing import Any

import psutil
import timm
import torch
from torch import nn

from benchmarks.experiment import header, write_result
from groupnl.delivery import init_repository, publish, set_rollout
from groupnl.export import export_bundle
from groupnl_device.delivery import update
from groupnl_device.delivery.client import Settings, pull
from groupnl_device.delivery.device import Device
from groupnl_device.delivery.release import Rollout
from groupnl_device.preprocessing import Preprocessing

NET, SIDE, CLASSES = "groupnl_resnet8", 32, 10
CHANNEL = "stable"
STAGED = 10.0  # percent of the devices
_CONFIGURATION = """{user}daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
  log_format sent '$bytes_sent';
  access_log {folder}/access.log sent;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  sendfile on;
  server {{ listen 127.0.0.1:{port}; root {root}; }}
}}
"""


@dataclass(frozen=True)
class Server:
    """nginx as it runs."""

    address: str
    log: Path
    process: subprocess.Popen[bytes]

    def cpu_seconds(self) -> float:
        """That its processes have taken."""
        parent = psutil.Process(self.process.pid)
        times = [one.cpu_times() for one in (parent, *parent.children(recursive=True))]
        return float(sum(one.user + one.system for one in times))

    def memory_bytes(self) -> int:
        """Resident, of its processes together."""
        parent = psutil.Process(self.process.pid)
        return sum(one.memory_info().rss for one in (parent, *parent.children(recursive=True)))

    def sent(self) -> list[int]:
        """Bytes of each answer so far, its head included."""
        return [int(line) for line in self.log.read_text().split()]


@contextmanager
def nginx(root: Path, folder: Path) -> Iterator[Server]:
    """A server of a folder, on a free port of this machine.

    Raises:
        RuntimeError: nginx is absent, or does not start; holds what it wrote.
    """
    program = shutil.which("nginx")
    if program is None:
        raise RuntimeError("nginx is not found: install it (Debian: apt install nginx-light)")
    folder.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    user = "user root;\n" if os.geteuid() == 0 else ""
    configuration = folder / "nginx.conf"
    configuration.write_text(_CONFIGURATION.format(user=user, folder=folder, port=port, root=root))
    process = subprocess.Popen([program, "-p", str(folder), "-c", str(configuration)], stderr=subprocess.PIPE)
    try:
        _wait_for(port, process)
        yield Server(f"http://127.0.0.1:{port}", folder / "access.log", process)
    finally:
        process.terminate()
        process.wait(timeout=30)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(200):
        if process.poll() is not None:
            raise RuntimeError(f"nginx does not start: {process.stderr.read().decode() if process.stderr else ''}")
        with socket.socket() as door:
            if door.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError("nginx does not answer after 10 s")


def _write_versions(folder: Path) -> list[Path]:
    """Two bundles: a net, and the same net after a step of training; then the first again."""
    torch.manual_seed(0)
    net = timm.create_model(NET, num_classes=CLASSES)
    further = copy.deepcopy(net).train()
    images, labels = torch.randn(32, 3, SIDE, SIDE), torch.randint(CLASSES, (32,))
    optimizer = torch.optim.SGD(further.parameters(), lr=0.01, momentum=0.9)
    loss = nn.functional.cross_entropy(further(images), labels)
    loss.backward()  # type: ignore[no-untyped-call]  # torch gives it no types
    optimizer.step()
    paths = []
    for name, module in (("first", net), ("further", further)):
        paths.append(folder / f"{name}.gnl")
        export_bundle(
            module.eval(),
            paths[-1],
            example_input=torch.zeros(1, 3, SIDE, SIDE),
            preprocessing=Preprocessing(input_size=(3, SIDE, SIDE), mean=(0.5,) * 3, std=(0.25,) * 3),
            class_names=[str(number) for number in range(CLASSES)],
            name=NET,
        )
    return [*paths, paths[0]]


def _no_self_test(*_: Any, **__: Any) -> dict[str, Any]:
    return {"left_out": "the fleet is simulated"}


def _pull(number: int, *, address: str, root: Path, folder: Path) -> tuple[str, int | None, float, str | None]:
    """One device: the result, the version in use, the seconds, and the error if there was one."""
    began = time.perf_counter()
    device = Device.here(device_id=f"device-{number}")
    settings = Settings(repo=address, root=root, channel=CHANNEL, folder=folder / str(number), device=device)
    outcome = pull(settings)
    version = None if outcome.active is None else outcome.active.what.version
    error = None if outcome.error is None else f"{outcome.error.kind}: {outcome.error}"
    return outcome.result, version, time.perf_counter() - began, error


def _simulate() -> None:
    """In each worker: devices without the self-test."""
    vars(update)["try_model"] = _no_self_test


def measure(devices: int, in_flight: int, folder: Path) -> list[dict[str, Any]]:
    """All phases.

    Args:
        devices: How many.
        in_flight: How many pull at the same time.
        folder: For everything.
    """
    first, further, third = _write_versions(folder)
    keys = folder / "keys"
    repository = init_repository(str(folder / "repository"), keys, folder / "root", _no_secret, encrypt=False)
    publish(repository, first, CHANNEL)
    rows: list[dict[str, Any]] = []
    with (
        nginx(folder / "repository", folder / "nginx") as server,
        multiprocessing.get_context("spawn").Pool(in_flight, initializer=_simulate) as pool,
    ):
        one = partial(_pull, address=server.address, root=keys / "root.json", folder=folder / "devices")

        def phase(name: str) -> None:
            sent, cpu, began = len(server.sent()), server.cpu_seconds(), time.perf_counter()
            found = pool.map(one, range(devices), chunksize=1)
            seconds = time.perf_counter() - began
            answers = server.sent()[sent:]
            took = [row[2] for row in found]
            rows.append(
                {
                    "phase": name,
                    "devices": devices,
                    "updated": sum(row[0] == "updated" for row in found),
                    "failed": [row[3] for row in found if row[3] is not None],
                    "versions": {
                        str(v): sum(row[1] == v for row in found) for v in sorted({row[1] or 0 for row in found})
                    },
                    "seconds": seconds,
                    "requests": len(answers),
                    "sent_bytes": sum(answers),
                    "server_cpu_seconds": server.cpu_seconds() - cpu,
                    "server_memory_bytes": server.memory_bytes(),
                    "pull_seconds_median": median(took),
                    "pull_seconds_p99": quantiles(took, n=100)[98],
                }
            )

        pool.map(_ready, range(in_flight), chunksize=1)  # the workers have started and imported
        phase("first pull, the whole file")
        phase("nothing new")
        publish(repository, further, CHANNEL)
        phase("update by a patch")
        version = publish(repository, third, CHANNEL, rollout=Rollout(percent=STAGED)).release.version
        phase(f"staged update, {STAGED:g} %")
        set_rollout(repository, CHANNEL, version, Rollout())
        phase("staged update, all")
    return rows


def _ready(number: int) -> int:
    time.sleep(0.2)
    return number


def _no_secret(kind: str, name: str) -> str:
    raise ValueError(f"the key {name} asks for a {kind}; these keys have none")


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The phases in Markdown."""
    lines = [
        "| phase | updated | failed | requests a device | bytes a device | seconds in all | server CPU, ms a device "
        "| pull, s: median | p99 |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        count = row["devices"]
        cells = [
            row["phase"],
            f"{row['updated']:,}",
            f"{len(row['failed']):,}",
            f"{row['requests'] / count:.1f}",
            f"{row['sent_bytes'] / count:,.0f}",
            f"{row['seconds']:.0f}",
            f"{1000 * row['server_cpu_seconds'] / count:.2f}",
            f"{row['pull_seconds_median']:.2f}",
            f"{row['pull_seconds_p99']:.2f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def load_block(results: Mapping[str, Any]) -> str:
    """For the page."""
    return table(results["phases"])


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", metavar="FILE", help="write the figures here; - is the standard output")
    parser.add_argument("--devices", type=int, default=1000, help="default: 1000")
    parser.add_argument("--in-flight", type=int, default=16, help="that pull at the same time; default: 16")
    arguments = parser.parse_args()
    with TemporaryDirectory() as folder:
        rows = measure(arguments.devices, arguments.in_flight, Path(folder))
    command = f"python -m benchmarks.delivery_load --devices {arguments.devices} --in-flight {arguments.in_flight}"
    facts = {"net": NET, "devices": arguments.devices, "in_flight": arguments.in_flight, "server": "nginx, one worker"}
    write_result(
        arguments.json, {**header(f"{command} --json results/delivery-load.json", **facts), "phases": rows}, table(rows)
    )


if __name__ == "__main__":
    main()
