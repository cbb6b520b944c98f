"""The cost of every net of the zoo beside its vanilla base, as a table in the docs.

python -m benchmarks.zoo             # measure, write results/zoo.json and docs/zoo.md
python -m benchmarks.zoo --check     # exit 1 where docs/zoo.md does not follow from results/zoo.json
"""

import argparse
import json
import re
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import timm
import torch

from benchmarks.experiment import header, write_json
from groupnl.analysis import complexity
from groupnl.models import ZOO, ConversionReport, convert_
from groupnl.nn import GhostConv2d, SeededLayer

ROOT = Path(__file__).parents[1]
RESULTS, PAGE = ROOT / "results" / "zoo.json", ROOT / "docs" / "zoo.md"
TODAYS_NETS = ("mobilenetv4_conv_small", "repvit_m0_9", "convnext_atto")
BEYOND_THE_PAPER = (
    *((base, "sparse_basic") for base in ("resnet18", "resnet34")),
    *(
        (base, policy)
        for base in ("mobilenetv2_100", "mobilenetv3_large_100", "efficientnet_lite0")
        for policy in ("pointwise", "lean")
    ),
    *(("mobilenetv4_conv_small", policy) for policy in ("sparse_depthwise", "pointwise", "lean")),
    ("repvit_m0_9", "sparse_depthwise"),
    ("repvit_m0_9", "pointwise"),
    *(("convnext_atto", policy) for policy in ("sparse_depthwise", "pointwise")),
)
COLUMNS = (  # key, unit, digits
    ("params", 1, 0),
    ("macs", 1e6, 1),
    ("elementwise", 1e6, 2),
    ("transcendentals", 1e6, 2),
    ("activation_bytes", 1e6, 2),
    ("gradient_bytes", 1e6, 2),
)
HEAD = """# The zoo, and what it costs

Made by `python -m benchmarks.zoo` ({date}, timm {timm}, torch {torch}) from shapes alone; nothing here is about
accuracy. One image of the size named; 1000 classes (ResNet-8: 10). [What each figure means](cost.md), in short:
multiply-adds are those of convolutions and matrix products; elementwise counts results of pointwise operators and
inputs of norms, sums and poolings; sin, exp, ... are the calls of transcendental functions among them; kept is what
training keeps of one image for the backward pass; gradients is what data-parallel training exchanges in a step, in
float32. Changes are against the net in bold above. Mono makes its filters anew in every step: its elementwise figure
holds that work.

The baselines of the ResNets are Ghost, SineFM and Mono. Those of the mobile nets are their depthwise convolutions:
there, the baseline is the vanilla net.

In inverted-residual nets the published form, sparse GroupNL in place of depthwise convolutions, saves no parameter
and no multiply-add: two inputs times half the outputs is as much as one input times all. `pointwise` and `lean` go
beyond the paper and take the work from where it is, the 1x1 expansions; `sparse_basic` is the sparse form for basic
blocks. [What is known of their accuracy](forms.md).

| net | replaced | parameters | multiply-adds, M | elementwise, M | sin, exp, ..., M | kept, MB | gradients, MB |
|---|---:|---:|---:|---:|---:|---:|---:|
"""
TAIL = """
## What is replaced in today's nets

A name stands for all that differ from it in numbers (`*`) only. `groupnl profile NET --policy POLICY` shows each.

"""


def row(name: str, model: torch.nn.Module, size: tuple[int, int, int]) -> dict[str, Any]:
    """The figures of one net."""
    cost = complexity(model, size)
    replaced = sum(isinstance(module, SeededLayer | GhostConv2d) for module in model.modules())
    figures = {key: getattr(cost, key) for key, _, _ in COLUMNS}
    return {"name": name, "input_size": size, "replaced": replaced, **figures}


def conversion(report: ConversionReport) -> dict[str, dict[str, int]]:
    """What went, by the shape of its name, and what stayed, by the reason."""
    return {
        "replaced": dict(Counter(re.sub(r"\d+(?=\.)", "*", entry.name) for entry in report.replaced)),
        "left": dict(Counter(entry.reason.rpartition(": ")[2] for entry in report.skipped)),
    }


def measure() -> dict[str, Any]:
    """Every base, then the nets made of it."""
    bases: dict[str, list[str]] = {}
    for zoo_row in ZOO.values():
        bases.setdefault(zoo_row.base, []).append(zoo_row.name)
    rows = []
    for base in dict.fromkeys([*bases, *(base for base, _ in BEYOND_THE_PAPER)]):
        classes = 10 if base == "resnet8" else 1000
        size = (3, 32, 32) if base == "resnet8" else (3, 224, 224)
        rows.append(row(base, timm.create_model(base, num_classes=classes), size))
        rows += [row(name, timm.create_model(name, num_classes=classes), size) for name in bases.get(base, ())]
        for policy in (policy for other, policy in BEYOND_THE_PAPER if other == base):
            model = timm.create_model(base, num_classes=classes)
            report = convert_(model, policy, input_size=size)
            rows.append({**row(f"{base}+{policy}", model, size), "conversion": conversion(report)})
    return {**header("python -m benchmarks.zoo"), "nets": rows}


def page(results: Mapping[str, Any]) -> str:
    """The page that follows from the figures; each base in bold, changes against it."""
    text = HEAD.format(date=results["date"], timm=results["versions"]["timm"], torch=results["versions"]["torch"])
    base: dict[str, Any] = {}
    for net in results["nets"]:
        is_base = net["replaced"] == 0
        base = net if is_base else base
        cells = []
        for key, unit, digits in COLUMNS:
            change = "" if is_base or not base[key] else f" ({(net[key] - base[key]) / base[key]:+.0%})"
            cells.append(f"{net[key] / unit:,.{digits}f}{change}")
        label = f"**{net['name']}**, {net['input_size'][1]}x{net['input_size'][2]}" if is_base else net["name"]
        text += f"| {label} | {net['replaced'] or ''} | " + " | ".join(cells) + " |\n"
    text += TAIL
    for net in results["nets"]:
        if net["name"].partition("+")[0] in TODAYS_NETS and "conversion" in net:
            went = ", ".join(f"{count} x `{name}`" for name, count in net["conversion"]["replaced"].items())
            stayed = ", ".join(f"{count} x {reason}" for reason, count in net["conversion"]["left"].items())
            text += f"- `{net['name']}`: {went}. Left: {stayed}.\n"
    return text


def main() -> int:
    """Measure and write, or check."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where the page differs")
    if parser.parse_args().check:
        same = page(json.loads(RESULTS.read_text(encoding="utf-8"))) == PAGE.read_text(encoding="utf-8")
        print(
            "docs/zoo.md follows from results/zoo.json" if same else "docs/zoo.md differs: run python -m benchmarks.zoo"
        )
        return int(not same)
    results = measure()
    write_json(RESULTS, results)
    PAGE.write_text(page(results), encoding="utf-8")
    print(page(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
