"""Learning from a teacher: the loss in plain numpy, a teacher that nothing changes, runs that resume only with it."""

import copy
import dataclasses
import json
import math
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from groupnl.models import create_model
from groupnl.training import TrainResult, train
from groupnl.training.distillation import create_task, describe_teacher, with_distillation
from groupnl.training.feed import Feed, Normalizer
from groupnl.training.mixing import mix_targets

CPU = torch.device("cpu")
MIXING = {"mixup_alpha": 0.5, "cutmix_alpha": 1.0, "label_smoothing": 0.1}


class Start:
    """Trains the tiny net in a folder, without a test set."""

    def __init__(self, tiny: ModuleType, folder: Path) -> None:
        self.tiny, self.folder = tiny, folder

    def __call__(self, teacher: nn.Module | None, *, run: str = "run", **changes: Any) -> TrainResult:
        arguments: dict[str, Any] = {
            "model": self.tiny.net(),
            "config": self.tiny.config(),
            "save": self.tiny.save,
            "preprocessing": self.tiny.PREPROCESSING,
            **changes,
        }
        return train(
            train_set=self.tiny.image_set(), test_set=None, run_dir=self.folder / run, teacher=teacher, **arguments
        )


@pytest.fixture
def start(tiny: ModuleType, tmp_path: Path) -> Start:
    return Start(tiny, tmp_path)


def softmax(logits: Any) -> Any:
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def expected_loss(student: Tensor, teacher: Tensor, targets: Tensor, weight: float, temperature: float) -> float:
    """``w CE + (1 - w) T^2 KL`` of logits (N, K) and target distributions (N, K), in float64."""
    s, t, y = (tensor.detach().double().numpy() for tensor in (student, teacher, targets))
    task = -(y * np.log(softmax(s))).sum(axis=1).mean()
    p, q = softmax(t / temperature), softmax(s / temperature)
    divergence = (p * np.log(p / q)).sum(axis=1).mean()
    return float(weight * task + (1 - weight) * temperature**2 * divergence)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize(("weight", "temperature"), [(None, None), (0.0, 1.0), (0.6, 2.5)])
@pytest.mark.parametrize("mixing", [{}, MIXING], ids=["labels", "mixed"])
def test_loss_is_that_of_the_formula(
    mixing: dict[str, float], weight: float | None, temperature: float | None, precision: str, tiny: ModuleType
) -> None:
    config = tiny.config(task_loss_weight=weight, distill_temperature=temperature, **mixing)
    student, teacher = tiny.net(seed=1), tiny.net(seed=2).eval()
    student[6].weight.data *= 20  # far from uniform answers, else all losses are alike
    teacher[6].weight.data *= 20
    config = with_distillation(config, teacher)
    batch = Feed(tiny.image_set(), Normalizer(tiny.PREPROCESSING, CPU, channels_last=False), config).batch(0, 0)
    targets = nn.functional.one_hot(batch.labels, tiny.CLASSES).float()
    if batch.mix is not None:
        targets = mix_targets(batch.labels, batch.mix, classes=tiny.CLASSES, smoothing=0.1)
    task = create_task(student, teacher, config, CPU)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16"):
        output = task(batch.images, batch.labels if batch.mix is None else targets)
        with torch.no_grad():
            answers = copy.deepcopy(student)(batch.images), teacher(batch.images)
    assert answers[0].dtype == (torch.bfloat16 if precision == "bf16" else torch.float32)
    expected = expected_loss(
        *answers, targets, 0.1 if weight is None else weight, 4.0 if temperature is None else temperature
    )
    assert output["loss"].item() == pytest.approx(expected, rel=1e-5)  # bfloat16 would be wrong by 1e-3
    output["loss"].backward()
    assert all(parameter.grad is not None for parameter in student.parameters())
    assert all(parameter.grad is None for parameter in teacher.parameters())


def test_a_teacher_takes_the_place_of_the_divergence(start: Start, tiny: ModuleType) -> None:
    with pytest.raises(ValueError, match=r"jsd_weight=12\.0 with a teacher, .*: give jsd_weight=0"):
        start(tiny.net(), config=tiny.config(augment="augmix"))
    result = start(tiny.net(seed=4), config=tiny.config(augment="augmix", jsd_weight=0.0))
    assert result.train_accuracy > 0


def test_weights_are_those_of_a_plain_loop(start: Start, tiny: ModuleType) -> None:
    config = with_distillation(tiny.config(optimizer="adamw", lr=0.01, weight_decay=0.0, warmup_epochs=0.0), tiny.net())
    teacher, ours, theirs = tiny.net(seed=3), tiny.net(), tiny.net()
    start(teacher, model=ours, config=config)
    feed = Feed(tiny.image_set(), Normalizer(tiny.PREPROCESSING, CPU, channels_last=False), config)
    optimizer = torch.optim.AdamW(theirs.parameters(), lr=0.01, weight_decay=0.0)
    teacher.eval()
    for step in range(15):
        optimizer.param_groups[0]["lr"] = 0.01 * (1 + math.cos(math.pi * step / 15)) / 2
        batch = feed.batch(step // 5, step % 5)
        answers = theirs(batch.images)
        with torch.no_grad():
            soft = (teacher(batch.images) / 4).softmax(1)
        divergence = (soft * (soft.log() - (answers / 4).log_softmax(1))).sum(1).mean()
        loss = 0.1 * nn.functional.cross_entropy(answers, batch.labels) + 0.9 * 16 * divergence
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    for name, tensor in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], tensor, rtol=1e-4, atol=1e-5, msg=name)


def test_the_teacher_stays_as_it_is_and_out_of_the_files(start: Start, tiny: ModuleType, tmp_path: Path) -> None:
    teacher, net = tiny.net(dropout=0.5, seed=3), tiny.net()
    teacher[1].eval()
    before = copy.deepcopy(teacher.state_dict())
    result = start(teacher, model=net, config=tiny.config(ema_decay=0.9))
    assert all(torch.equal(tensor, before[name]) for name, tensor in teacher.state_dict().items())
    assert [module.training for module in teacher] == [True, False, True, True, True, True, True]
    assert all(parameter.requires_grad and parameter.grad is None for parameter in teacher.parameters())
    assert sorted(net.state_dict()) == sorted(before)
    state = torch.load(tmp_path / "run" / "state.pt", weights_only=True)
    assert sorted(state["model"]) == sorted(state["ema"]) == sorted(before)
    assert len(state["optimizer"]["state"]) == len(list(net.parameters()))
    assert result.checkpoint is not None
    described = json.loads((tmp_path / "run" / "config.json").read_text())
    assert described["data"]["teacher"] == describe_teacher(teacher)
    assert (described["config"]["task_loss_weight"], described["config"]["distill_temperature"]) == (0.1, 4.0)


def test_a_student_of_wrong_labels_believes_its_teacher(start: Start, tiny: ModuleType) -> None:
    teacher, student = tiny.net(), tiny.net(seed=4)
    start(None, run="teacher", model=teacher, config=tiny.config(epochs=12))
    data, preprocessing = tiny.image_set(), tiny.PREPROCESSING
    images = Normalizer(preprocessing, CPU, channels_last=False)(data.images)

    def distance() -> float:
        """Mean total variation of the two nets' softened answers, in [0, 1]."""
        with torch.no_grad():
            answers = [(net.eval()(images) / 4).softmax(1) for net in (student, teacher)]
        return float((answers[0] - answers[1]).abs().sum(1).mean() / 2)

    before = distance()
    wrong = dataclasses.replace(data, labels=(data.labels + 1) % tiny.CLASSES)
    config = tiny.config(epochs=12, task_loss_weight=0.0)
    train(student, wrong, None, config, start.folder / "run", preprocessing=preprocessing, teacher=teacher)
    assert distance() < before / 4


def test_a_zoo_net_learns_from_another(start: Start, tiny: ModuleType) -> None:
    teacher, student = (create_model(name, num_classes=tiny.CLASSES) for name in ("resnet8", "groupnl_resnet8"))
    result = start(teacher, model=student, config=tiny.config(epochs=1, batch_size=20))
    assert result.steps == 2


def test_a_killed_run_resumes_bit_for_bit(server: Any, runs: ModuleType, tmp_path: Path) -> None:
    config = {"ema_decay": 0.9, "clip_grad": 1.0, "checkpoint_seconds": 0.0, **MIXING}
    whole, killed, report = tmp_path / "whole", tmp_path / "killed", tmp_path / "report.json"
    command = {"config": config, "net": {"dropout": 0.2}, "teacher": {"dropout": 0.2, "seed": 3}}
    assert server.run({"dir": str(whole), **command}) == [0]
    assert server.run({"dir": str(killed), **command, "kill_at_step": 8}) == [runs.KILLED]
    assert server.run({"dir": str(killed), **command, "report": str(report)}) == [0]
    assert json.loads(report.read_text())["resumed_from_step"] == 8
    runs.assert_same(killed, whole)
    assert server.run({"dir": str(tmp_path / "alone"), **{**command, "teacher": None}}) == [0]
    assert not torch.equal(runs.weights(whole)["0.weight"], runs.weights(tmp_path / "alone")["0.weight"])


def test_two_processes_match_one(server: Any, runs: ModuleType, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    net = {"norm": "group"}  # batch norm would see half of each batch in each process; the teacher's is frozen
    command = {"config": {"ema_decay": 0.9, **MIXING}, "net": net, "teacher": {"seed": 3}}
    assert server.run({"dir": str(one), **command}) == [0]
    assert server.run(*runs.two_processes({"dir": str(two), **command})) == [0, 0]
    for name, tensor in runs.weights(two).items():
        torch.testing.assert_close(tensor, runs.weights(one)[name], rtol=1e-4, atol=1e-6)


def test_a_run_resumes_with_its_teacher_only(start: Start, tiny: ModuleType) -> None:
    teacher = tiny.net(seed=3)
    start(teacher)
    start(copy.deepcopy(teacher).eval(), resume=True)  # the same weights are the same teacher
    with pytest.raises(ValueError, match=r"teacher was .*'Sequential'.*sha256.*now .*'Sequential'.*sha256"):
        start(tiny.net(seed=4), resume=True)
    with pytest.raises(ValueError, match=r"task_loss_weight was 0\.1, now None.*teacher was .*now None"):
        start(None, resume=True)


def test_every_weight_counts(tiny: ModuleType) -> None:
    teacher = tiny.net()
    original = describe_teacher(teacher)
    assert describe_teacher(copy.deepcopy(teacher).eval().requires_grad_(False)) == original
    assert original["parameters"] == 24 * 9 + 16 + 36
    changed = copy.deepcopy(teacher)
    changed[2] = nn.GELU()
    assert describe_teacher(changed) != original
    teacher[1].running_var[7] = torch.nextafter(teacher[1].running_var[7], torch.tensor(2.0))
    assert describe_teacher(teacher) != original
    seeded = [describe_teacher(create_model("groupnl_resnet8", seed=seed)) for seed in (0, 1)]
    assert seeded[0] != seeded[1]


@pytest.mark.parametrize("settings", [{"task_loss_weight": 0.5}, {"distill_temperature": 2.0}], ids=str)
def test_settings_without_a_teacher_are_refused(settings: dict[str, float], start: Start, tiny: ModuleType) -> None:
    name, value = next(iter(settings.items()))
    with pytest.raises(ValueError, match=f"{name}={value} without a teacher: give one"):
        start(None, config=tiny.config(**settings))


def test_a_teacher_that_does_not_fit_is_refused(start: Start, tiny: ModuleType, tmp_path: Path) -> None:
    message = r"the teacher Sequential gives \(2, 9\) for 2 images, expected logits of shape \(2, 4\)"
    with pytest.raises(ValueError, match=message):
        start(tiny.net(classes=9))
    with pytest.raises(ValueError, match="the teacher Sequential has parameters in float64: give the net in float32"):
        start(tiny.net().double())
    assert not (tmp_path / "run").exists()


@pytest.mark.long
def test_compiled_training_is_close_to_eager(start: Start, tiny: ModuleType) -> None:
    nets = [tiny.net(), tiny.net()]
    for net, compiled in zip(nets, (False, True), strict=True):
        start(tiny.net(seed=3), run=str(compiled), model=net, config=tiny.config(compile=compiled))
    for name, tensor in nets[1].state_dict().items():
        torch.testing.assert_close(tensor, nets[0].state_dict()[name], rtol=1e-3, atol=1e-4, msg=name)
