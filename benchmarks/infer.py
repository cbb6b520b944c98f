"""Latency of whole nets: as they are, fused for inference, and fused and compiled; every method beside the vanilla net.

    python -m benchmarks.infer --json results/infer.json                        # on a CPU, 1 and 2 threads
    python -m benchmarks.infer --device cuda --bf16 --json results/infer-cuda.json   # channels last
    python -m benchmarks.infer --quick --json -                                 # ResNet-8 at 32x32, batch 1

Modes: ``eager``, the net as it is trained; ``fused``, after ``groupnl.nn.fuse_for_inference_``, the vanilla net as
well; ``compiled``, the fused net under ``torch.compile``, which takes so long to compile for a CPU that there only one
picture and the most threads are measured. The nets of a row's batch and threads take turns, round after round.
``to_vanilla`` is the time over the vanilla net's in the same mode; ``difference`` is the largest one between the
answers and those of the eager net, relative to the largest answer. Weights and pictures are random.
"""

import argparse
import copy
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.experiment import header, write_result
from benchmarks.rounds import samples_ms
from groupnl.models import create_model
from groupnl.nn import fuse_for_inference_

CLASSES = 1000
BATCHES = (1, 32)
THREADS = (1, 2)
BUDGET = 6.0  # s for the rounds of one net, batch and number of threads
ROUNDS = (3, 25)  # at least, at most


@dataclass(frozen=True, kw_only=True)
class Case:
    """One base net: its variants by zoo name, and its size."""

    name: str
    side: int
    variants: Mapping[str, str]
    cifar_stem: bool = False


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How the nets of a case are run."""

    device: torch.device
    dtype: torch.dtype
    threads: int | None  # of a CPU
    batch: int
    modes: tuple[str, ...]


def _variants(base: str, *methods: str) -> dict[str, str]:
    return {"vanilla": base, **{method: f"{method}_{base}" for method in methods}}


_RESNET_METHODS = ("ghost", "sinefm", "groupnl")
CASES = (
    Case(name="resnet18@32", side=32, variants=_variants("resnet18", *_RESNET_METHODS), cifar_stem=True),
    *(Case(name=f"{net}@224", side=224, variants=_variants(net, *_RESNET_METHODS)) for net in ("resnet18", "resnet50")),
    *(
        Case(name=f"{net}@224", side=224, variants=_variants(net, "groupnl"))
        for net in ("mobilenetv2_100", "mobilenetv3_large_100", "efficientnet_lite0")
    ),
)
QUICK = Case(name="resnet8@32", side=32, variants=_variants("resnet8", *_RESNET_METHODS))


def nets_of(case: Case, device: torch.device, dtype: torch.dtype) -> dict[str, dict[str, nn.Module]]:
    """The case's nets by variant and mode, in evaluation."""
    order = torch.channels_last if device.type == "cuda" else torch.contiguous_format
    stem = {"cifar_stem": True} if case.cifar_stem else {}
    nets = {}
    for variant, name in case.variants.items():
        torch.manual_seed(0)
        net = create_model(name, num_classes=CLASSES, **stem).to(device, dtype).to(memory_format=order).eval()
        fused = copy.deepcopy(net)
        fuse_for_inference_(fused)
        nets[variant] = {"eager": net, "fused": fused}
    return nets


def rows_of(case: Case, nets: Mapping[str, Mapping[str, nn.Module]], settings: Settings) -> list[dict[str, Any]]:
    """Measure a case's nets in all modes, in turns."""
    if settings.threads:
        torch.set_num_threads(settings.threads)
    device = settings.device
    order = torch.channels_last if device.type == "cuda" else torch.contiguous_format
    images = torch.randn(settings.batch, 3, case.side, case.side, generator=torch.Generator().manual_seed(0))
    images = images.to(device, settings.dtype).to(memory_format=order)
    with torch.inference_mode():
        begin = time.perf_counter()
        expected = {variant: modes["eager"](images).float().cpu() for variant, modes in nets.items()}
        one_round = (time.perf_counter() - begin) * len(settings.modes)
        calls: dict[str, Callable[[], Tensor]] = {}
        differences = {}
        for variant, modes in nets.items():
            for mode in settings.modes:
                call = calls[f"{variant} {mode}"] = _call(modes, mode, images)
                error = (call().float().cpu() - expected[variant]).abs().max() / expected[variant].abs().max()
                differences[f"{variant} {mode}"] = float(error)
        least, most = ROUNDS
        rounds = max(least, min(most, int(BUDGET / one_round)))
        samples = samples_ms(calls, rounds=rounds, device=device, warm_up=0)
    medians = {name: float(np.median(taken)) for name, taken in samples.items()}
    return [
        {
            "net": case.name,
            "variant": variant,
            "mode": mode,
            "batch": settings.batch,
            "threads": settings.threads,
            "median_ms": medians[f"{variant} {mode}"],
            "p90_ms": float(np.percentile(samples[f"{variant} {mode}"], 90)),
            "rounds": len(samples[f"{variant} {mode}"]),
            "to_vanilla": medians[f"{variant} {mode}"] / medians[f"vanilla {mode}"],
            "difference": differences[f"{variant} {mode}"],
        }
        for variant in nets
        for mode in settings.modes
    ]


def _call(modes: Mapping[str, nn.Module], mode: str, images: Tensor) -> Callable[[], Tensor]:
    run = torch.compile(modes["fused"], fullgraph=True, dynamic=False) if mode == "compiled" else modes[mode]

    def call() -> Tensor:
        answers: Tensor = run(images)
        return answers

    return call


def measure(
    cases: Sequence[Case], device: torch.device, dtype: torch.dtype, batches: Sequence[int], threads: Sequence[int]
) -> list[dict[str, Any]]:
    """Every case with every batch and number of threads."""
    rows = []
    for case in cases:
        nets = nets_of(case, device, dtype)
        for batch in batches:
            for number in threads if device.type == "cpu" else (None,):
                compiled = device.type != "cpu" or (batch == 1 and number == max(threads))
                modes = ("eager", "fused", "compiled") if compiled else ("eager", "fused")
                torch._dynamo.reset()
                settings = Settings(device=device, dtype=dtype, threads=number, batch=batch, modes=modes)
                rows += rows_of(case, nets, settings)
        print(f"{case.name} measured", file=sys.stderr)
    return rows


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """One line a net; medians in ms and, behind them, the ratio to the vanilla net; batch x threads above."""
    settings = list(dict.fromkeys((row["batch"], row["threads"], row["mode"]) for row in rows))
    heads = [f"{mode} {batch}{f' x {threads}' if threads else ''}" for batch, threads, mode in settings]
    lines = ["| net | method | " + " | ".join(heads) + " |", "|---|---|" + "---:|" * len(heads)]
    for net, variant in dict.fromkeys((row["net"], row["variant"]) for row in rows):
        found = {
            (row["batch"], row["threads"], row["mode"]): f"{row['median_ms']:.1f} ({row['to_vanilla']:.2f})"
            for row in rows
            if (row["net"], row["variant"]) == (net, variant)
        }
        lines.append(f"| {net} | {variant} | " + " | ".join(found[setting] for setting in settings) + " |")
    return "\n".join(lines)


def gains(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """What fusing alone is worth to each method: median over its rows of the fused net's time over the eager one's."""
    times = {
        tuple(row[key] for key in ("net", "batch", "threads", "variant", "mode")): row["median_ms"] for row in rows
    }
    ratios: dict[str, list[float]] = {}
    for (*setting, variant, mode), fused in times.items():
        if mode == "fused":
            ratios.setdefault(variant, []).append(fused / times[(*setting, variant, "eager")])
    return {variant: float(np.median(found)) for variant, found in ratios.items()}


def replaced(before: Sequence[dict[str, Any]], rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of before, in their order, those that were measured again by their new figures."""

    def key(row: Mapping[str, Any]) -> tuple[Any, ...]:
        return tuple(row[name] for name in ("net", "variant", "mode", "batch", "threads"))

    new = {key(row): row for row in rows}
    return [new.pop(key(row), row) for row in before] + list(new.values())


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", metavar="FILE", help="write the figures here; - is the standard output")
    parser.add_argument("--quick", action="store_true", help="ResNet-8 at 32x32, batch 1, one thread")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--bf16", action="store_true", help="weights and pictures in bfloat16")
    parser.add_argument("--nets", nargs="+", choices=[case.name for case in CASES], help="default: all")
    parser.add_argument("--threads", nargs="+", type=int, default=THREADS, help="of a CPU; default: %(default)s")
    parser.add_argument("--again", action="store_true", help="put the new rows in the place of those in --json's file")
    options = parser.parse_args()
    if options.again and not (options.json and Path(options.json).is_file()):
        parser.error("--again: expected --json to name a file with results")
    cases = [QUICK] if options.quick else [case for case in CASES if not options.nets or case.name in options.nets]
    batches, threads = ((1,), (1,)) if options.quick else (BATCHES, options.threads)
    dtype = torch.bfloat16 if options.bf16 else torch.float32
    rows = measure(cases, torch.device(options.device), dtype, batches, threads)
    facts = {"device": options.device, "dtype": str(dtype).removeprefix("torch."), "quick": options.quick}
    command = "python -m " + " ".join(["benchmarks.infer", *sys.argv[1:]])
    if options.again:  # every row is compared within one run: vanilla's rows are replaced with the others
        before = json.loads(Path(options.json).read_text(encoding="utf-8"))
        rows, command = replaced(before["rows"], rows), f"{before['command']}; {command}"
    write_result(options.json, {**header(command, **facts), "rows": rows, "fused_to_eager": gains(rows)}, table(rows))


if __name__ == "__main__":
    main()
