"""Two processes against one: the same figures, to the bit."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from groupnl.data import ImageSet
from groupnl.evaluation import Answers, evaluate
from groupnl.evaluation.processes import Processes
from groupnl_device.preprocessing import Preprocessing

SCRIPT = Path(__file__).with_name("two_processes.py")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[dict[str, Any]], Path]:
    """What two processes of a gloo group found, each, and what alone; and where the answers are."""
    folder = tmp_path_factory.mktemp("two")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(folder)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return [json.loads((folder / name).read_text()) for name in ("0.json", "1.json", "alone.json")], folder


def test_both_processes_find_what_one_finds(results: tuple[list[dict[str, Any]], Path]) -> None:
    first, second, alone = results[0]
    assert first["result"] == second["result"] == alone["result"]


def test_the_answers_are_the_same(results: tuple[list[dict[str, Any]], Path]) -> None:
    ours, theirs = (Answers.load(results[1] / name) for name in ("together", "alone"))
    assert list(ours.given) == list(theirs.given)
    for condition, answers in theirs.given.items():
        assert np.array_equal(ours.given[condition], answers), condition


def test_the_work_was_shared_and_told_by_one(results: tuple[list[dict[str, Any]], Path]) -> None:
    first, second, alone = results[0]
    assert alone["batches"] == 5 * 3  # 11 images by 4, clean and 2 x 2 conditions
    assert (first["batches"], second["batches"]) == (5 * 2, 5 * 1)
    assert first["progress"][-1][1:] == [55, 55]
    assert [done for _, done, _ in first["progress"]] == sorted(done for _, done, _ in first["progress"])
    assert second["progress"] == []


def test_two_processes_go_on_with_what_is_there(results: tuple[list[dict[str, Any]], Path]) -> None:
    first, second, alone = results[0]
    assert first["resumed"] == second["resumed"] == alone["result"]
    assert (first["batches_resumed"], second["batches_resumed"]) == (2, 1)  # one condition was missing


def test_other_weights_in_one_process_are_refused(results: tuple[list[dict[str, Any]], Path]) -> None:
    assert results[0][0]["refused"] is None
    assert "process 1 has another net than process 0: load the same in all" in results[0][1]["refused"]


def test_without_a_group_it_is_refused(net: nn.Module, flat: ImageSet, plain: Preprocessing) -> None:
    with pytest.raises(ValueError, match=r"expected torch\.distributed\.init_process_group\(\) to be called before"):
        evaluate(net, flat, preprocessing=plain, corruptions=(), distributed=True)


def test_alone_everything_is_ones_own() -> None:
    alone = Processes.find(False)
    assert all(alone.has(number) for number in range(5))
    assert alone.smallest(3) == alone.from_first(3) == 3
    assert alone.summed(torch.arange(3)).tolist() == [0, 1, 2]
