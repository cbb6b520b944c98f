"""A run killed at any moment and resumed ends with the weights, bit for bit, of one that was left alone."""

import json
import random
import time
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

Settings = dict[str, Any]

# Everything that keeps state: momentum, averages, statistics, dropout's draws, the order, the mixing.
BASE: Settings = {"ema_decay": 0.9, "mixup_alpha": 0.5, "cutmix_alpha": 1.0, "clip_grad": 1.0}
EVERY_STEP: Settings = {**BASE, "checkpoint_seconds": 0.0}
EVERY_SECOND_EPOCH: Settings = {
    **{**BASE, "optimizer": "adamw", "lr": 0.01},
    **{"checkpoint_seconds": None, "checkpoint_epochs": 2},
}
AUGMENTED: Settings = {"ema_decay": 0.9, "augment": "augmix"}
both = pytest.mark.parametrize("config", [EVERY_STEP, EVERY_SECOND_EPOCH], ids=["every step", "every second epoch"])


def command(run_dir: Path, config: Settings, **more: Any) -> dict[str, Any]:
    return {"dir": str(run_dir), "config": config, "net": {"dropout": 0.2}, **more}


class Killer:
    """Kills runs, resumes them, and compares what comes out with a run of the same settings that nothing disturbed."""

    def __init__(self, server: Any, runs: ModuleType, folder: Path) -> None:
        self.server, self.runs, self.folder = server, runs, folder
        self.references: dict[str, Path] = {}

    def reference(self, config: Settings) -> Path:
        name = json.dumps(config)
        if name not in self.references:
            path = self.folder / f"reference-{len(self.references)}" / "run"
            path.parent.mkdir(parents=True)
            report = str(path.parent / "report.json")
            assert self.server.run(command(path, config, resume=False, report=report)) == [0]
            self.references[name] = path
        return self.references[name]

    def events(self, config: Settings) -> int:
        count: int = json.loads((self.reference(config).parent / "report.json").read_text())["events"]
        return count

    def kill_once_at(self, moments: Iterable[int], config: Settings, folder: Path) -> None:
        for moment in moments:
            run = folder / f"killed-at-{moment}"
            assert self.server.run(command(run, config, resume=False, kill_at=moment)) == [self.runs.KILLED]
            assert self.server.run(command(run, config)) == [0]
            self.runs.assert_same(run, self.reference(config))

    def kill_until_done(self, config: Settings, folder: Path, chance: random.Random) -> None:
        """Kill again and again after random times, which grow so that the run gets through in the end."""
        reference = self.reference(config)
        started = time.monotonic()
        assert self.server.run(command(folder / "timed", config)) == [0]
        longest = time.monotonic() - started
        statuses = [0]
        while len(statuses) == 1:  # it got through at once, the machine being faster now: kill earlier
            longest /= 2
            run, statuses = folder / f"within-{longest:.9f}", []
            while not statuses or statuses[-1] != 0:
                seconds = chance.uniform(0, longest) * (1 + len(statuses) / 20)
                statuses += self.server.run(command(run, config, kill_after=seconds))
                assert statuses[-1] in (0, self.runs.KILLED)
            self.runs.assert_same(run, reference)


@pytest.fixture(scope="module")
def killer(server: Any, runs: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Killer:
    return Killer(server, runs, tmp_path_factory.mktemp("killer"))


@both
def test_killed_at_many_moments(config: Settings, killer: Killer, tmp_path: Path) -> None:
    events = killer.events(config)
    assert events > 50
    killer.kill_once_at(range(3, events, events // 9), config, tmp_path)


def test_an_augmented_run_killed_at_some_moments(killer: Killer, tmp_path: Path) -> None:
    config = {**AUGMENTED, "checkpoint_seconds": 0.0}
    events = killer.events(config)
    killer.kill_once_at(range(20, events, events // 3), config, tmp_path)


@pytest.mark.long
@both
def test_killed_at_every_moment(config: Settings, killer: Killer, tmp_path: Path) -> None:
    killer.kill_once_at(range(killer.events(config)), config, tmp_path)


def test_killed_again_and_again(killer: Killer, tmp_path: Path) -> None:
    killer.kill_until_done({**EVERY_STEP, "epochs": 8}, tmp_path, random.Random(0))


@pytest.mark.long
@pytest.mark.parametrize("seed", range(10))
def test_killed_again_and_again_in_a_long_run(seed: int, killer: Killer, tmp_path: Path) -> None:
    config = {**BASE, "checkpoint_seconds": 0.05, "epochs": 60}
    killer.kill_until_done(config, tmp_path, random.Random(seed))


def test_resuming_a_finished_run_changes_nothing(killer: Killer, tmp_path: Path) -> None:
    run = killer.reference(EVERY_STEP)
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    report = tmp_path / "report.json"
    assert killer.server.run(command(run, EVERY_STEP, report=str(report))) == [0]
    assert json.loads(report.read_text())["already_finished"]
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
