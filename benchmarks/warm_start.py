"""What a warm start is worth: a trained net converted with each ``init``, before and after a little fine-tuning.

    python -m benchmarks.warm_start --json results/warm-start.json

A vanilla net is trained once on OpenIcons (ResNet-8; ResNet-18 of a quarter of the width). A seed then sets the GroupNL
pairs, the random weights, the calibration images and the order of the fine-tuning, which is the same for every
``init``: SGD at a fifth of the usual rate, falling to zero over one epoch, and in a second run over three.
"""

import argparse
import copy
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import groupnl
from benchmarks.experiment import header, write_json
from groupnl.data import ImageSet, load
from groupnl.evaluation import predictions
from groupnl.training import TrainConfig, train
from groupnl_device.preprocessing import Preprocessing

NETS: dict[str, tuple[dict[str, Any], float]] = {  # arguments of create_model, learning rate of the first training
    "resnet8": ({}, 0.25),
    "resnet18": ({"channels": (16, 32, 64, 128), "cifar_stem": True}, 0.1),
}
INITS: dict[str, tuple[groupnl.models.Init, bool]] = {  # name: init, whether it is given images
    "random": ("random", False),
    "keep": ("keep", False),
    "pretrained, no data": ("pretrained", False),
    "pretrained": ("pretrained", True),
}
CALIBRATION_IMAGES = 256
FINE_TUNING_LR = 0.05
FINE_TUNING_EPOCHS = (1, 3)

Sets = tuple[ImageSet, ImageSet]


def trained(name: str, sets: Sets, preprocessing: Preprocessing, epochs: int) -> nn.Module:
    """The vanilla net, trained from seed 0."""
    arguments, lr = NETS[name]
    torch.manual_seed(0)
    model = groupnl.create_model(name, num_classes=len(sets[0].class_names), **arguments)
    config = TrainConfig(
        epochs=epochs,
        batch_size=64,
        lr=lr,
        warmup_epochs=min(4.0, epochs / 4),
        label_smoothing=0.1,
        crop_padding=3,
        test_every=epochs,
    )
    with tempfile.TemporaryDirectory() as folder:
        train(model, sets[0], None, config, folder, preprocessing=preprocessing, progress=False)
    return model


def fine_tuned(model: nn.Module, sets: Sets, preprocessing: Preprocessing, epochs: int, seed: int) -> float:
    """Test accuracy of a copy of the net after some epochs."""
    config = TrainConfig(
        epochs=epochs,
        batch_size=64,
        lr=FINE_TUNING_LR,
        warmup_epochs=0.2,
        label_smoothing=0.1,
        crop_padding=3,
        seed=seed,
        test_every=epochs,
    )
    with tempfile.TemporaryDirectory() as folder:
        run = train(copy.deepcopy(model), *sets, config, folder, preprocessing=preprocessing, progress=False)
    if run.test_accuracy is None:
        raise RuntimeError("the run measured no accuracy")
    return run.test_accuracy


def accuracy(model: nn.Module, test_set: ImageSet, preprocessing: Preprocessing) -> float:
    """Share of the test pictures that the net gets right."""
    return float((predictions(model, test_set, preprocessing=preprocessing) == test_set.labels).double().mean())


def measure(vanilla: nn.Module, init: str, sets: Sets, preprocessing: Preprocessing, seed: int) -> dict[str, Any]:
    """Convert a copy of the net with one init and measure it before and after fine-tuning."""
    how, with_images = INITS[init]
    images = calibration_images(sets[0], preprocessing, seed) if with_images else None
    model = copy.deepcopy(vanilla)
    torch.manual_seed(seed)
    begin = time.perf_counter()
    groupnl.convert_(model, "standard", seed=seed, init=how, calibration=images)
    seconds = time.perf_counter() - begin
    return {
        "init": init,
        "seed": seed,
        "convert_seconds": seconds,
        "accuracy_before": accuracy(model, sets[1], preprocessing),
        **{
            f"accuracy_after_{epochs}": fine_tuned(model, sets, preprocessing, epochs, seed)
            for epochs in FINE_TUNING_EPOCHS
        },
    }


def calibration_images(train_set: ImageSet, preprocessing: Preprocessing, seed: int) -> Tensor:
    """Random training pictures without their labels, normalised."""
    chosen = torch.randperm(len(train_set), generator=torch.Generator().manual_seed(seed))[:CALIBRATION_IMAGES]
    return torch.from_numpy(preprocessing.normalize(train_set.images[chosen].numpy()))


def table(rows: list[dict[str, Any]]) -> str:
    """Mean and standard deviation over the seeds, in Markdown, in percent."""
    figures = ("accuracy_before", *(f"accuracy_after_{epochs}" for epochs in FINE_TUNING_EPOCHS))
    heads = ("before", *(f"after {epochs} epoch{'s' * (epochs > 1)}" for epochs in FINE_TUNING_EPOCHS))
    lines = [f"| net | init | seeds | {' | '.join(heads)} |", "|---|---|---:|" + "---:|" * len(heads)]
    for net, init in dict.fromkeys((row["net"], row["init"]) for row in rows):
        found = [row for row in rows if (row["net"], row["init"]) == (net, init)]
        cells = [_cell([row[figure] for row in found]) for figure in figures]
        lines.append(f"| {net} | {init} | {len(found)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(values: list[float]) -> str:
    deviation = f" ± {100 * statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{100 * statistics.mean(values):.1f}{deviation}"


def main() -> None:
    """Train the vanilla nets, convert them with every init and seed, show and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nets", nargs="+", choices=list(NETS), default=list(NETS))
    parser.add_argument("--epochs", type=int, default=12, help="of the vanilla nets")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="written after every net, so a stopped run keeps what it has"
    )
    arguments = parser.parse_args()
    sets = load("openicons", split="train"), load("openicons", split="test")
    mean, std = sets[0].channel_stats()
    preprocessing = Preprocessing(input_size=(3, 32, 32), mean=mean, std=std)
    result = header(
        f"python -m benchmarks.warm_start --nets {' '.join(arguments.nets)} --epochs {arguments.epochs} "
        f"--seeds {' '.join(map(str, arguments.seeds))}",
        data="OpenIcons, random split, 32x32",
        test_images=len(sets[1]),
        epochs=arguments.epochs,
        calibration_images=CALIBRATION_IMAGES,
        fine_tuning_lr=FINE_TUNING_LR,
        torch_threads=torch.get_num_threads(),
        vanilla_accuracy={},
        nets=[],
    )
    for name in arguments.nets:
        vanilla = trained(name, sets, preprocessing, arguments.epochs)
        result["vanilla_accuracy"][name] = accuracy(vanilla, sets[1], preprocessing)
        print(f"{name}: vanilla {result['vanilla_accuracy'][name]:.1%}", flush=True)
        for seed in arguments.seeds:
            for init in INITS:
                row = {"net": name, **measure(vanilla, init, sets, preprocessing, seed)}
                result["nets"].append(row)
                shown = ", ".join(
                    f"after {epochs}: {row[f'accuracy_after_{epochs}']:.1%}" for epochs in FINE_TUNING_EPOCHS
                )
                print(
                    f"{name} seed {seed} {init:20} before {row['accuracy_before']:.1%}, {shown} "
                    f"({row['convert_seconds']:.1f} s to convert)",
                    flush=True,
                )
                if arguments.json:
                    write_json(arguments.json, result)
    print(table(result["nets"]))


if __name__ == "__main__":
    main()
