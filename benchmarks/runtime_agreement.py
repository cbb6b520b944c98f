"""Does every runtime answer as PyTorch does? Bundles, run as a device runs them, on real pictures.

    python -m benchmarks.runtime_agreement --data-dir DIR --json results/runtime-agreement.json
    python -m benchmarks.runtime_agreement --quick --json -         # one net, 20 pictures

Each net is written for every runtime that is installed, in float32; each form is loaded from its own bytes and
answers the same 200 test pictures as the net does in PyTorch, CIFAR-10's or OpenIcons'. Weights are random, the
statistics of the batch norms are like a trained net's: agreement does not depend on what a net has learned. An answer
that is off by more than 1e-4 of the largest logit, or that chooses another class, is an error.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from benchmarks.experiment import header, write_result
from benchmarks.runtimes import with_statistics
from groupnl.data import load
from groupnl.export import export_bundle
from groupnl.models import create_model
from groupnl_device.preprocessing import Preprocessing
from groupnl_device.runtime import RUNTIMES, obstacle_to

PICTURES, QUICK_PICTURES = 200, 20


@dataclass(frozen=True, kw_only=True)
class Case:
    """A net and its pictures."""

    net: str
    data: str
    side: int
    options: dict[str, Any] = field(default_factory=dict)


CASES = (
    Case(net="groupnl_resnet8", data="cifar10", side=32),
    Case(net="groupnl_resnet18", data="cifar10", side=32, options={"cifar_stem": True}),
    Case(net="groupnl_mobilenetv2_100", data="openicons", side=64),
)


def rows_of(case: Case, runtimes: Sequence[str], pictures: int, data_dir: Path | None) -> list[dict[str, Any]]:
    """How far each form of a net that runs here is from the net."""
    data = load(case.data, split="test", data_dir=data_dir, image_size=case.side)
    order = torch.randperm(len(data.images), generator=torch.Generator().manual_seed(0))[:pictures]
    torch.manual_seed(0)
    net = with_statistics(create_model(case.net, num_classes=len(data.class_names), **case.options))
    preprocessing = Preprocessing(input_size=(3, case.side, case.side), mean=(0.5,) * 3, std=(0.25,) * 3)
    with TemporaryDirectory() as folder:
        report = export_bundle(
            net,
            Path(folder) / "net.gnl",
            example_input=torch.zeros(1, 3, case.side, case.side),
            preprocessing=preprocessing,
            class_names=data.class_names,
            test_images=data.images[order],
            runtimes=runtimes,
        )
    facts = {"net": case.net, "data": case.data, "side": case.side}
    return [
        {**facts, "runtime": artifact.runtime, "form": artifact.form, **artifact.agreement}
        for artifact in report.manifest.artifacts
        if obstacle_to(artifact) is None
    ]


def table(rows: Sequence[dict[str, Any]]) -> str:
    """In Markdown."""
    lines = [
        "| net | pictures | runtime | form | largest difference of a logit, relative | same class |",
        "|---|---|---|---|---:|---:|",
    ]
    lines += [
        f"| {row['net']} | {row['data']}, {row['side']} x {row['side']} | {row['runtime']} | {row['form']} "
        f"| {row['max_relative_difference']:.1e} | {row['same_top1']} of {row['images']} |"
        for row in rows
    ]
    return "\n".join(lines)


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, help="folder of CIFAR-10")
    parser.add_argument("--json", metavar="FILE", help="write the figures here; - is the standard output")
    parser.add_argument("--quick", action="store_true", help=f"the last net, {QUICK_PICTURES} pictures")
    parser.add_argument("--only", nargs="+", choices=[runtime.name for runtime in RUNTIMES], metavar="RUNTIME")
    options = parser.parse_args()
    wanted = [runtime for runtime in RUNTIMES if options.only is None or runtime.name in options.only]
    present = [runtime for runtime in wanted if runtime.version() is not None]
    rows = []
    for case in CASES[-1:] if options.quick else CASES:
        pictures = QUICK_PICTURES if options.quick else PICTURES
        rows += rows_of(case, [runtime.name for runtime in present], pictures, options.data_dir)
        print(f"{case.net} compared", file=sys.stderr)
    facts = {
        "runtimes": {runtime.name: runtime.version() for runtime in present},
        "absent": [runtime.name for runtime in wanted if runtime not in present],
    }
    shown = ["DIR" if str(options.data_dir) == argument else argument for argument in sys.argv[1:]]
    command = "python -m " + " ".join(["benchmarks.runtime_agreement", *shown])
    write_result(options.json, {**header(command, **facts), "rows": rows}, table(rows))


if __name__ == "__main__":
    main()
