"""The scheduler of experiments: order, budget, what is finished and what failed."""

import argparse
import time
from pathlib import Path
from typing import Any

import pytest
from benchmarks.experiments import FailedStepError, Task, missing, parse_budget, run_within

from benchmarks import experiments


class FakeRunner:
    def __init__(self, seconds: float = 0.0, failing: tuple[str, ...] = ()) -> None:
        self.seconds, self.failing, self.ran = seconds, failing, []

    def run(self, task: Task) -> dict[str, Any]:
        self.ran.append(task)
        time.sleep(self.seconds)
        if task.row.method in self.failing:
            raise FailedStepError("exit 1")
        return {"evaluation": {"clean_accuracy": 0.5, "mean_error": 0.6}}


@pytest.fixture
def tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Task]:
    monkeypatch.setattr(experiments, "RESULTS", tmp_path)
    return missing(["resnet18"])


def test_order_of_the_issue(tasks: list[Task]) -> None:
    labels = [(task.row.data, task.row.method, task.row.augment, task.seed) for task in tasks]
    assert labels[:6] == [("icons50", m, "plain", seed) for seed in (0, 1, 2) for m in ("vanilla", "groupnl-r2")]
    assert {label[0] for label in labels[6:12]} == {"cifar10"}
    firsts = [
        ("icons50", "vanilla", "plain", 0),
        ("cifar10", "vanilla", "plain", 0),
        ("icons50", "groupnl-identity", "plain", 0),
        ("icons50", "ghost", "plain", 0),
        ("icons50", "vanilla", "augmix", 0),
        ("icons50", "groupnl-rms", "plain", 0),
        ("icons50", "groupnl-g2", "plain", 0),
        ("gtsrb", "vanilla", "plain", 0),
    ]
    places = [labels.index(label) for label in firsts]
    assert places == sorted(places)


def test_a_finished_experiment_is_not_run_again(tasks: list[Task]) -> None:
    tasks[0].result.parent.mkdir(parents=True)
    tasks[0].result.write_text("{}")
    left = missing(["resnet18"])
    assert left == tasks[1:]
    assert missing(["resnet18"], only="gtsrb") == [task for task in tasks if task.row.data == "gtsrb"]
    wanted = ("vanilla", "groupnl-batch")
    assert missing(["resnet18"], methods=wanted) == [task for task in tasks[1:] if task.row.method in wanted]


def test_what_another_program_finished_meanwhile_is_not_run_again(tasks: list[Task]) -> None:
    class Sharing(FakeRunner):
        def run(self, task: Task) -> dict[str, Any]:
            tasks[2].result.parent.mkdir(parents=True, exist_ok=True)
            tasks[2].result.write_text("{}")
            return super().run(task)

    runner = Sharing()
    assert run_within(tasks[:4], runner, seconds=60, jobs=1) == (3, 0)
    assert runner.ran == [tasks[0], tasks[1], tasks[3]]


def test_budget_stops_before_a_task_that_would_not_end_in_time(tasks: list[Task]) -> None:
    runner = FakeRunner(seconds=0.2)
    done, failed = run_within(tasks, runner, seconds=0.5, jobs=1)
    assert failed == 0
    assert done == len(runner.ran)
    assert 1 <= done <= 2  # a third would begin at 0.4 and end at 0.6


def test_one_failure_is_told_and_does_not_stop_the_others(
    tasks: list[Task], capsys: pytest.CaptureFixture[str]
) -> None:
    runner = FakeRunner(failing=("vanilla",))
    done, failed = run_within(tasks[:4], runner, seconds=60, jobs=2)
    assert (done, failed) == (2, 2)
    assert capsys.readouterr().out.count("FAILED") == 2


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("25m", 1500), ("1.5h", 5400)])
def test_budget_is_read(text: str, seconds: float) -> None:
    assert parse_budget(text) == seconds


@pytest.mark.parametrize("text", ["25", "m", "-3m", "3d", ""])
def test_budget_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="90s, 25m or 2h"):
        parse_budget(text)
