"""What a teacher is worth to a GroupNL net: the same net, alone and taught by its vanilla base, over several seeds.

    python -m benchmarks.distillation --json results/distillation.json

A seed sets the weights, the order and the augmentation of all three nets, and the GroupNL pairs; both students of a
seed begin with the same weights. The settings are those of `recipes/`.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from torch import nn

import groupnl
from benchmarks.experiment import FIRST_CORRUPTIONS, header, write_json
from benchmarks.paired import mean_and_error, paired_difference
from groupnl.data import ImageSet, load
from groupnl.training import TrainConfig, train
from groupnl_device.preprocessing import Preprocessing

TEACHER, STUDENT = "resnet8", "groupnl_resnet8"
KINDS = {  # net and its teacher
    TEACHER: (TEACHER, None),
    STUDENT: (STUDENT, None),
    f"{STUDENT}, taught": (STUDENT, TEACHER),
}
FIGURES = ("clean_accuracy", "mean_error")
SEVERITIES = (1, 3, 5)


def measure(
    name: str,
    teacher: nn.Module | None,
    sets: tuple[ImageSet, ImageSet],
    preprocessing: Preprocessing,
    config: TrainConfig,
) -> tuple[nn.Module, dict[str, Any]]:
    """Train one net, alone or taught, and measure it."""
    train_set, test_set = sets
    torch.manual_seed(config.seed)
    options = {"seed": config.seed} if name == STUDENT else {}
    model = groupnl.create_model(name, num_classes=len(train_set.class_names), **options)
    with tempfile.TemporaryDirectory() as folder:
        run = train(
            model, train_set, test_set, config, folder, preprocessing=preprocessing, teacher=teacher, progress=False
        )
    found = groupnl.evaluate(
        model,
        test_set,
        preprocessing=preprocessing,
        corruptions=FIRST_CORRUPTIONS,
        severities=SEVERITIES,
        batch_size=64,
    )
    return model, {
        "net": name,
        "teacher": None if teacher is None else TEACHER,
        "seed": config.seed,
        "train_accuracy": run.train_accuracy,
        "clean_accuracy": found.clean_accuracy,
        "mean_error": found.mean_error,
        "train_seconds": run.seconds,
    }


def summary(nets: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each net's mean and standard error over the seeds, and the taught minus the lone student, paired by seed.

    Args:
        nets: From ``measure``.

    Returns:
        A row for each net that is there; last the difference, its ``margin`` being half its 95 % interval, where two
        seeds have both students.
    """
    rows: list[dict[str, Any]] = []
    found: list[dict[int, dict[str, Any]]] = []
    for what, kind in KINDS.items():
        of_kind = {net["seed"]: net for net in nets if (net["net"], net["teacher"]) == kind}
        found.append(of_kind)
        if of_kind:
            figures = {figure: mean_and_error([net[figure] for net in of_kind.values()]) for figure in FIGURES}
            cells = {f: {"mean": mean, "standard_error": error} for f, (mean, error) in figures.items()}
            rows.append({"what": what, "seeds": len(of_kind), **cells})
    _, alone, taught = found
    both = [seed for seed in alone if seed in taught]
    if len(both) > 1:
        differences = {}
        for figure in FIGURES:
            difference = paired_difference([taught[s][figure] for s in both], [alone[s][figure] for s in both])
            if difference is not None:
                differences[figure] = {"mean": difference.mean, "margin": difference.half_width}
        rows.append({"what": "taught - alone", "seeds": len(both), **differences})
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """The summary in Markdown, in percent and points: standard errors, and the differences' 95 % margins."""
    lines = ["| | seeds | clean accuracy | mean error |", "|---|---:|---:|---:|"]
    for row in rows:
        cells = []
        for figure in FIGURES:
            spread = row[figure].get("margin", row[figure].get("standard_error"))
            cells.append(f"{100 * row[figure]['mean']:.1f}" + ("" if spread is None else f" ± {100 * spread:.1f}"))
        lines.append(f"| {row['what']} | {row['seeds']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Train the three nets with every seed, show and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--task-loss-weight", type=float, default=0.1)
    parser.add_argument("--distill-temperature", type=float, default=4.0)
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="written after every net, so a stopped run keeps what it has"
    )
    arguments = parser.parse_args()
    epochs, weight, temperature = arguments.epochs, arguments.task_loss_weight, arguments.distill_temperature
    sets = load("openicons", split="train"), load("openicons", split="test")
    mean, std = sets[0].channel_stats()
    preprocessing = Preprocessing(input_size=(3, 32, 32), mean=mean, std=std)
    head = header(
        f"python -m benchmarks.distillation --epochs {epochs} --seeds {' '.join(map(str, arguments.seeds))} "
        f"--task-loss-weight {weight} --distill-temperature {temperature}",
        data="OpenIcons, random split, 32x32",
        test_images=len(sets[1]),
        severities=list(SEVERITIES),
        epochs=epochs,
        task_loss_weight=weight,
        distill_temperature=temperature,
    )
    nets: list[dict[str, Any]] = []
    for seed in arguments.seeds:
        teacher: nn.Module | None = None
        for what, (name, taught_by) in KINDS.items():
            begin = time.perf_counter()
            config = TrainConfig(
                epochs=epochs,
                batch_size=64,
                lr=0.25,
                warmup_epochs=min(4.0, epochs / 4),
                label_smoothing=0.1,
                crop_padding=3,
                task_loss_weight=weight if taught_by else None,
                distill_temperature=temperature if taught_by else None,
                seed=seed,
                test_every=epochs,
            )
            model, net = measure(name, teacher if taught_by else None, sets, preprocessing, config)
            teacher = model if name == TEACHER else teacher
            nets.append(net)
            print(
                f"seed {seed} {what:24} clean {net['clean_accuracy']:.1%} mean error {net['mean_error']:.1%} "
                f"({time.perf_counter() - begin:.0f} s)",
                flush=True,
            )
            if arguments.json:
                write_json(arguments.json, {**head, "summary": summary(nets), "nets": nets})
    print("\n" + table(summary(nets)))


if __name__ == "__main__":
    main()
