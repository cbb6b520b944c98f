"""What each bound before the sine costs in 8 bits: accuracy, clean and corrupted, of the robustness experiments' nets.

    python -m benchmarks.experiments --budget 2h --data-dir DIR --protocol resnet8 --only icons50 \\
        --methods vanilla groupnl-r2 groupnl-none groupnl-batch groupnl-clamp    # trains what is missing
    python -m benchmarks.int8_bounds --data-dir DIR --json results/int8-bounds.json
    python -m benchmarks.int8_bounds --data-dir DIR --seeds 0 --pt2e --json results/int8-bounds.json    # and by torchao

The figures in float32 are those of ``results/robustness``; the same checkpoints are quantised here as ``groupnl export
--precision int8`` does it, in standard operators, and measured on the same corrupted pictures. A stopped run keeps what
it has and goes on from there.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import groupnl
from benchmarks.experiment import header, write_json
from benchmarks.experiments import RESULTS, RUNS, SEEDS
from benchmarks.paired import accuracy_table, mean_and_error
from benchmarks.quantized_nets import int8_bundles
from groupnl.corruptions import names
from groupnl.data import CorruptedSet, ImageSet, load, open_corrupted
from groupnl.evaluation import evaluate, logits
from groupnl.export.quantization import quantized_pytorch
from groupnl.models import read_checkpoint
from groupnl.nn import GroupNLConv2d
from groupnl_device.preprocessing import Preprocessing
from groupnl_device.runtime import Session

PROTOCOL, DATA = "resnet8", "icons50"
BOUNDS = {  # what a row is called: its method in the robustness experiments
    "vanilla": "vanilla",
    "l2": "groupnl-r2",
    "batch": "groupnl-batch",
    "clamp": "groupnl-clamp",
    "none": "groupnl-none",
}
CALIBRATION = 256  # training pictures


def checkpoint_of(bound: str, seed: int) -> Path:
    """Where the experiments keep a net."""
    return RUNS / PROTOCOL / f"{DATA}-{BOUNDS[bound]}" / f"seed{seed}" / "model.safetensors"


def float_figures(bound: str, seed: int) -> dict[str, float] | None:
    """Clean accuracy and mean error over the fifteen corruptions of mCE in float32; None where nothing was trained."""
    path = RESULTS / PROTOCOL / f"{DATA}-{BOUNDS[bound]}-seed{seed}.json"
    if not path.exists():
        return None
    found = json.loads(path.read_text(encoding="utf-8"))["evaluation"]
    errors = [found["corruptions"][name]["error"] for name in names("mce15")]
    return {"clean_accuracy": found["clean_accuracy"], "mean_error": sum(errors) / len(errors)}


def int8_figures(
    bound: str, seed: int, calibration: Tensor, test_set: ImageSet, corrupted: CorruptedSet
) -> dict[str, float]:
    """The same of the quantised net."""
    checkpoint = checkpoint_of(bound, seed)
    bundles = int8_bundles(groupnl.load(checkpoint), preprocessing_of(checkpoint), calibration)
    session = Session(bundles["plain"])

    def run(images: Tensor) -> Tensor:
        return torch.from_numpy(session.logits(images.numpy()))

    found = evaluate(
        run,
        test_set,
        preprocessing=session.bundle.manifest.preprocessing,
        corruptions="mce15",
        corrupted=corrupted,
        batch_size=64,
    )
    if found.mean_error is None:
        raise ValueError("no corruption was run")
    return {"clean_accuracy": found.clean_accuracy, "mean_error": found.mean_error}


def pt2e_accuracy(checkpoint: Path, calibration: Tensor, test_set: ImageSet) -> float:
    """Clean accuracy of the same net quantised by torchao for PyTorch."""
    preprocessing = preprocessing_of(checkpoint)
    net = quantized_pytorch(groupnl.load(checkpoint), calibration.numpy(), preprocessing)

    def run(images: Tensor) -> Tensor:  # a program of torch.export refuses eval(), which a module would be asked for
        answers: Tensor = net(images)
        return answers

    return evaluate(run, test_set, preprocessing=preprocessing, corruptions=(), batch_size=64).clean_accuracy


def share_at_bounds(checkpoint: Path, test_set: ImageSet) -> float:
    """How many of the values that a net's layers clamp lie at or beyond -1 and 1, on the clean pictures."""
    model, counts = groupnl.load(checkpoint), [0, 0]

    def count(_module: nn.Module, _inputs: object, maps: Tensor) -> None:
        counts[0] += int((maps.abs() >= 1).sum())
        counts[1] += maps.numel()

    for layer in model.modules():
        if isinstance(layer, GroupNLConv2d):
            layer.seed_conv.register_forward_hook(count)
    logits(model, test_set, preprocessing=preprocessing_of(checkpoint), batch_size=64)
    return counts[0] / counts[1]


def preprocessing_of(checkpoint: Path) -> Preprocessing:
    """How a checkpoint's pictures become its input."""
    return Preprocessing.from_dict(dict(read_checkpoint(checkpoint).preprocessing or {}))


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Float figures by bound, then what 8 bits change, each a mean over seeds."""
    nets = [{"bound": row["bound"], "seed": row["seed"], **row["float32"]} for row in rows]
    lines = [accuracy_table(nets, "bound", "l2"), ""]
    lines.append("| bound, int8 | clean accuracy, % | change | worst net | mean error, % | change | worst net |")
    lines.append("|---|---:|---:|---:|---:|---:|---:|")
    for bound in dict.fromkeys(row["bound"] for row in rows):
        cells = [bound]
        for figure, worst in (("clean_accuracy", min), ("mean_error", max)):
            found = [row for row in rows if row["bound"] == bound]
            changes = [100 * (row["int8"][figure] - row["float32"][figure]) for row in found]
            cells += [_spread([100 * row["int8"][figure] for row in found]), _spread(changes, sign="+")]
            cells.append(f"{round(worst(changes), 1) + 0.0:+.1f}")
        lines.append("| " + " | ".join(cells) + " |")
    shares = [row["share_at_bounds"] for row in rows if "share_at_bounds" in row]
    if shares:
        lines += [
            "",
            f"With `clamp`, {_spread([100 * share for share in shares])} % of the seed maps' values are -1 or 1.",
        ]
    if torch_too := [row for row in rows if "pt2e_clean_accuracy" in row]:
        cells = [
            f"{row['bound']} {100 * row['pt2e_clean_accuracy']:.1f} ({100 * row['int8']['clean_accuracy']:.1f})"
            for row in torch_too
            if row["seed"] == torch_too[0]["seed"]
        ]
        lines += ["", f"Clean accuracy by torchao's PT2E (by ONNX Runtime), one net each, %: {', '.join(cells)}."]
    return "\n".join(lines)


def _spread(values: Sequence[float], sign: str = "") -> str:
    mean, error = mean_and_error(values)
    return f"{round(mean, 1) + 0.0:{sign}.1f}" + ("" if error is None else f" ± {error:.1f}")


def main() -> None:
    """Quantise and measure what is trained, show and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--pt2e", action="store_true", help="by torchao too, which must be installed; clean pictures")
    parser.add_argument("--json", type=Path, metavar="FILE", help="written after every net; what it holds is kept")
    arguments = parser.parse_args()
    train_set, test_set = (load(DATA, split=split, data_dir=arguments.data_dir) for split in ("train", "test"))
    corrupted = open_corrupted(RUNS / "corrupted" / DATA, test_set)
    order = torch.randperm(len(train_set), generator=torch.Generator().manual_seed(0))
    calibration = train_set.images[order[:CALIBRATION]]
    head = header(
        "python -m benchmarks.int8_bounds --data-dir DIR [--seeds 0 --pt2e] --json results/int8-bounds.json",
        base="ResNet-8, the recipes of recipes/robustness/resnet8",
        data="Icons-50",
        train_images=len(train_set),
        test_images=len(test_set),
        epochs=10,
        calibration_images=CALIBRATION,
        corruptions="the fifteen of mCE, severities 1 to 5",
    )
    rows: list[dict[str, Any]] = []
    if arguments.json is not None and arguments.json.exists():
        rows = json.loads(arguments.json.read_text(encoding="utf-8"))["rows"]
    done = {(row["bound"], row["seed"]) for row in rows}
    for seed in arguments.seeds:
        for bound in BOUNDS:
            single = float_figures(bound, seed)
            if (bound, seed) in done or single is None:
                continue
            eight = int8_figures(bound, seed, calibration, test_set, corrupted)
            rows.append({"bound": bound, "seed": seed, "float32": single, "int8": eight})
            print(f"seed {seed} {bound}: float32 {single}, int8 {eight}", flush=True)
            if arguments.json is not None:
                write_json(arguments.json, {**head, "rows": sorted(rows, key=_place)})
    for row in rows:
        if row["bound"] == "clamp" and "share_at_bounds" not in row:
            row["share_at_bounds"] = share_at_bounds(checkpoint_of("clamp", row["seed"]), test_set)
        if arguments.pt2e and row["seed"] in arguments.seeds and "pt2e_clean_accuracy" not in row:
            row["pt2e_clean_accuracy"] = pt2e_accuracy(checkpoint_of(row["bound"], row["seed"]), calibration, test_set)
    if arguments.json is not None and rows:
        write_json(arguments.json, {**head, "rows": sorted(rows, key=_place)})
    print("\n" + table(sorted(rows, key=_place)))


def _place(row: Mapping[str, Any]) -> tuple[int, int]:
    return list(BOUNDS).index(row["bound"]), row["seed"]


if __name__ == "__main__":
    main()
