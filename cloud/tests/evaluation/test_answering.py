"""Runs that are killed go on; images are read ahead, each batch once."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from groupnl.data import ImageSet
from groupnl.evaluation import CLEAN, Answers, answering, evaluate
from groupnl_device.preprocessing import Preprocessing

SCRIPT = Path(__file__).with_name("killable.py")


def run(*commands: tuple[Path, int]) -> list[dict[str, Any]]:
    """Evaluations, one after another, each in a process that kills itself at its n-th event; 0: never."""
    command = [sys.executable, str(SCRIPT), json.dumps([[str(folder), kill_at] for folder, kill_at in commands])]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_killed_run_goes_on_and_finds_the_same(tmp_path: Path) -> None:
    # each run gets a little further: in a batch, before and after a file, in the next condition
    kills = [(tmp_path / "killed", kill_at) for kill_at in (1, 2, 6, 9, 12, 3)]
    whole, *killed, last = run((tmp_path / "whole", 0), *kills, (tmp_path / "killed", 0))
    assert whole["events"] > 25
    assert [one["killed_by"] for one in killed] == [signal.SIGKILL] * len(kills)
    assert last["killed_by"] is None
    assert last["events"] < whole["events"] - 5  # it did not begin again
    assert last["result"] == whole["result"]
    ours, theirs = Answers.load(tmp_path / "killed"), Answers.load(tmp_path / "whole")
    assert list(ours.given) == list(theirs.given)
    for condition, answers in theirs.given.items():
        assert np.array_equal(ours.given[condition], answers)
    left = {path.name for path in (tmp_path / "killed").iterdir()} - {
        path.name for path in (tmp_path / "whole").iterdir()
    }
    assert left <= {f".{name}.tmp" for name in ("about.json", "labels.npy", "clean.npy", "gaussian_noise-1.npy")}


def test_each_image_is_read_once_while_the_batch_before_is_answered(
    flat: ImageSet, plain: Preprocessing, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[int] = []
    second = threading.Event()

    def read(_self: Any, _condition: Any, batch: range) -> Tensor:
        reads.append(batch.start)
        if batch.start == 2:
            second.set()
        return flat.images[batch.start : batch.stop]

    def net(images: Tensor) -> Tensor:
        assert second.wait(30)  # while the first batch is being answered, the second is read
        return torch.zeros(len(images), 3)

    monkeypatch.setattr("groupnl.evaluation.sources.Generated.read", read)
    evaluate(net, flat, preprocessing=plain, corruptions=(), batch_size=2)
    assert reads == [0, 2, 4]


def test_an_error_while_reading_comes_out(flat: ImageSet, plain: Preprocessing, monkeypatch) -> None:
    def broken(_self: Any, _condition: Any, batch: range) -> Tensor:
        if batch.start == 4:
            raise ValueError("picture 4 is damaged")
        return flat.images[batch.start : batch.stop]

    monkeypatch.setattr("groupnl.evaluation.sources.Generated.read", broken)
    with pytest.raises(ValueError, match="picture 4 is damaged"):
        evaluate(lambda images: torch.zeros(len(images), 3), flat, preprocessing=plain, corruptions=(), batch_size=2)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_confidence_is_the_highest_probability_of_the_softmax(dtype: torch.dtype) -> None:
    logits = torch.randn(50, 7, generator=torch.Generator().manual_seed(0)).mul(5).to(dtype)
    found = answering._probability_of_the_highest(logits)
    exact = np.exp(logits.double().numpy())
    assert found.double().numpy() == pytest.approx((exact / exact.sum(1, keepdims=True)).max(1), rel=1e-5)


def test_infinite_logits_have_a_confidence(flat: ImageSet, plain: Preprocessing, tmp_path: Path) -> None:
    rows = torch.tensor([[float("-inf"), 0, float("inf")], [0, float("-inf"), float("-inf")], [float("-inf")] * 3])
    assert answering._probability_of_the_highest(rows).tolist() == pytest.approx([1, 1, 1 / 3])
    huge = torch.tensor([[1e30, -1e30, 0.0]])
    found = evaluate(
        lambda x: huge.expand(len(x), 3),
        flat,
        preprocessing=plain,
        corruptions=(),
        answers_dir=tmp_path / "a",
        net_id="huge",
    )
    assert found.clean_ece == pytest.approx(1 - 2 / 6)
    assert Answers.load(tmp_path / "a").given[CLEAN]["confidence"].tolist() == [1.0] * 6


def test_ties_go_to_the_first_class(flat: ImageSet, plain: Preprocessing) -> None:
    assert evaluate(
        nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), flat, preprocessing=plain, corruptions=()
    ).clean_accuracy == pytest.approx(2 / 6)
