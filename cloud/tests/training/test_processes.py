"""Several processes, started as torchrun would start them, against one; refusals of what cannot be shared out."""

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from groupnl.training.processes import check_shares, create_accelerator

MIXED = {"ema_decay": 0.9, "mixup_alpha": 0.5, "cutmix_alpha": 1.0, "clip_grad": 1.0}
# One epoch: roundings of 1e-6 in a step's gradient grow a thousandfold in three.
AUGMENTED = {"augment": "augmix", "epochs": 1}
NET = {"norm": "group"}  # batch norm would see half of each batch in each process


@pytest.mark.parametrize("config", [MIXED, AUGMENTED], ids=["mixed", "augmix"])
def test_two_processes_match_one_on_the_same_global_batch(
    config: dict[str, Any], server: Any, runs: ModuleType, tmp_path: Path
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    assert server.run({"dir": str(one), "config": config, "net": NET}) == [0]
    assert server.run(*runs.two_processes({"dir": str(two), "config": config, "net": NET})) == [0, 0]
    for name, tensor in runs.weights(two).items():
        torch.testing.assert_close(tensor, runs.weights(one)[name], rtol=1e-4, atol=1e-6)
    for ours, theirs in zip(runs.log_without_times(two), runs.log_without_times(one), strict=True):
        assert {name: ours[name] for name in ours if theirs[name] is not None} == pytest.approx(
            {name: value for name, value in theirs.items() if value is not None}, rel=1e-4
        )


def test_two_processes_resume_within_an_epoch(server: Any, runs: ModuleType, tmp_path: Path) -> None:
    # Six steps an epoch; several processes look at the clock every 20 steps: after the fourth epoch's second step.
    config = {"ema_decay": 0.9, "batch_size": 6, "epochs": 5, "checkpoint_seconds": 0.0}
    whole, killed, report = tmp_path / "whole", tmp_path / "killed", tmp_path / "report.json"
    commands = {"config": config, "net": {"dropout": 0.2}}  # batch norm: its statistics differ between the processes
    assert server.run(*runs.two_processes({"dir": str(whole), **commands})) == [0, 0]
    statuses = server.run(*runs.two_processes({"dir": str(killed), **commands, "kill_at_step": 22}))
    assert runs.KILLED in statuses
    assert not (killed / "result.json").exists()
    assert server.run(*runs.two_processes({"dir": str(killed), **commands, "report": str(report)})) == [0, 0]
    assert json.loads(report.read_text())["resumed_from_step"] == 20
    runs.assert_same(killed, whole)


def test_fp16_needs_a_gpu(tiny: ModuleType) -> None:
    with pytest.raises(ValueError, match=r"precision='fp16' does not work on this device"):
        create_accelerator(tiny.config(precision="fp16"))


def test_precision_may_change_from_run_to_run(tiny: ModuleType) -> None:
    assert create_accelerator(tiny.config(precision="bf16")).mixed_precision == "bf16"
    assert create_accelerator(tiny.config(precision="fp32")).mixed_precision == "no"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 9}, "batch_size=9: expected a multiple of the 2 processes"),
        ({"batch_size": 10, "mixup_alpha": 0.2}, "batch_size=10 over 2 processes is 5 images each"),
    ],
)
def test_batch_that_cannot_be_shared(changes: dict[str, Any], message: str, tiny: ModuleType) -> None:
    with pytest.raises(ValueError, match=message):
        check_shares(tiny.config(**changes), 2)


def test_processes_that_do_not_know_each_other_are_refused(tiny: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    assert create_accelerator(tiny.config()).num_processes == 1
    monkeypatch.setenv("WORLD_SIZE", "2")  # too late: they would train apart, in one folder
    with pytest.raises(ValueError, match="WORLD_SIZE says 2 processes, but Accelerate was set up for 1"):
        create_accelerator(tiny.config())
