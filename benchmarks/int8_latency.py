"""Latency in 8 bits of each bound before the sine, in standard and in native operators, beside the vanilla net.

    python -m benchmarks.int8_latency [--quick] --json results/int8-latency.json

One picture at a time. The nets have fresh weights and random pictures: latency does not depend on them. All forms of a
net are timed in turns, so that a disturbed second disturbs them all alike; a form whose operators are not installed is
left out.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import onnxruntime
import torch

import groupnl
from benchmarks.experiment import header, write_result
from benchmarks.quantized_nets import int8_bundles
from groupnl.export.latency import interleaved_ms
from groupnl_device.bundle import Bundle
from groupnl_device.errors import BundleError
from groupnl_device.preprocessing import Preprocessing
from groupnl_device.runtime import Session

NETS: Mapping[str, tuple[str, int, dict[str, Any]]] = {  # row: net without its family, side, options
    "resnet8@32": ("resnet8", 32, {}),
    "resnet18@32": ("resnet18", 32, {"cifar_stem": True}),
    "resnet18": ("resnet18", 224, {}),
    "resnet50": ("resnet50", 224, {}),
}
BOUNDS = ("l2", "batch", "clamp", "none")
FORMS = ("plain", "native")
CLASSES = 10
_PICTURES = 4  # enough for ranges: latency does not depend on them


def bundles_of(row: str) -> dict[tuple[str, str], Bundle]:
    """By (bound, form), a net in 8 bits; the vanilla net has one form."""
    base, side, options = NETS[row]
    preprocessing = Preprocessing(input_size=(3, side, side), mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    pictures = torch.randint(0, 256, (_PICTURES, 3, side, side), generator=torch.Generator().manual_seed(0))
    bundles: dict[tuple[str, str], Bundle] = {}
    for bound in ("vanilla", *BOUNDS):
        torch.manual_seed(0)
        name, own = (base, {}) if bound == "vanilla" else (f"groupnl_{base}", {"normalize": bound})
        model = groupnl.create_model(name, num_classes=CLASSES, **options, **own).eval()
        found = int8_bundles(model, preprocessing, pictures.to(torch.uint8))
        bundles |= {(bound, form): found[form] for form in FORMS if form in found}
    return bundles


def measure(row: str, threads: Sequence[int], budget: float) -> list[dict[str, Any]]:
    """Median latency of every form of a net, ms, and its ratio to the vanilla net in 8 bits, by number of threads."""
    bundles, side = bundles_of(row), NETS[row][1]
    image = np.zeros((1, 3, side, side), np.float32)
    rows: list[dict[str, Any]] = []
    for count in threads:
        calls = {}
        for (bound, form), bundle in bundles.items():
            try:
                calls[bound, form] = partial(Session(bundle, threads=count).logits, image)
            except BundleError as error:
                print(f"{row} {bound} {form}: left out, {error}", file=sys.stderr)
        found = interleaved_ms({" ".join(key): call for key, call in calls.items()}, budget)
        rows += [
            {
                "net": row,
                "bound": bound,
                "form": form,
                "threads": count,
                "median_ms": found[f"{bound} {form}"],
                "ratio_to_vanilla": found[f"{bound} {form}"] / found["vanilla plain"],
            }
            for bound, form in calls
        ]
    return rows


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """A line for each bound and form, a column for each net and number of threads."""
    columns = list(dict.fromkeys((row["net"], row["threads"]) for row in rows))
    heads = [f"{net}, {threads} thread{'s' if threads > 1 else ''}" for net, threads in columns]
    lines = ["| bound | form | " + " | ".join(heads) + " |", "|---|---|" + "---:|" * len(columns)]
    by_place = {(row["bound"], row["form"], row["net"], row["threads"]): row for row in rows}
    for bound, form in dict.fromkeys((row["bound"], row["form"]) for row in rows):
        cells = []
        for net, threads in columns:
            row = by_place.get((bound, form, net, threads))
            ms = "" if row is None else f"{row['median_ms']:.2f} ms"
            cells.append(ms if row is None or bound == "vanilla" else f"{row['ratio_to_vanilla']:.2f}")
        lines.append(f"| {bound} | {form} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Time every net, show and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a few runs")
    parser.add_argument("--nets", nargs="+", choices=tuple(NETS), default=tuple(NETS))
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--json", metavar="FILE", help="- prints the figures alone")
    arguments = parser.parse_args()
    budget = 0.1 if arguments.quick else 5.0  # s for each form
    rows = [row for net in arguments.nets for row in measure(net, arguments.threads, budget)]
    some = "" if arguments.threads == [1, 2] else f" --threads {' '.join(map(str, arguments.threads))}"
    some += "" if tuple(arguments.nets) == tuple(NETS) else f" --nets {' '.join(arguments.nets)}"
    command = f"python -m benchmarks.int8_latency{' --quick' if arguments.quick else ''}{some}"
    result = {
        **header(f"{command} --json results/int8-latency.json", onnxruntime=onnxruntime.__version__),
        "rows": rows,
    }
    write_result(arguments.json, result, table(rows))


if __name__ == "__main__":
    main()
