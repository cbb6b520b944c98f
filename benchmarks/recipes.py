"""Write recipes/robustness/: one YAML for each net and data set of the paper's tables, their controls and ablations.

    python -m benchmarks.recipes           # write
    python -m benchmarks.recipes --check   # exit 1 where a file differs

Every row of one protocol is trained alike; only the net, and ``augment``, differ. Two controls stand beside the paper's
methods: ``vanilla-equal`` is the vanilla net with narrower layers and as many parameters as GroupNL at r = 2, and
``groupnl-identity`` has plain copies of the normalised seed maps where GroupNL has sines.
"""

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import torch
import yaml

import groupnl

FOLDER = Path(__file__).parents[1] / "recipes" / "robustness"
CLASSES = {"cifar10": 10, "gtsrb": 43, "icons50": 50, "openicons": 20}

GROUPNL = {"groupnl-r2": {"reduction": 2}, "groupnl-r4": {"reduction": 4}, "groupnl-r8": {"reduction": 8}}
CONTROLS = ("vanilla-equal", "groupnl-identity")
BASELINES = ("ghost", "sinefm", "mono")
ABLATIONS: Mapping[str, Mapping[str, Any]] = {
    "groupnl-rms": {"normalize": "rms"},
    "groupnl-none": {"normalize": "none"},
    "groupnl-batch": {"normalize": "batch"},
    "groupnl-clamp": {"normalize": "clamp"},
    "groupnl-g2": {"nl_groups": 2},
    "groupnl-g8": {"nl_groups": 8},
    "groupnl-gaussian": {"nlf": "gaussian"},
    "groupnl-monomial": {"nlf": "monomial"},
    "groupnl-legendre": {"nlf": "legendre"},
    "groupnl-slow": {"period_range": [0.5, 1.0]},
    "groupnl-fast": {"period_range": [2.0, 4.0]},
    "groupnl-pairs1": {"seed": 1},
    "groupnl-pairs2": {"seed": 2},
    "groupnl-pairs3": {"seed": 3},
    "groupnl-pairs4": {"seed": 4},
}
VARIANTS: Mapping[str, Mapping[str, Any]] = {**GROUPNL, "groupnl-identity": {"nlf": "identity"}, **ABLATIONS}


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """How all nets of one base are trained.

    Attributes:
        base: Zoo name of the vanilla net.
        options: Of every net of the protocol.
        channels: Of the vanilla net's stages.
        data: Where it is run.
        training: Options of ``groupnl train`` by data set or augmentation; ``""`` holds for all.
    """

    base: str
    channels: tuple[int, ...]
    data: tuple[str, ...]
    training: Mapping[str, Mapping[str, Any]]
    options: Mapping[str, Any] = field(default_factory=dict)


_SMALL = {"batch-size": 64, "lr": 0.1, "label-smoothing": 0.1}
_CHEAP_AUGMIX = {"jsd-weight": 0}  # one view of a picture a step, not three
PROTOCOLS: Mapping[str, Protocol] = {
    # for a GPU
    "resnet18": Protocol(
        base="resnet18",
        channels=(64, 128, 256, 512),
        options={"cifar_stem": True},
        data=("icons50", "cifar10", "gtsrb"),
        training={"": {"epochs": 60, "batch-size": 128, "lr": 0.1, "precision": "bf16", "compile": True}},
    ),
    # for one CPU core
    "resnet18_quarter": Protocol(
        base="resnet18",
        channels=(16, 32, 64, 128),
        options={"cifar_stem": True},
        data=("icons50", "openicons"),
        training={"": {"epochs": 8, **_SMALL}, "openicons": {"epochs": 15}, "augmix": _CHEAP_AUGMIX},
    ),
    "resnet8": Protocol(
        base="resnet8",
        channels=(16, 32, 64),
        data=("icons50", "openicons"),
        training={"": {"epochs": 10, **_SMALL}, "openicons": {"epochs": 20}, "augmix": _CHEAP_AUGMIX},
    ),
}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One recipe: what is trained, on what, how."""

    protocol: str
    data: str
    method: str  # vanilla, ghost, sinefm, mono, vanilla-equal, groupnl-...
    augment: str = "plain"

    @property
    def name(self) -> str:
        """Such as ``resnet18/icons50-groupnl-r2-augmix``."""
        ending = "" if self.augment == "plain" else f"-{self.augment}"
        return f"{self.protocol}/{self.data}-{self.method}{ending}"

    @property
    def path(self) -> Path:
        """Of the recipe's file."""
        return FOLDER / f"{self.name}.yaml"


def stages(protocol: str) -> list[list[Row]]:
    """The recipes of a protocol in groups that answer one question each, the most informative first."""
    main, *others = PROTOCOLS[protocol].data
    paper = ("vanilla", "groupnl-r2")
    groups: list[tuple[str, tuple[str, ...], str]] = []
    for methods in (paper, CONTROLS, BASELINES):
        groups += [(data, methods, "plain") for data in (main, *others) if data != "gtsrb"]
    groups += [(data, (*paper, *CONTROLS), "augmix") for data in (main, *others) if data == main or data == "cifar10"]
    pairs = tuple(method for method in ABLATIONS if "pairs" in method)
    layers = tuple(method for method in ABLATIONS if method not in ("groupnl-rms", *pairs))
    groups += [(main, methods, "plain") for methods in (("groupnl-rms",), pairs, ("groupnl-r4", "groupnl-r8"), layers)]
    if "cifar10" in others:
        groups += [("cifar10", ("groupnl-r4", "groupnl-r8"), "plain")]
    if "gtsrb" in others:
        groups += [("gtsrb", (*paper, *CONTROLS, *BASELINES, "groupnl-r4", "groupnl-r8"), "plain")]
        rest = (*BASELINES, "groupnl-r4", "groupnl-r8")
        groups += [(main, rest, "augmix"), ("cifar10", rest, "augmix"), ("gtsrb", (*paper, *CONTROLS, *rest), "augmix")]
    return [
        [Row(protocol=protocol, data=data, method=method, augment=augment) for method in methods]
        for data, methods, augment in groups
    ]


def rows(protocol: str) -> list[Row]:
    """The recipes of a protocol, the most informative first."""
    return [row for stage in stages(protocol) for row in stage]


def text(row: Row) -> str:
    """The recipe's file."""
    protocol = PROTOCOLS[row.protocol]
    net, options = _net(row)
    recipe = {
        "net": net,
        "model-option": [f"{key}={json.dumps(value)}" for key, value in {**protocol.options, **options}.items()],
        "data": row.data,
        "out": f"runs/robustness/{row.name}",
        **protocol.training[""],
        **protocol.training.get(row.data, {}),
        **({} if row.augment == "plain" else {"augment": row.augment, **protocol.training.get(row.augment, {})}),
    }
    if not recipe["model-option"]:
        del recipe["model-option"]
    head = "# Written by python -m benchmarks.recipes. Run: groupnl train recipes/robustness/"
    return f"{head}{row.name}.yaml --seed 0\n{yaml.safe_dump(recipe, sort_keys=False, width=120)}"


def _net(row: Row) -> tuple[str, dict[str, Any]]:
    """Zoo name and options of a row's net."""
    protocol = PROTOCOLS[row.protocol]
    default = "quarter" not in row.protocol
    channels = {} if default else {"channels": list(protocol.channels)}
    if row.method == "vanilla":
        return protocol.base, channels
    if row.method == "vanilla-equal":
        return protocol.base, {"channels": list(equal_channels(row.protocol, CLASSES[row.data]))}
    if row.method in BASELINES:
        return f"{row.method}_{protocol.base}", channels
    return f"groupnl_{protocol.base}", {**channels, **VARIANTS[row.method]}


@cache
def equal_channels(protocol: str, classes: int) -> tuple[int, ...]:
    """Widths at which the vanilla net has as nearly as possible the parameters of GroupNL at r = 2.

    All stages are scaled by one factor and rounded.
    """
    chosen = PROTOCOLS[protocol]
    wanted = _params(f"groupnl_{chosen.base}", chosen, chosen.channels, classes)
    candidates = {tuple(round(i / 1000 * c) for c in chosen.channels) for i in range(700, 850)}
    return min(sorted(candidates), key=lambda c: abs(_params(chosen.base, chosen, c, classes) - wanted))


def _params(name: str, protocol: Protocol, channels: tuple[int, ...], classes: int) -> int:
    with torch.device("meta"):
        model = groupnl.create_model(name, num_classes=classes, channels=channels, **protocol.options)
    return sum(parameter.numel() for parameter in model.parameters())


def written() -> dict[Path, str]:
    """Every recipe as it should be."""
    return {row.path: text(row) for protocol in PROTOCOLS for row in rows(protocol)}


def main() -> int:
    """Write or check."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where something differs")
    arguments = parser.parse_args()
    wanted = written()
    there = set(FOLDER.glob("*/*.yaml"))
    differing = [p for p, t in wanted.items() if p not in there or p.read_text(encoding="utf-8") != t]
    surplus = sorted(there - set(wanted))
    for path in (*differing, *surplus):
        if arguments.check:
            print(f"{path.relative_to(FOLDER.parents[1])} differs: run python -m benchmarks.recipes")
        elif path in wanted:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(wanted[path], encoding="utf-8")
        else:
            path.unlink()
    return int(arguments.check and bool(differing or surplus))


if __name__ == "__main__":
    sys.exit(main())
