"""Runs in processes of their own, through run_server.py, and what makes two runs the same; loaded by conftest.py."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

KILLED = -signal.SIGKILL


class Server:
    """Talks to run_server.py."""

    def __init__(self) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        if torch.accelerator.is_available():  # without a GPU the engine itself must find the CPUs
            environment["ACCELERATE_USE_CPU"] = "true"
        script = str(Path(__file__).with_name("run_server.py"))
        self._process = subprocess.Popen(
            [sys.executable, script], env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def run(self, *commands: dict[str, Any]) -> list[int]:
        """Run all at the same time; their exit statuses."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(commands) + "\n")
        self._process.stdin.flush()
        statuses: list[int] = json.loads(self._process.stdout.readline())
        return statuses

    def close(self) -> None:
        """End the server."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)


def two_processes(command: dict[str, Any]) -> list[dict[str, Any]]:
    """The command for two data-parallel processes, with the variables that torchrun would set."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shared = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    return [{**command, "env": {**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)}} for rank in range(2)]


def weights(run_dir: Path) -> dict[str, torch.Tensor]:
    """The trained net's state dict."""
    return load_file(run_dir / "model.safetensors")


def log_without_times(run_dir: Path) -> list[dict[str, Any]]:
    """The log's records but for what a clock says; every epoch is there once."""
    records = [json.loads(line) for line in (run_dir / "log.jsonl").read_text().splitlines()]
    assert [record["epoch"] for record in records] == list(range(1, len(records) + 1))
    return [{k: v for k, v in record.items() if k not in ("seconds", "images_per_second")} for record in records]


def assert_same(run_dir: Path, reference: Path) -> None:
    """Bit-equal weights, equal logs, both finished."""
    ours, theirs = weights(run_dir), weights(reference)
    assert list(ours) == list(theirs)
    for name, tensor in ours.items():
        assert torch.equal(tensor, theirs[name]), name
    assert log_without_times(run_dir) == log_without_times(reference)
    assert (run_dir / "result.json").exists()
