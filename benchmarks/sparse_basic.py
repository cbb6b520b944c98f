"""Why the sparse form fails in basic blocks, and what a cure is worth: channel reach, then accuracy, trained alike.

    python -m benchmarks.sparse_basic --data icons50 --data-dir DIR --json results/sparse-basic.json

ResNet-18 at half width, with its stem for large images, so that maps are small and a run is short. The three sparse
variants have the same parameters and multiply-adds: ``sparse`` is the published form put into basic blocks, ``shuffle``
reorders the channels before each layer, ``sparse_basic`` is the library's policy. ``python -m benchmarks.pages`` writes
the figures into docs/forms.md.
"""

import argparse
import tempfile
import time
from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import groupnl
from benchmarks.experiment import FIRST_CORRUPTIONS, header, write_json
from benchmarks.paired import accuracy_table
from groupnl.analysis import channel_reach
from groupnl.data import ImageSet, load
from groupnl.models.edit import Edit
from groupnl.models.planning import plan_convolutions, why_not_standard
from groupnl.models.policies import StandardPolicy
from groupnl.training import TrainConfig, train
from groupnl_device.preprocessing import Preprocessing

VARIANTS = ("vanilla", "standard", "sparse", "shuffle", "sparse_basic")
CHANNELS = (32, 64, 128, 256)
PARTS = {"layer1.1": 32, "layer2.1": 64, "layer3.1": 128, "layer4.1": 256}  # a block: its input channels


class Shuffle(nn.Module):
    """ShuffleNet's channel shuffle in two groups: (N, C, H, W) to the same."""

    def forward(self, x: Tensor) -> Tensor:
        half = x.shape[1] // 2
        return torch.stack([x[:, :half], x[:, half:]], dim=2).flatten(1, 2)


class UncuredPolicy:
    """The sparse form put into basic blocks as it is, or behind a channel shuffle."""

    def __init__(self, *, shuffle: bool, seed: int) -> None:
        self._before = Shuffle if shuffle else nn.Identity
        self._layers = StandardPolicy(seed=seed)

    def plan(self, model: nn.Module) -> list[Edit]:
        def replace(conv: nn.Conv2d, name: str) -> nn.Module:
            layer = self._layers._layer(conv, f"{name}.conv", sparse=True)
            return nn.Sequential(OrderedDict(before=self._before(), conv=layer))

        return plan_convolutions(model, why_not_standard, replace)


def make(variant: str, classes: int, size: tuple[int, int, int], seed: int) -> nn.Module:
    """One variant with fresh weights."""
    torch.manual_seed(seed)
    model = groupnl.create_model("resnet18", num_classes=classes, channels=CHANNELS)
    if variant in ("standard", "sparse_basic"):
        groupnl.convert_(model, variant, seed=seed, input_size=size)
    elif variant != "vanilla":
        groupnl.convert_(model, UncuredPolicy(shuffle=variant == "shuffle", seed=seed), input_size=size)
    return model


def structure(variant: str, size: tuple[int, int, int]) -> dict[str, Any]:
    """Cost, and how many of its input channels an output channel of each block and stage depends on."""
    model = make(variant, 10, size, seed=0)
    cost = groupnl.complexity(model, size)
    found = {name: channel_reach(model.get_submodule(name), (channels, 4, 4)) for name, channels in PARTS.items()}
    return {
        "variant": variant,
        "params": cost.params,
        "macs": cost.macs,
        "elementwise": cost.elementwise,
        "reach": {
            name: {
                "of": reach.in_channels,
                "mean": reach.mean * reach.in_channels,
                "rank": reach.rank,
            }
            for name, reach in found.items()
        },
    }


def measure(
    variant: str, sets: tuple[ImageSet, ImageSet], preprocessing: Preprocessing, config: TrainConfig
) -> dict[str, Any]:
    """Train one variant and measure it."""
    train_set, test_set = sets
    model = make(variant, len(train_set.class_names), preprocessing.input_size, config.seed)
    with tempfile.TemporaryDirectory() as folder:
        run = train(model, train_set, test_set, config, folder, preprocessing=preprocessing, progress=False)
    some = test_set.subset(torch.arange(0, len(test_set), max(1, len(test_set) // 1000)))
    found = groupnl.evaluate(
        model, some, preprocessing=preprocessing, corruptions=FIRST_CORRUPTIONS, severities=(1, 3, 5), batch_size=100
    )
    return {
        "variant": variant,
        "seed": config.seed,
        "train_accuracy": run.train_accuracy,
        "clean_accuracy": run.test_accuracy,
        "mean_error": found.mean_error,
        "train_seconds": run.seconds,
    }


def main() -> None:
    """Show the structures, train every variant with every seed, show and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=("cifar10", "icons50", "openicons"), default="icons50")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="written after every net, so a stopped run keeps what it has"
    )
    arguments = parser.parse_args()
    side, epochs = arguments.image_size, arguments.epochs
    sets = tuple(
        load(arguments.data, split=split, data_dir=arguments.data_dir, image_size=side) for split in ("train", "test")
    )
    mean, std = sets[0].channel_stats()
    preprocessing = Preprocessing(input_size=(3, side, side), mean=mean, std=std)
    structures = [structure(variant, preprocessing.input_size) for variant in VARIANTS]
    for row in structures:
        reach = ", ".join(f"{name} {found['mean']:.1f} of {found['of']}" for name, found in row["reach"].items())
        print(f"{row['variant']:13} params {row['params']:,} macs {row['macs']:,} reach: {reach}", flush=True)
    head = header(
        f"python -m benchmarks.sparse_basic --data {arguments.data}{' --data-dir DIR' if arguments.data_dir else ''} "
        f"--image-size {side} --epochs {epochs} "
        f"--seeds {' '.join(map(str, arguments.seeds))}",
        base=f"resnet18, channels {CHANNELS}",
        data=arguments.data,
        image_size=side,
        train_images=len(sets[0]),
        test_images=len(sets[1]),
        epochs=epochs,
        structures=structures,
    )
    nets: list[dict[str, Any]] = []
    for seed in arguments.seeds:
        for variant in VARIANTS:
            begin = time.perf_counter()
            config = TrainConfig(
                epochs=epochs, batch_size=64, lr=0.1, label_smoothing=0.1, seed=seed, test_every=epochs
            )
            net = measure(variant, (sets[0], sets[1]), preprocessing, config)
            nets.append(net)
            print(
                f"seed {seed} {variant:13} clean {net['clean_accuracy']:.1%} mean error {net['mean_error']:.1%} "
                f"({time.perf_counter() - begin:.0f} s)",
                flush=True,
            )
            if arguments.json:
                write_json(arguments.json, {**head, "nets": nets})
    print("\n" + accuracy_table(nets, "variant", "sparse"))


if __name__ == "__main__":
    main()
