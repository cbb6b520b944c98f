"""The engine against a plain loop, and what it does when something goes wrong."""

import copy
import errno
import json
import math
import os
import signal
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from groupnl.training import TrainConfig, TrainingError, TrainResult, learner, train
from groupnl.training.feed import Feed, Normalizer

Start = Callable[..., TrainResult]


@pytest.fixture
def start(tiny: ModuleType, tmp_path: Path) -> Start:
    """Train the tiny net in tmp_path/run."""

    def run(**changes: Any) -> TrainResult:
        arguments: dict[str, Any] = {
            "model": tiny.net(),
            "train_set": tiny.image_set(),
            "test_set": tiny.image_set(16, split="test", seed=1),
            "config": tiny.config(),
            "run_dir": tmp_path / "run",
            "preprocessing": tiny.PREPROCESSING,
            "save": tiny.save,
            **changes,
        }
        return train(**arguments)

    return run


def test_the_result_has_the_gap_between_training_set_and_test_set(start: Start, tiny: ModuleType) -> None:
    train_set, test_set = tiny.image_set(), tiny.image_set(16, split="test", seed=1)
    net = tiny.net()
    result = start(model=net, config=tiny.config(ema_decay=0.9, augment="augmix"))

    def accuracy(data: Any) -> float:
        images = torch.from_numpy(tiny.PREPROCESSING.normalize(data.images.numpy()))
        with torch.no_grad():
            return float((net(images).argmax(1) == data.labels).float().mean())

    assert result.train_set_accuracy == pytest.approx(accuracy(train_set))
    assert result.train_minus_test == pytest.approx(accuracy(train_set) - accuracy(test_set))
    assert [record.train_set_accuracy is None for record in result.history] == [True, True, False]
    written = json.loads((result.run_dir / "result.json").read_text())
    assert written["train_minus_test"] == result.train_minus_test
    assert start(model=tiny.net(), test_set=None, run_dir=result.run_dir.parent / "untested").train_minus_test is None


def plain_loop(tiny: ModuleType, config: TrainConfig) -> dict[str, Tensor]:
    """The same training in plain PyTorch, on the batches of Feed; returns the weights that should be saved."""
    net = tiny.net()
    feed = Feed(tiny.image_set(), Normalizer(tiny.PREPROCESSING, torch.device("cpu"), channels_last=False), config)
    matrices = [p for p in net.parameters() if p.ndim > 1]
    vectors = [p for p in net.parameters() if p.ndim == 1]
    groups = [{"params": matrices, "weight_decay": config.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    optimizer: torch.optim.Optimizer
    if config.optimizer == "sgd":
        optimizer = torch.optim.SGD(groups, lr=1.0, momentum=config.momentum, nesterov=True)
    else:
        optimizer = torch.optim.AdamW(groups, lr=1.0)
    average = copy.deepcopy(net)
    total, warmup = config.epochs * feed.steps_per_epoch, round(config.warmup_epochs * feed.steps_per_epoch)
    for step in range(total):
        cosine = (1 + math.cos(math.pi * (step - warmup) / (total - warmup))) / 2
        lr = config.lr * (step + 1) / (warmup + 1) if step < warmup else config.lr * cosine
        for group in optimizer.param_groups:
            group["lr"] = lr
        batch = feed.batch(step // feed.steps_per_epoch, step % feed.steps_per_epoch)
        loss = F.cross_entropy(net(batch.images), batch.labels, label_smoothing=config.label_smoothing)
        optimizer.zero_grad()
        loss.backward()
        if config.clip_grad is not None:
            nn.utils.clip_grad_norm_(net.parameters(), config.clip_grad)
        optimizer.step()
        if config.ema_decay is not None:
            decay = min(config.ema_decay, 1 - (1 + step) ** (-2 / 3)) if step else 0.0
            for ours, theirs in zip(average.state_dict().values(), net.state_dict().values(), strict=True):
                new = decay * ours + (1 - decay) * theirs if ours.is_floating_point() else theirs
                ours.copy_(new)
    return (net if config.ema_decay is None else average).state_dict()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"label_smoothing": 0.1, "clip_grad": 0.5, "weight_decay": 0.05, "warmup_epochs": 1.2, "epochs": 5},
        {"ema_decay": 0.8, "momentum": 0.5},
        {"optimizer": "adamw", "lr": 0.01, "weight_decay": 0.1},
        {"channels_last": False},
    ],
    ids=str,
)
def test_weights_are_those_of_a_plain_loop(changes: dict[str, Any], start: Start, tiny: ModuleType) -> None:
    config = tiny.config(**changes)
    net = tiny.net()
    result = start(model=net, config=config)
    expected = plain_loop(tiny, config)
    for name, tensor in net.state_dict().items():
        torch.testing.assert_close(tensor, expected[name], rtol=1e-4, atol=1e-5, msg=name)
    assert not net.training
    assert result.steps == config.epochs * 5


def test_result_log_and_files_agree(start: Start, tiny: ModuleType, runs: ModuleType, tmp_path: Path) -> None:
    net, config = tiny.net(), tiny.config(epochs=12, test_every=5, ema_decay=0.7, weight_decay=0.0)
    result = start(model=net, config=config, test_set=tiny.image_set(16, split="test", seed=1))
    run = tmp_path / "run"
    assert sorted(path.name for path in run.iterdir()) == [
        *("config.json", "log.jsonl", "model.safetensors"),
        *("result.json", "state.pt", "tensorboard"),
    ]
    history = [record.to_dict() for record in result.history]
    assert [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()] == history
    assert json.loads((run / "result.json").read_text()) == result.to_dict()
    assert json.loads((run / "config.json").read_text())["config"] == config.to_dict()
    assert [record["epoch"] for record in history if record["test_accuracy"] is not None] == [5, 10, 12]
    assert result.test_accuracy is not None
    assert result.test_accuracy > 0.6  # chance is 0.25
    test_set = tiny.image_set(16, split="test", seed=1)
    images = torch.from_numpy(tiny.PREPROCESSING.normalize(test_set.images.numpy()))
    with torch.no_grad():  # the weights that were tested are those that were saved and those in the net
        assert (net(images).argmax(1) == test_set.labels).float().mean().item() == result.test_accuracy
    for name, tensor in runs.weights(run).items():
        assert torch.equal(tensor, net.state_dict()[name])
    assert result.checkpoint == run / "model.safetensors"
    assert result.resumed_from_step == 0
    assert result.seconds == pytest.approx(sum(40 / record["images_per_second"] for record in history))


def test_bf16_trains_close_to_fp32(start: Start, tiny: ModuleType, tmp_path: Path) -> None:
    nets = [tiny.net(), tiny.net()]
    for net, precision in zip(nets, ("fp32", "bf16"), strict=True):
        start(model=net, config=tiny.config(precision=precision), run_dir=tmp_path / precision)
    weights = [torch.cat([p.detach().flatten() for p in net.parameters()]) for net in nets]
    assert not torch.equal(*weights)
    assert (weights[0] - weights[1]).norm() < 0.02 * weights[0].norm()


def test_the_callers_random_numbers_are_not_disturbed(start: Start, tiny: ModuleType, tmp_path: Path) -> None:
    torch.manual_seed(11)
    expected = torch.rand(4)
    torch.manual_seed(11)
    start(model=tiny.net(dropout=0.3))
    assert torch.equal(torch.rand(4), expected)


def test_dropout_follows_the_runs_seed(start: Start, tiny: ModuleType, runs: ModuleType, tmp_path: Path) -> None:
    for run in ("first", "second"):
        torch.rand(3)  # the global generator stands elsewhere
        start(model=tiny.net(dropout=0.3), run_dir=tmp_path / run)
    start(model=tiny.net(dropout=0.0), run_dir=tmp_path / "third")
    first, second, third = (runs.weights(tmp_path / run)["6.weight"] for run in ("first", "second", "third"))
    assert torch.equal(first, second)
    assert not torch.equal(first, third)


def test_without_test_set_and_save(start: Start, tmp_path: Path) -> None:
    result = start(test_set=None, save=None)
    assert result.test_accuracy is None
    assert result.checkpoint is None
    assert not (tmp_path / "run" / "model.safetensors").exists()


def test_a_run_is_not_overwritten(start: Start, tmp_path: Path) -> None:
    start()
    with pytest.raises(ValueError, match="already holds a run, and runs are never overwritten"):
        start()


def test_a_finished_run_gives_its_result_and_weights(
    start: Start, tiny: ModuleType, runs: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = start(save=None, config=tiny.config(ema_decay=0.9))
    net = tiny.net(seed=5)
    again = start(model=net, resume=True, config=tiny.config(ema_decay=0.9))
    assert again.already_finished
    assert again.history == first.history
    assert again.resumed_from_step == 15
    assert again.checkpoint is not None  # there was none, and now something to save it with
    assert torch.equal(runs.weights(tmp_path / "run")["0.weight"], net[0].weight)
    output = capsys.readouterr()
    assert "is already finished: nothing to do" in output.err
    assert output.out == ""


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"config": {"lr": 0.01}}, r"lr was 0\.05, now 0\.01"),
        ({"config": {"epochs": 4}}, "epochs was 3, now 4"),
        ({"data": {"seed": 3}}, "training set was"),
        ({"net": {"norm": "group"}}, r"net's 1\.running_mean was \(8,\), now absent"),
    ],
)
def test_resuming_with_something_else_is_refused(
    changes: dict[str, Any], message: str, start: Start, tiny: ModuleType
) -> None:
    start()
    with pytest.raises(ValueError, match=message):
        start(
            config=tiny.config(**changes.get("config", {})),
            train_set=tiny.image_set(**changes.get("data", {})),
            model=tiny.net(**changes.get("net", {})),
            resume=True,
        )


def test_a_net_may_refuse_the_state(start: Start, tiny: ModuleType) -> None:
    class Refusing(nn.Sequential):
        def load_state_dict(self, *args: Any, **kwargs: Any) -> Any:
            raise RuntimeError("the hyperparameters differ")

    start()
    with pytest.raises(ValueError, match="state does not fit the net that was given: the hyperparameters differ"):
        start(model=Refusing(*tiny.net()), resume=True)


def test_divergence_names_the_step_and_keeps_the_last_good_state(
    start: Start, tiny: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = learner.Learner.step

    def spoil(self: learner.Learner, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        loss, logits = step(self, *args, **kwargs)
        return (loss * math.nan if kwargs["step"] == 7 else loss), logits

    monkeypatch.setattr(learner.Learner, "step", spoil)
    with pytest.raises(TrainingError, match=r"loss of step 7 \(epoch 2\) is not finite; the last good .* lower lr"):
        start()
    kept = torch.load(tmp_path / "run" / "state.pt", weights_only=True)
    assert kept["step"] == 5
    assert len((tmp_path / "run" / "log.jsonl").read_text().splitlines()) == 1


def test_real_divergence(start: Start, tiny: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"(loss of step \d+ .* is|weights are) not finite"):
        start(config=tiny.config(lr=1e30, checkpoint_seconds=0.0))
    kept = torch.load(tmp_path / "run" / "state.pt", weights_only=True)
    assert all(tensor.isfinite().all() for tensor in kept["model"].values())


def test_weights_that_are_not_finite_are_never_saved(start: Start, tiny: ModuleType, tmp_path: Path) -> None:
    net = tiny.net()
    with torch.no_grad():
        net[6].bias[0] = math.inf
    with pytest.raises(TrainingError, match="weights are not finite after 0 steps; no state was saved"):
        start(model=net)


def test_a_full_disk_stops_the_run_and_spoils_nothing(
    start: Start, runs: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch_save, calls = torch.save, []

    def failing(content: Any, file: Any) -> None:
        calls.append(content)
        if len(calls) == 3:
            file.write(b"half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        torch_save(content, file)

    monkeypatch.setattr(torch, "save", failing)
    with pytest.raises(TrainingError, match=r"No space left on device; the previous one is intact\. Make room"):
        start()
    assert torch.load(tmp_path / "run" / "state.pt", weights_only=True)["epoch"] == 1
    monkeypatch.undo()
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    assert start(resume=True).resumed_from_step == 5
    start(run_dir=tmp_path / "undisturbed")
    runs.assert_same(tmp_path / "run", tmp_path / "undisturbed")


def test_ctrl_c_saves_the_step_and_stops(
    start: Start, runs: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    step = learner.Learner.step

    def interrupt(self: learner.Learner, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        if kwargs["step"] == 6:
            signal.raise_signal(signal.SIGINT)
        return step(self, *args, **kwargs)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore Ctrl-C
    try:
        with monkeypatch.context() as patch:
            patch.setattr(learner.Learner, "step", interrupt)
            with pytest.raises(KeyboardInterrupt):
                start()
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert "stopped after step 7; go on with resume=True (--resume)" in capsys.readouterr().err
    assert start(resume=True, progress=False).resumed_from_step == 7
    assert capsys.readouterr().err == ""
    start(run_dir=tmp_path / "undisturbed")
    runs.assert_same(tmp_path / "run", tmp_path / "undisturbed")


@pytest.mark.long
def test_compiled_training_is_close_to_eager(start: Start, tiny: ModuleType, tmp_path: Path) -> None:
    nets = [tiny.net(), tiny.net()]
    for net, compiled in zip(nets, (False, True), strict=True):
        start(model=net, config=tiny.config(compile=compiled), run_dir=tmp_path / str(compiled))
    for name, tensor in nets[1].state_dict().items():
        torch.testing.assert_close(tensor, nets[0].state_dict()[name], rtol=1e-3, atol=1e-4)
