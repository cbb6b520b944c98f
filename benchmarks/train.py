"""A whole training step: images a second and peak memory, every method beside the vanilla net, all in one run.

    python -m benchmarks.train --json results/train.json                                   # on a CPU
    python -m benchmarks.train --device cuda --json results/train-cuda.json                # bf16, channels last
    python -m benchmarks.train --quick --json -                                            # ResNet-18 at 32x32, eager

A step is forward, cross-entropy, backward and an SGD update with momentum on one batch of random pictures that lie on
the device. Times are medians of interleaved rounds; ``speed`` is the vanilla net's time over this one's, in the same
mode. ``peak_bytes`` is the most memory that a step holds beyond the batch, the weights, their gradients and momenta. A
GPU runs under autocast to bfloat16.
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from benchmarks.experiment import header, write_result
from benchmarks.rounds import median_ms, peak_bytes
from groupnl.models import create_model

CLASSES = 1000


@dataclass(frozen=True, kw_only=True)
class Case:
    """One base net: its variants by zoo name, its size, and batches that fit."""

    name: str
    side: int
    variants: Mapping[str, str]
    cpu_batch: int
    gpu_batch: int
    cifar_stem: bool = False
    compiled_on_cpu: bool = False  # a deep net takes Inductor many minutes there


def _resnet(depth: int, *, groupnl: Mapping[str, str]) -> dict[str, str]:
    baselines = {name: f"{name}_resnet{depth}" for name in ("ghost", "sinefm")}
    return {"vanilla": f"resnet{depth}", **baselines, **groupnl}


CASES = (
    Case(
        name="resnet18@32",
        side=32,
        variants=_resnet(18, groupnl={"groupnl": "groupnl_resnet18"}),
        cpu_batch=16,
        gpu_batch=1024,
        cifar_stem=True,
        compiled_on_cpu=True,
    ),
    *(
        Case(
            name=f"resnet{depth}@224",
            side=224,
            variants=_resnet(
                depth, groupnl={"groupnl": f"groupnl_resnet{depth}", "groupnl_std_r2": f"groupnl_std_r2_resnet{depth}"}
            ),
            cpu_batch=cpu_batch,
            gpu_batch=128,
        )
        for depth, cpu_batch in ((50, 4), (101, 2))
    ),
    Case(
        name="mobilenetv3_large_100@224",
        side=224,
        variants={"vanilla": "mobilenetv3_large_100", "groupnl": "groupnl_mobilenetv3_large_100"},
        cpu_batch=8,
        gpu_batch=256,
    ),
)


def step_of(
    net: nn.Module, run: Callable[..., Any], case: Case, batch: int, device: torch.device
) -> Callable[[], None]:
    """A call that trains one step."""
    order = torch.channels_last if device.type == "cuda" else torch.contiguous_format
    images = torch.randn(batch, 3, case.side, case.side, device=device).to(memory_format=order)
    labels = torch.arange(batch, device=device) % CLASSES
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-3, momentum=0.9)

    def step() -> None:
        optimizer.zero_grad(set_to_none=False)
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            loss = nn.functional.cross_entropy(run(images), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step


def rows_of(case: Case, mode: str, *, device: torch.device, rounds: int) -> list[dict[str, Any]]:
    """Measure a base net's variants in one mode: ``eager`` or ``compiled``."""
    torch._dynamo.reset()
    batch = case.gpu_batch if device.type == "cuda" else case.cpu_batch
    order = torch.channels_last if device.type == "cuda" else torch.contiguous_format
    stem = {"cifar_stem": True} if case.cifar_stem else {}
    steps = {}
    for variant, name in case.variants.items():
        torch.manual_seed(0)
        net = create_model(name, num_classes=CLASSES, **stem).to(device).to(memory_format=order)
        steps[variant] = step_of(net, torch.compile(net) if mode == "compiled" else net, case, batch, device)
    times = median_ms(steps, rounds=rounds, device=device, warm_up=2)
    return [
        {
            "net": case.name,
            "variant": variant,
            "mode": mode,
            "batch": batch,
            "step_ms": times[variant],
            "images_per_second": 1e3 * batch / times[variant],
            "speed": times["vanilla"] / times[variant],
            "peak_bytes": peak_bytes(step, device),
        }
        for variant, step in steps.items()
    ]


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """In Markdown."""
    lines = [
        "| net | method | mode | images/s | speed, vanilla = 1 | peak memory, MB |",
        "|---|---|---|---:|---:|---:|",
    ]
    for row in rows:
        cells = (row["net"], row["variant"], row["mode"], f"{row['images_per_second']:.1f}", f"{row['speed']:.2f}")
        lines.append(f"| {' | '.join(cells)} | {row['peak_bytes'] / 1e6:.0f} |")
    return "\n".join(lines)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", metavar="FILE", help="write the figures here; - is the standard output")
    parser.add_argument("--quick", action="store_true", help="ResNet-18 at 32x32, eager, few rounds")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--nets", nargs="+", choices=[case.name for case in CASES], help="default: all")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of the CPU")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    rounds = 5 if options.quick else 11
    rows: list[dict[str, Any]] = []
    for case in CASES[:1] if options.quick else CASES:
        if options.nets and case.name not in options.nets:
            continue
        compiled = not options.quick and (device.type == "cuda" or case.compiled_on_cpu)
        for mode in ("eager", "compiled") if compiled else ("eager",):
            rows += rows_of(case, mode, device=device, rounds=rounds)
            print(f"{case.name} {mode} measured", file=sys.stderr)
    facts = {key: getattr(options, key) for key in ("device", "threads", "quick")}
    facts["dtype"] = "bfloat16 (autocast)" if device.type == "cuda" else "float32"
    command = "python -m " + " ".join(["benchmarks.train", *sys.argv[1:]])
    write_result(options.json, {**header(command, **facts), "rows": rows}, table(rows))


if __name__ == "__main__":
    main()
