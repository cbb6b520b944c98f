"""Data-parallel workers started with torchrun, each on a host of its own, that follow the benchmark's orders."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, TextIO

from benchmarks.shaped_network import Loopback, ShapedNetwork

ROOT = Path(__file__).parents[1]
MASTER_PORT = 29400
START_SECONDS, ORDER_SECONDS = 300.0, 900.0  # before it is taken for stuck


class TeamFailedError(Exception):
    """A worker ended or did not answer."""


class Team:
    """Workers that run as long as the context lasts.

    Args:
        network: Where they are; worker i is on host i.
        workers: How many.
    """

    def __init__(self, network: ShapedNetwork | Loopback, workers: int) -> None:
        self._network, self._workers = network, workers
        self._processes: list[subprocess.Popen[bytes]] = []
        self._folder = tempfile.TemporaryDirectory(prefix="groupnl-traffic-")
        self._door = socket.socket(socket.AF_UNIX)
        self._connection: socket.socket | None = None
        self._answers: TextIO | None = None

    def __enter__(self) -> "Team":
        try:
            self._start()
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if self._connection is not None:
            self._connection.shutdown(socket.SHUT_RDWR)  # no more orders
            self._connection.close()
        deadline = time.monotonic() + (30 if kind is None else 0)
        for process in self._processes:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.terminate()  # torchrun ends its worker
        for process in self._processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._door.close()
        self._folder.cleanup()

    def order(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Have all workers do something.

        Raises:
            TeamFailedError: They could not; the last lines that a worker wrote are in the message.
        """
        assert self._connection is not None
        assert self._answers is not None
        try:
            self._connection.sendall((json.dumps({"do": do, **arguments}) + "\n").encode())
            line = self._answers.readline()
        except OSError:
            line = ""
        if not line:
            raise TeamFailedError(f"{do} {arguments}: {self._last_words()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _start(self) -> None:
        path = str(Path(self._folder.name) / "orders")
        self._door.bind(path)
        self._door.listen(1)
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "GLOO_SOCKET_IFNAME": self._network.interface,
            "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
        }
        for rank in range(self._workers):
            torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "1"]
            place = ["--nnodes", str(self._workers), "--node-rank", str(rank)]
            meeting = ["--master-addr", self._network.address(0), "--master-port", str(MASTER_PORT)]
            worker = ["-m", "benchmarks.traffic_worker", path, self._network.interface]
            with self._log(rank).open("wb") as log:
                process = subprocess.Popen(
                    [*self._network.command(rank), *torchrun, *place, *meeting, *worker],
                    cwd=ROOT,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,  # Ctrl-C is ours: the team is ended in order
                )
            self._processes.append(process)
        self._door.settimeout(1)
        deadline = time.monotonic() + START_SECONDS
        while self._connection is None:
            try:
                self._connection, _ = self._door.accept()
            except TimeoutError:
                ended = any(process.poll() is not None for process in self._processes)
                if ended or time.monotonic() > deadline:
                    raise TeamFailedError(f"{self._workers} workers did not start: {self._last_words()}") from None
        self._connection.settimeout(ORDER_SECONDS)
        self._answers = self._connection.makefile("r")

    def _log(self, rank: int) -> Path:
        return Path(self._folder.name) / f"worker{rank}.log"

    def _last_words(self) -> str:
        time.sleep(1)  # for the others to write theirs
        logs = [self._log(rank).read_text(errors="replace").strip() for rank in range(len(self._processes))]
        return (
            "\n".join(f"worker {rank}: ...{log[-1500:]}" for rank, log in enumerate(logs) if log)[-6000:]
            or "nothing said"
        )
