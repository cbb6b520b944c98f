"""Run the robustness experiments within a time budget: train a recipe, measure it on 19 corruptions, keep one JSON.

    python -m benchmarks.experiments --budget 25m --data-dir DIR [--protocol resnet8] [--only icons50] [--jobs 2]
    python -m benchmarks.experiments --table

The most informative missing ones come first (see ``benchmarks.recipes.stages``), each with three seeds. A finished one
is never repeated; a killed one goes on where it was. Each step is a command that a user could type: ``groupnl train``
with the recipe, ``groupnl data corrupt`` once a data set, ``groupnl evaluate``. ``--table`` writes docs/robustness.md
and its picture from the JSON.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import groupnl
from benchmarks import robustness_page
from benchmarks.experiment import header, write_json
from benchmarks.recipes import PROTOCOLS, Row, stages

ROOT = Path(__file__).parents[1]
RUNS = ROOT / "runs" / "robustness"  # checkpoints and corrupted test sets; not in git
RESULTS = ROOT / "results" / "robustness"
SEEDS = (0, 1, 2)


@dataclass(frozen=True, kw_only=True)
class Task:
    """One recipe with one seed."""

    row: Row
    seed: int

    @property
    def result(self) -> Path:
        """The JSON of a finished task."""
        return RESULTS / f"{self.row.name}-seed{self.seed}.json"

    @property
    def run_dir(self) -> Path:
        """Folder of its training."""
        return RUNS / self.row.name / f"seed{self.seed}"

    def __str__(self) -> str:
        return f"{self.row.name} seed {self.seed}"


class FailedStepError(Exception):
    """A command of a task failed."""


def missing(
    protocols: Sequence[str],
    only: str | None = None,
    seeds: Sequence[int] = SEEDS,
    methods: Sequence[str] | None = None,
) -> list[Task]:
    """Tasks without a result, in the order in which they should be run.

    Args:
        protocols: Their names; the first's stages come first at each level.
        only: A data set.
        seeds: Of each recipe.
        methods: Names of rows' methods; None: all.
    """
    queues = [stages(protocol) for protocol in protocols]
    ordered = [queue[level] for level in range(max(map(len, queues))) for queue in queues if level < len(queue)]
    tasks = [
        Task(row=row, seed=seed)
        for stage in ordered
        for seed in seeds
        for row in stage
        if (only is None or row.data == only) and (methods is None or row.method in methods)
    ]
    return [task for task in tasks if not task.result.exists()]


class Runner:
    """Runs tasks; ``jobs`` of them may share one machine."""

    def __init__(self, data_dir: Path | None, *, threads: int) -> None:
        self._data = [] if data_dir is None else ["--data-dir", str(data_dir)]
        self._threads = threads
        self._corrupting = threading.Lock()

    def run(self, task: Task) -> dict[str, Any]:
        """Train, measure, write the result.

        Raises:
            FailedStepError: A command failed; its output is in the message.
        """
        row, folder = task.row, task.run_dir
        checkpoint, trained = folder / "model.safetensors", folder / "train.json"
        if not (checkpoint.exists() and trained.exists()):
            options = ["--seed", str(task.seed), "--out", str(folder), "--resume", "--json", f"{folder}.json"]
            self._groupnl("train", str(row.path), *self._data, *options)
            Path(f"{folder}.json").replace(trained)
        data = ["--data", row.data, *(self._data if row.data != "openicons" else [])]
        corrupted = self._corrupted(row.data, data)
        measured = folder / "evaluation.json"
        options = ["--corrupted", str(corrupted), "--answers", str(folder / "answers"), "--json", str(measured)]
        self._groupnl("evaluate", str(checkpoint), *data, *options, "--device", _device())
        result = {
            **header(
                f"python -m benchmarks.experiments --protocol {row.protocol} --only {row.data}",
                protocol=row.protocol,
                data=row.data,
                method=row.method,
                augment=row.augment,
                seed=task.seed,
                recipe=str(row.path.relative_to(ROOT)),
            ),
            **_cost(checkpoint),
            "training": _training(json.loads(trained.read_text(encoding="utf-8"))),
            "evaluation": json.loads(measured.read_text(encoding="utf-8")),
        }
        task.result.parent.mkdir(parents=True, exist_ok=True)
        write_json(task.result, result)
        return result

    def _corrupted(self, name: str, data: Sequence[str]) -> Path:
        """The corrupted test set, written by whichever task needs it first."""
        folder = RUNS / "corrupted" / name
        with self._corrupting:
            self._groupnl("data", "corrupt", *data, "--out", str(folder))  # returns at once where it is complete
        return folder

    def _groupnl(self, *arguments: str) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": str(self._threads)}
        command = [sys.executable, "-c", "import sys; from groupnl.cli import main; sys.exit(main())", *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=ROOT)
        if done.returncode:
            raise FailedStepError(
                f"groupnl {' '.join(arguments)}: exit {done.returncode}\n{done.stderr.strip()[-800:]}"
            )


def _training(trained: dict[str, Any]) -> dict[str, Any]:
    """What a result keeps of ``groupnl train --json``: all but the epochs one by one."""
    return {key: value for key, value in trained.items() if key not in ("history", "run_dir", "checkpoint")}


def _cost(checkpoint: Path) -> dict[str, int]:
    model = groupnl.load(checkpoint)
    cost = groupnl.complexity(model, (3, 32, 32))
    return {"params": cost.params, "macs": cost.macs, "elementwise": cost.elementwise}


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def run_within(tasks: Sequence[Task], runner: Runner, *, seconds: float, jobs: int) -> tuple[int, int]:
    """Run tasks while the longest one so far would still end in time.

    Args:
        tasks: In order.
        runner: Does the work.
        seconds: The budget.
        jobs: Tasks at a time.

    Returns:
        How many are done, and how many failed (they are told, and do not stop the others).
    """
    began, longest, done, failed = time.monotonic(), 0.0, 0, 0
    waiting, running = list(tasks), dict[Future[dict[str, Any]], tuple[Task, float]]()
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        while waiting or running:
            while waiting and len(running) < jobs and time.monotonic() - began + longest < seconds:
                task = waiting.pop(0)
                if task.result.exists():  # by another program that shares the folder
                    continue
                running[pool.submit(runner.run, task)] = (task, time.monotonic())
            if not running:
                break
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                task, started = running.pop(future)
                took = time.monotonic() - started
                try:
                    result = future.result()
                except FailedStepError as error:
                    failed += 1
                    print(f"{task}: FAILED after {took:.0f} s: {error}", flush=True)
                    continue
                done, longest = done + 1, max(longest, took)
                found = result["evaluation"]
                print(
                    f"{task}: clean {found['clean_accuracy']:.2%}, mean error {found['mean_error']:.2%} ({took:.0f} s)",
                    flush=True,
                )
    return done, failed


def parse_budget(text: str) -> float:
    """``90s``, ``25m`` or ``2h`` in seconds.

    Raises:
        argparse.ArgumentTypeError: It is none of them.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a time such as 90s, 25m or 2h")
    return float(found[1]) * {"s": 1, "m": 60, "h": 3600}[found[2]]


def main() -> int:
    """Run what fits into the budget, or write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", type=parse_budget, metavar="TIME", help="90s, 25m, 2h")
    parser.add_argument("--data-dir", type=Path, default=os.environ.get("GROUPNL_DATA_DIR"))
    parser.add_argument("--protocol", choices=tuple(PROTOCOLS), nargs="+", help="default: by what the machine has")
    parser.add_argument("--only", choices=("icons50", "openicons", "cifar10", "gtsrb"))
    parser.add_argument("--methods", nargs="+", metavar="METHOD", help="such as vanilla, groupnl-r2; default: all")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--jobs", type=int, default=1, help="trainings at a time")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of each")
    parser.add_argument("--table", action="store_true", help="only write docs/robustness.md and its pictures")
    arguments = parser.parse_args()
    if arguments.table:
        robustness_page.write(RESULTS)
        return 0
    if arguments.budget is None:
        parser.error("--budget is needed, such as --budget 25m, or --table")
    default = ["resnet18"] if torch.cuda.is_available() else ["resnet8", "resnet18_quarter"]
    tasks = missing(arguments.protocol or default, arguments.only, arguments.seeds, arguments.methods)
    print(f"{len(tasks)} experiments are missing", flush=True)
    runner = Runner(arguments.data_dir, threads=arguments.threads)
    done, failed = run_within(tasks, runner, seconds=arguments.budget, jobs=arguments.jobs)
    left = sum(not task.result.exists() for task in tasks)
    print(f"{done} done, {failed} failed, {left} left", flush=True)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
