"""Data-parallel training over links of a given speed, measured and predicted: what less gradient traffic is worth.

    python -m benchmarks.traffic --json results/traffic.json
    python -m benchmarks.traffic --quick --json -                       # 2 workers, 1 Gbit/s, two nets
    python -m benchmarks.traffic --picture docs/images/traffic.png      # only draws results/traffic.json

Workers are real ``torchrun`` processes (DistributedDataParallel, gloo, CPU), each in a network namespace of its own
whose link is shaped in both directions; that needs root and Linux. Without, they share the unshaped loopback, and the
JSON says so. Pictures are noise of 32x32, nets have the stem for that size and 10 classes.

Computing (``--compute``) is one of:

- ``replay``: each worker's real step is timed once on a free core, one worker alone; while the network is measured the
  workers wait that long instead of computing, and each gradient appears when it did. So every worker has, as it were, a
  machine of its own, and what is measured is DDP's real exchange of real gradients.
- ``real``: the workers compute. They share this machine's cores, so the computing takes longer with every worker.
"""

import argparse
import itertools
import json
import signal
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import traffic_page, traffic_picture
from benchmarks.experiment import header, write_json
from benchmarks.shaped_network import CONGESTION_CONTROL, Loopback, ShapedNetwork, why_not
from benchmarks.traffic_team import Team
from groupnl.analysis import Traffic, step_time, traffic
from groupnl.models import create_model

RESULTS = Path(__file__).parents[1] / "results" / "traffic.json"
NETS = {
    "resnet18": ("ghost_resnet18", "sinefm_resnet18", "groupnl_resnet18"),
    "resnet50": ("ghost_resnet50", "sinefm_resnet50", "groupnl_resnet50", "groupnl_std_r2_resnet50"),
}
REAL = ("resnet18", "groupnl_resnet18", "resnet50", "groupnl_resnet50")  # and only at REAL_SPEED
SPEEDS = {"100M": 1e8, "1G": 1e9, "10G": 1e10}
REAL_SPEED, OPEN_SPEED = 1e9, 1e10  # bits a second; nets are set up at the second
SMALL_BUCKETS, SMALL_BUCKETS_WORKERS = 4.0, 8  # MiB; REAL nets once more, replayed at REAL_SPEED
LEFT_OUT = {  # to keep the run near 20 minutes; as many bytes as groupnl_std_r2_resnet50, within 0.1 %
    (net, workers, speed)
    for net in ("ghost_resnet50", "sinefm_resnet50")
    for workers, speed in ((4, 1e8), (4, 1e9), (4, 1e10), (8, 1e8))
}
CLASSES, SIDE = 10, 32  # as benchmarks.traffic_worker has them
ROUNDS, QUICK_ROUNDS = 7, 3  # of the single worker's steps
SECONDS_A_CASE, SLOW_STEP = 3.0, 5.0
COMPUTES = {
    "replay": "waits as long as one worker alone computed on a free core; gradients appear when they did then",
    "real": "computes; the workers share this machine's cores",
}
CLAIM_NETS = ("resnet101", "groupnl_resnet101", "groupnl_std_r2_resnet101", "groupnl_std_r4_resnet101")
CLAIM_WORKERS, CLAIM_LATENCY = 8, 2e-5  # s
CLAIM_SPEEDS = (1e9, 2.5e9, 1e10, 2.5e10, 1e11, 1e12)  # the last is what a GPU has to its neighbour in one box
CLAIM_COMPUTE = (0.03, 0.1, 0.3)  # s a step, a third of it forward: the same for every net


@dataclass(frozen=True, kw_only=True)
class Case:
    """One net with one number of workers."""

    net: str
    workers: int
    compute: str  # replay or real
    speeds: tuple[float, ...]  # bits a second
    bucket_cap_mb: float | None = None  # DDP's own


def plan(
    nets: Sequence[str], workers: int, speeds: Sequence[float], computes: Sequence[str]
) -> tuple[list[Case], list[str]]:
    """What is measured with so many workers; and, in words, what of the grid is not."""
    cases, left_out = [], []
    for net in nets:
        for compute in computes:
            chosen = tuple(speed for speed in speeds if _is_wanted(net, workers, speed, compute, speeds))
            if chosen:
                cases.append(Case(net=net, workers=workers, compute=compute, speeds=chosen))
            if missing := [traffic_page.speed_name(speed) for speed in speeds if speed not in chosen]:
                left_out.append(f"{net}, {workers} workers, {compute}: {', '.join(missing)}")
        if "replay" in computes and net in REAL and workers == SMALL_BUCKETS_WORKERS and REAL_SPEED in speeds:
            small = Case(net=net, workers=workers, compute="replay", speeds=(REAL_SPEED,), bucket_cap_mb=SMALL_BUCKETS)
            cases.append(small)
    return cases, left_out


def _is_wanted(net: str, workers: int, speed: float, compute: str, speeds: Sequence[float]) -> bool:
    if compute == "real":
        return net in REAL and (speed == REAL_SPEED or REAL_SPEED not in speeds)
    return (net, workers, speed) not in LEFT_OUT


def step_counts(predicted_seconds: float) -> tuple[int, int]:
    """How many steps are taken before measuring, and how many are measured."""
    return int(predicted_seconds < SLOW_STEP), max(2, min(10, int(SECONDS_A_CASE / predicted_seconds)))


class Measurement:
    """Fills a result, one number of workers after the other.

    Args:
        shaped: Whether the workers have namespaces and links of their own.
        batch: Pictures of one worker.
        rounds: Steps of the single worker that are counted.
    """

    def __init__(self, *, shaped: bool, batch: int, rounds: int) -> None:
        self.nets: list[dict[str, Any]] = []
        self.links: list[dict[str, Any]] = []
        self.steps: list[dict[str, Any]] = []
        self._shaped, self._batch, self._rounds = shaped, batch, rounds
        self._traffic: dict[tuple[str, float | None], Traffic] = {}
        self._compute: dict[str, dict[str, Any]] = {}

    def alone(self, nets: Sequence[str]) -> None:
        """One worker: the time of a step, when its gradients are ready, and a step under DDP."""
        with Team(Loopback(), 1) as team:
            self._compute = team.order("compute", nets=list(nets), batch=self._batch, rounds=self._rounds)
            for net in nets:
                model = create_model(net, num_classes=CLASSES, cifar_stem=True)
                for cap in (None, SMALL_BUCKETS):
                    self._traffic[net, cap] = traffic(model, (3, SIDE, SIDE), bucket_cap_mb=cap)
                found = self._traffic[net, None]
                times = {key: value for key, value in self._compute[net].items() if key != "ready"}
                arrivals = list(self._compute[net]["ready"].values())
                ends = itertools.accumulate(bucket.parameters for bucket in found.buckets)
                prepared = team.order("prepare", net=net, batch=self._batch, compute=None, bucket_cap_mb=None)
                self.nets.append(
                    {
                        "net": net,
                        **times,
                        **found.to_dict(),
                        "ddp_buckets": prepared["buckets"],
                        "measured_ready": [arrivals[end - 1] for end in ends],  # of each bucket, beside the count's
                    }
                )
                self._measure(team, Case(net=net, workers=1, compute="real", speeds=()), None)

    def together(self, workers: int, cases: Sequence[Case]) -> None:
        """Several workers: their links, then every case."""
        speeds = sorted({speed for case in cases for speed in case.speeds})
        with ShapedNetwork(workers) if self._shaped else Loopback() as network, Team(network, workers) as team:
            links: dict[float, dict[str, Any]] = {}
            for speed in speeds:
                network.shape(speed)
                found = team.order("link", size_bytes=int(min(speed / 8 / 2, 2e8)))
                if not self._shaped:  # the counters of loopback are everybody's
                    found["all_reduce_sent"] /= workers
                links[speed] = {"workers": workers, "speed": speed if self._shaped else None, **found}
                self.links.append(links[speed])
                _say(traffic_page.link_line(links[speed]))
            for case in cases:
                network.shape(OPEN_SPEED)
                compute = self._compute[case.net] if case.compute == "replay" else None
                cap = case.bucket_cap_mb
                team.order("prepare", net=case.net, batch=self._batch, compute=compute, bucket_cap_mb=cap)
                for speed in case.speeds:
                    network.shape(speed)
                    self._measure(team, case, links[speed])

    def _measure(self, team: Team, case: Case, link: dict[str, Any] | None) -> None:
        alone, sent = self._compute[case.net], self._traffic[case.net, case.bucket_cap_mb]
        predicted = step_time(
            sent,
            workers=case.workers,
            bits_per_second=link["bits_per_second"] if link else OPEN_SPEED,  # one worker sends nothing
            latency_seconds=link["latency_seconds"] if link else 0.0,
            forward_seconds=alone["forward_seconds"] + alone["update_seconds"],
            backward_seconds=alone["backward_seconds"],
        )
        warmup, count = step_counts(predicted.seconds)
        found = team.order("steps", warmup=warmup, count=count)
        if not self._shaped:
            found["sent_bytes"] /= case.workers
        row = {
            "net": case.net,
            "workers": case.workers,
            "speed": link["speed"] if link else None,
            "compute": case.compute,
            "bucket_cap_mb": case.bucket_cap_mb,
            "seconds": statistics.median(found["step_seconds"]),
            "predicted_seconds": predicted.seconds,
            "predicted_sent_bytes": sent.sent_bytes(case.workers),
            **found,
        }
        self.steps.append(row)
        _say(traffic_page.step_line(row))


def claim() -> dict[str, Any]:
    """The paper's net at stated compute times: predicted, nothing measured."""
    found = {net: traffic(create_model(net, num_classes=1000), (3, 224, 224)) for net in CLAIM_NETS}
    rows = []
    for net, compute, speed in itertools.product(CLAIM_NETS, CLAIM_COMPUTE, CLAIM_SPEEDS):
        predicted = step_time(
            found[net],
            workers=CLAIM_WORKERS,
            bits_per_second=speed,
            latency_seconds=CLAIM_LATENCY,
            forward_seconds=compute / 3,
            backward_seconds=compute * 2 / 3,
        )
        rows.append({"net": net, "compute_seconds": compute, "speed": speed, "predicted_seconds": predicted.seconds})
    return {
        "workers": CLAIM_WORKERS,
        "latency_seconds": CLAIM_LATENCY,
        "gradient_bytes": {net: each.gradient_bytes for net, each in found.items()},
        "rows": rows,
    }


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """The whole result; with a file to write to, that is written after every number of workers."""
    reason = why_not()
    if reason:
        _say(f"no shaped links: {reason}; the workers share the loopback interface, unshaped")
    speeds = [SPEEDS[name] for name in arguments.speeds] if reason is None else [OPEN_SPEED]
    began = time.perf_counter()
    found = Measurement(shaped=reason is None, batch=arguments.batch, rounds=arguments.rounds)
    result = header(
        arguments.command,
        network="network namespaces, links shaped by tc tbf in both directions" if reason is None else "loopback",
        unshaped_because=reason,
        congestion_control=CONGESTION_CONTROL if reason is None else None,
        backend="gloo, DistributedDataParallel, one thread a worker",
        data=f"noise of {SIDE}x{SIDE}, {arguments.batch} pictures a worker, {CLASSES} classes",
        compute=COMPUTES,
        predicted_with="links' measured speed and latency; the single worker's measured times",
        left_out=[],
        nets=found.nets,
        links=found.links,
        steps=found.steps,
        claim=claim(),
    )
    found.alone(arguments.nets)
    for workers in arguments.workers:
        cases, left_out = plan(arguments.nets, workers, speeds, arguments.compute)
        result["left_out"] += left_out
        found.together(workers, cases)
        result["seconds"] = time.perf_counter() - began
        if arguments.json != Path("-"):
            write_json(arguments.json, result)
    return result


def main() -> int:
    """Measure and write, or draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = [net for base, others in NETS.items() for net in (base, *others)]
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write the figures; - for stdout")
    parser.add_argument("--quick", action="store_true", help="2 workers, 1 Gbit/s, resnet18 and groupnl_resnet18")
    parser.add_argument("--nets", nargs="+", choices=known, default=known)
    parser.add_argument("--workers", nargs="+", type=int, default=[2, 4, 8], help="one alone is always measured first")
    parser.add_argument("--speeds", nargs="+", choices=list(SPEEDS), default=list(SPEEDS), help="bits a second")
    parser.add_argument("--compute", nargs="+", choices=list(COMPUTES), default=list(COMPUTES))
    parser.add_argument("--batch", type=int, default=8, help="pictures of one worker in a step")
    parser.add_argument("--picture", type=Path, metavar="FILE.png", help="draw results/traffic.json, measure nothing")
    arguments = parser.parse_args()
    if arguments.picture is not None:
        traffic_picture.draw(json.loads(RESULTS.read_text(encoding="utf-8"))).savefig(
            arguments.picture, metadata={"Software": ""}
        )
        return 0
    if arguments.json is None:
        parser.error("--json FILE is needed, or --picture FILE.png")
    if min(arguments.workers) < 2 or arguments.batch < 2:
        parser.error("--workers and --batch: expected 2 or more; one worker alone is always measured")
    given = [word for word in sys.argv[1:] if word not in ("--json", str(arguments.json))]
    arguments.command = " ".join(["python -m benchmarks.traffic", *given])
    arguments.rounds = QUICK_ROUNDS if arguments.quick else ROUNDS
    if arguments.quick:
        arguments.nets, arguments.workers, arguments.speeds = ["resnet18", "groupnl_resnet18"], [2], ["1G"]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that workers and namespaces are removed
    try:
        result = measure(arguments)
    except KeyboardInterrupt:
        _say("interrupted: workers and namespaces are removed")
        return 130
    if arguments.json == Path("-"):
        print(json.dumps(result, indent=1, allow_nan=False))
    else:
        print(traffic_page.block(result))
    return 0


def _say(line: str) -> None:
    """Progress, beside what stdout is for."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
