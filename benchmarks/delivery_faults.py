"""End updates of a device in every way, and see that it has a whole model and that the next pull completes.

    python -m benchmarks.delivery_faults --json results/delivery-faults.json

Three ways: the client is killed at every system call that changes the device folder; each of these calls fails with a
full, a read-only or a broken disk; the client and its self-test are killed at random moments. The five scenarios are in
``fault_rig.py``. The bundles are GroupNL ResNet-8 with random weights, the newer ones a little changed.
"""

import argparse
import json
import platform
import random
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from itertools import cycle
from pathlib import Path
from typing import Any

from benchmarks.fault_calls import Place, places, strike, why_not
from benchmarks.fault_moments import Clients, clients
from benchmarks.fault_rig import SCENARIOS, PromiseBrokenError, Rig, Scenario, rig
from groupnl_device.atomic import write_atomically
from groupnl_device.hardware import hardware

PACKAGES = ("groupnl-device", "tuf", "urllib3", "onnxruntime", "numpy")
ERRORS = ("error=ENOSPC", "error=EROFS", "error=EIO")
KILL = "signal=KILL"
RUNS = 1000  # at least


@dataclass
class Tally:
    """What runs of one kind came to.

    Attributes:
        runs: In which the fault happened.
        missed: In which it did not: the run did not come to that call, or ended before. They count nowhere else.
        served: How many left the old, the new or no version (only before a first model) in use.
        completed: How many were brought up to date by the next pull.
        broken: What did not hold.
    """

    runs: int = 0
    missed: int = 0
    served: Counter[str] = field(default_factory=Counter)
    completed: int = 0
    broken: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {**vars(self), "served": dict(sorted(self.served.items()))}


def at_calls(made: Rig, scenario: Scenario, log: Path, faults: Sequence[str], chosen: Iterable[Place]) -> Tally:
    """A fault at each of these calls.

    Args:
        made: The rig.
        scenario: What is ended.
        log: A file for strace.
        faults: Taken in turns.
        chosen: Calls that change the device folder.
    """
    tally = Tally()
    for place, fault in zip(chosen, cycle(faults), strict=False):
        device = made.device(scenario)
        struck = strike(made.arguments(scenario, device), device, log, place, fault)
        if not struck.hit:
            tally.missed += 1
            continue
        tally.runs += 1
        where = f"{scenario.name}, {fault} at {place.what}"
        if fault != KILL and (struck.code not in (0, 1) or "Traceback" in struck.complaint):
            tally.broken.append(f"{where}: exit code {struck.code}: {struck.complaint[-300:]}")
        _look(made, scenario, device, tally, where)
    return tally


def at_moments(made: Rig, started: Clients, scenario: Scenario, runs: int, chance: random.Random) -> Tally:
    """SIGKILL at random moments of the time that an undisturbed run takes.

    Args:
        made: The rig.
        started: Runs the commands.
        scenario: What is ended.
        runs: How many.
        chance: Draws the moments.
    """
    tally = Tally()
    usual, code = started.run(made.arguments(scenario, made.device(scenario)))
    if code != 0:
        raise PromiseBrokenError(f"{scenario.name}: an undisturbed run ends with exit code {code}")
    while tally.runs < runs:
        device = made.device(scenario)
        moment = chance.uniform(0, usual)
        _, code = started.run(made.arguments(scenario, device), moment)
        if code != -signal.SIGKILL:
            tally.missed += 1
            continue
        tally.runs += 1
        _look(made, scenario, device, tally, f"{scenario.name}, SIGKILL after {moment:.4f} s")
    return tally


def _look(made: Rig, scenario: Scenario, device: Path, tally: Tally, where: str) -> None:
    """What the device has now, and after the next pull."""
    try:
        version = made.served(scenario, device)
        tally.served["none" if version is None else "old" if version == scenario.old else "new"] += 1
        made.complete(scenario, device)
        tally.completed += 1
    except (PromiseBrokenError, ValueError, OSError) as error:
        tally.broken.append(f"{where}: {type(error).__name__}: {error}")


def try_all_ways(
    made: Rig, started: Clients, scenario: Scenario, chance: random.Random, *, runs: int, calls: int | None = None
) -> dict[str, Tally]:
    """One scenario.

    Args:
        made: The rig.
        started: Runs the commands.
        scenario: What is ended.
        chance: Draws moments, and calls where not all are tried.
        runs: At least so many; where there are fewer calls, moments make up for them.
        calls: How many calls to try in each way; None: all.

    Returns:
        By way.
    """
    tallies = {}
    if why_not() is None:
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder) / "strace.log"
            device = made.device(scenario)
            found = places(made.arguments(scenario, device), device, log)
            for way, faults in (("killed at a call", [KILL]), ("failing call", ERRORS)):
                chosen = found if calls is None else chance.sample(found, calls)
                tallies[way] = at_calls(made, scenario, log, faults, chosen)
    moments = runs - sum(tally.runs for tally in tallies.values())
    least = 0 if calls is not None else runs // 2
    tallies["killed at a moment"] = at_moments(made, started, scenario, max(moments, least), chance)
    return tallies


def measure(bundles: Sequence[bytes], seed: int, runs: int) -> dict[str, Any]:
    """All scenarios, all ways.

    Args:
        bundles: The versions 1, 2 and 3.
        seed: Of the moments.
        runs: At least so many, of all scenarios together.
    """
    chance = random.Random(seed)
    scenarios: dict[str, dict[str, Tally]] = {}
    with tempfile.TemporaryDirectory() as folder, rig(Path(folder), bundles) as made, clients() as started:
        for scenario in SCENARIOS:
            each = -(-runs // len(SCENARIOS))
            scenarios[scenario.name] = tallies = try_all_ways(made, started, scenario, chance, runs=each)
            for way, tally in tallies.items():
                _tell(scenario, way, tally)
    every = [tally for tallies in scenarios.values() for tally in tallies.values()]
    return {
        "runs": sum(tally.runs for tally in every),
        "completed": sum(tally.completed for tally in every),
        "broken": sum(len(tally.broken) for tally in every),
        "seed": seed,
        "strace": why_not() or "used",
        "bundle_bytes": [len(bundle) for bundle in bundles],
        "scenarios": {name: {way: t.to_dict() for way, t in tallies.items()} for name, tallies in scenarios.items()},
    }


def _tell(scenario: Scenario, kind: str, tally: Tally) -> None:
    served = ", ".join(f"{what} {count}" for what, count in sorted(tally.served.items()))
    print(f"{scenario.name}, {kind}: {tally.runs} runs ({served}), {tally.completed} completed", flush=True)
    for line in tally.broken:
        print(f"  BROKEN: {line}", flush=True)


def resnets(folder: Path, seed: int, name: str = "groupnl_resnet8") -> Iterator[bytes]:
    """Three bundles; each net is the one before with weights changed by about a hundredth."""
    import torch

    import groupnl
    from groupnl_device.preprocessing import Preprocessing

    torch.manual_seed(seed)
    model = groupnl.create_model(name, num_classes=10).eval()
    size = (3, 32, 32)
    for number in range(3):
        with torch.no_grad():
            for parameter in model.parameters() if number else ():
                parameter.mul_(1 + 0.01 * torch.randn_like(parameter))
        path = folder / f"{number}.gnl"
        groupnl.export_bundle(
            model,
            path,
            example_input=torch.randn(1, *size),
            preprocessing=Preprocessing(input_size=size, mean=(0.5,) * 3, std=(0.25,) * 3),
            class_names=[f"class {index}" for index in range(10)],
        )
        yield path.read_bytes()


def faults_block(results: Mapping[str, Any]) -> str:
    """The page's part: a row for each scenario.

    Args:
        results: What :func:`measure` returns.
    """
    ways = list(dict.fromkeys(way for tallies in results["scenarios"].values() for way in tallies))
    heads = [*ways, "old model in use", "new model in use", "completed by the next pull"]
    lines = [f"| | {' | '.join(heads)} |", "|---|" + "---:|" * len(heads)]
    for name, tallies in results["scenarios"].items():
        served = sum((Counter(tally["served"]) for tally in tallies.values()), Counter())
        runs = [tallies[way]["runs"] if way in tallies else "" for way in ways]
        old = f"{served['none']} (none yet)" if served["none"] else served["old"]
        cells = [*runs, old, served["new"], sum(tally["completed"] for tally in tallies.values())]
        lines.append(f"| {name} | {' | '.join(map(str, cells))} |")
    told = (
        f"{results['runs']:,} runs: {results['runs'] - results['broken']:,} left a whole model in use that gives its "
        f"answers (or, before a first model, none), and {results['completed']:,} were completed by the next pull."
    )
    return "\n".join([*lines, "", told])


def main() -> int:
    """Run, show, write the JSON; 1 where a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write the figures")
    parser.add_argument("--seed", type=int, default=0, help="of the moments and the weights (default: 0)")
    parser.add_argument("--runs", type=int, default=RUNS, metavar="N", help=f"at least (default: {RUNS})")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bundles = list(resnets(Path(folder), arguments.seed))
    result = {
        "command": "python -m benchmarks.delivery_faults",
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "hardware": hardware(),
        "versions": {"python": platform.python_version(), **{name: metadata.version(name) for name in PACKAGES}},
        **measure(bundles, arguments.seed, arguments.runs),
    }
    print(f"{result['runs']} runs, {result['completed']} completed by the next pull, {result['broken']} broken")
    if arguments.json:
        text = json.dumps(result, indent=2) + "\n"
        write_atomically(arguments.json, lambda file: file.write(text.encode()))
    return 1 if result["broken"] else 0


if __name__ == "__main__":
    sys.exit(main())
