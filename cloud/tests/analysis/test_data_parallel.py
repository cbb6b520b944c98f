"""What DDP sends between two processes, and what it does not: the (period, shift) pairs."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).with_name("data_parallel.py")


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each of two processes has after three forward passes."""
    folder = tmp_path_factory.mktemp("two")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(folder)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]


def test_pairs_are_neither_parameters_nor_buffers(both: list[dict[str, Any]]) -> None:
    for found in both:
        assert found["buffers"] == ["1.running_mean", "1.running_var", "1.num_batches_tracked"]
        weights = [f"{layer}.seed_conv.{name}" for layer in (0, 2) for name in ("weight", "bias")]
        assert sorted(found["parameters"]) == sorted([*weights, "1.weight", "1.bias"])


def test_pairs_are_not_sent(both: list[dict[str, Any]]) -> None:
    """They stay as different as they were made, whether drawn from a seed or given."""
    first, second = both
    assert first["seeded"] == first["seeded_before"] != second["seeded_before"] == second["seeded"]
    assert first["explicit"] == [[1.0] * 4, [3.0] * 4]
    assert second["explicit"] == [[2.0] * 4, [4.0] * 4]


def test_weights_and_statistics_are(both: list[dict[str, Any]]) -> None:
    """The control: weights are equal after two steps, and the second process has the first one's statistics."""
    first, second = both
    assert first["weight"] == second["weight"]
    assert first["running_mean"] == second["running_mean"] == [5.0] * 8
