"""States come back as they were, run no code, and say what differs."""

import errno
import os
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from groupnl.training import TrainingError
from groupnl.training.state import RunState, check_same_run, load_state, save_state

CONFIG = {"lr": 0.1, "epochs": 3, "checkpoint_epochs": 1, "checkpoint_seconds": None}


def state(**changes: Any) -> RunState:
    values: dict[str, Any] = {
        "config": CONFIG,
        "data": {"training set": {"name": "tiny", "sha256": "00"}},
        "epoch": 1,
        "index": 2,
        "step": 7,
        "model": OrderedDict(weight=torch.arange(6.0).view(2, 3), _extra_state=torch.tensor([1, 2], dtype=torch.uint8)),
        "ema": None,
        "optimizer": {"state": {0: {"momentum_buffer": torch.ones(2)}}, "param_groups": [{"lr": 0.1, "params": [0]}]},
        "scaler": {"scale": 65536.0},
        "totals": torch.tensor([1.5, 2.0, 8.0], dtype=torch.float64),
        "seconds": 1.25,
        "history": [{"epoch": 1, "test_accuracy": None}],
    }
    return RunState(**{**values, **changes})


def test_comes_back_as_it_was(tmp_path: Path) -> None:
    saved = state()
    save_state(saved, tmp_path / "state.pt")
    loaded = load_state(tmp_path / "state.pt")
    assert str(vars(loaded)) == str(vars(saved))
    assert torch.equal(loaded.model["weight"], saved.model["weight"])
    assert loaded.totals.dtype == torch.float64


class Malice:
    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("attacked"),)


def test_no_code_in_a_state_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"format": 1, "model": Malice()}, tmp_path / "state.pt")
    with pytest.raises(TrainingError, match=r"cannot read .*state\.pt"):
        load_state(tmp_path / "state.pt")
    (tmp_path / "state.pt").write_bytes(pickle.dumps(Malice(), protocol=2))
    with pytest.raises(TrainingError, match=r"cannot read .*state\.pt"):
        load_state(tmp_path / "state.pt")
    assert not (tmp_path / "attacked").exists()


@pytest.mark.parametrize("share", [0.0, 0.3, 0.95])
def test_a_damaged_state_is_refused(share: float, tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    save_state(state(), path)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(TrainingError, match=r"cannot read .*; start the run again in a new folder"):
        load_state(path)


@pytest.mark.parametrize("content", [{"weight": torch.ones(1)}, torch.ones(1), {"format": 1, "torch": "2", "epoch": 1}])
def test_something_else_is_refused(content: object, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "state.pt")
    with pytest.raises(TrainingError, match="is not the state of a run"):
        load_state(tmp_path / "state.pt")


def test_another_format_is_refused(tmp_path: Path) -> None:
    torch.save({"format": 2, "torch": "9"}, tmp_path / "state.pt")
    with pytest.raises(TrainingError, match="has format 2, this version reads 1"):
        load_state(tmp_path / "state.pt")


@pytest.mark.parametrize("value", [np.float64(1.0), torch.Size([1]), torch.float32, {1, 2}, b"bytes"])
def test_what_could_not_be_read_back_is_not_written(value: object, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"state\['model'\]\['layer._extra_state'\].* cannot be saved"):
        save_state(state(model={"layer._extra_state": value}), tmp_path / "state.pt")
    assert not list(tmp_path.iterdir())


def test_a_full_disk_leaves_the_last_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "state.pt"
    save_state(state(), path)

    class FullDisk:
        def __init__(self, file: Any) -> None:
            self.file, self.room = file, 300

        def write(self, data: bytes) -> int:
            self.room -= len(data)
            if self.room < 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return int(self.file.write(data))

        def __getattr__(self, name: str) -> Any:
            return getattr(self.file, name)

    torch_save = torch.save
    monkeypatch.setattr(torch, "save", lambda content, file: torch_save(content, FullDisk(file)))
    with pytest.raises(TrainingError, match=r"cannot write .*state\.pt: .*the previous one is intact\. Make room"):
        save_state(state(step=8), path)
    assert load_state(path).step == 7
    assert [entry.name for entry in tmp_path.iterdir()] == ["state.pt"]


def check(config: dict[str, Any] = CONFIG, **changes: Any) -> None:
    arguments: dict[str, Any] = {"data": state().data, "model": state().model, **changes}
    check_same_run(state(), config=config, **arguments)


def test_how_often_it_is_saved_may_change() -> None:
    check({**CONFIG, "checkpoint_epochs": 5, "checkpoint_seconds": 60.0})


def test_a_setting_newer_than_the_run_was_at_its_default() -> None:
    check({**CONFIG, "augment": "plain"})
    with pytest.raises(ValueError, match="augment was plain, now augmix"):
        check({**CONFIG, "augment": "augmix"})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"config": {**CONFIG, "lr": 0.2}}, r"lr was 0\.1, now 0\.2"),
        ({"config": {**CONFIG, "lr": 0.2, "epochs": 4}}, r"lr was 0\.1, now 0\.2; epochs was 3, now 4"),
        ({"config": {**CONFIG, "nesterov": True}}, "nesterov was absent, now True"),
        ({"data": {"training set": {"name": "other"}}}, "training set was .*'tiny'.* now .*'other'"),
        (
            {"model": {"weight": torch.zeros(3, 2), "_extra_state": torch.zeros(1)}},
            r"net's weight was \(2, 3\), now \(3, 2\)",
        ),
        ({"model": {"weight": torch.zeros(2, 3)}}, r"net's _extra_state was \(2,\), now absent"),
        ({"model": {f"w{i}": torch.zeros(1) for i in range(9)}}, "and 6 more"),
    ],
)
def test_what_differs_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check(**changes)
