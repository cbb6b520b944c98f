"""What the forms of a light net are worth: vanilla, the paper's sparse form, ``pointwise`` and ``lean``, trained alike.

    python -m benchmarks.light_forms --json results/light-forms.json

MobileNetV2 at half width on OpenIcons at 64x64, a few epochs from random weights: enough to see whether a form learns
at all and how it compares at equal training, not enough to rank forms that lie close together.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

import groupnl
from benchmarks.experiment import FIRST_CORRUPTIONS, header, write_json
from benchmarks.paired import accuracy_table
from groupnl.data import ImageSet, load
from groupnl.training import TrainConfig, train
from groupnl_device.preprocessing import Preprocessing

BASE = "mobilenetv2_050"
FORMS: dict[str, tuple[str, dict[str, Any]] | None] = {  # name: policy and its options
    "vanilla": None,
    "sparse_depthwise": ("sparse_depthwise", {}),
    "sparse_depthwise, identity": ("sparse_depthwise", {"nlf": "identity"}),  # the control: no sine
    "pointwise": ("pointwise", {}),
    "lean": ("lean", {}),
}
IMAGE_SIZE = 64


def measure(
    form: str, sets: tuple[ImageSet, ImageSet], preprocessing: Preprocessing, config: TrainConfig
) -> dict[str, Any]:
    """Train one form and measure it."""
    train_set, test_set = sets
    torch.manual_seed(config.seed)
    model = groupnl.create_model(BASE, num_classes=len(train_set.class_names))
    if (conversion := FORMS[form]) is not None:
        policy, options = conversion
        groupnl.convert_(model, policy, seed=config.seed, input_size=preprocessing.input_size, **options)
    cost = groupnl.complexity(model, preprocessing.input_size)
    with tempfile.TemporaryDirectory() as folder:
        run = train(model, train_set, test_set, config, folder, preprocessing=preprocessing, progress=False)
    found = groupnl.evaluate(
        model, test_set, preprocessing=preprocessing, corruptions=FIRST_CORRUPTIONS, severities=(1, 3, 5), batch_size=64
    )
    return {
        "form": form,
        "seed": config.seed,
        "params": cost.params,
        "macs": cost.macs,
        "train_accuracy": run.train_accuracy,
        "clean_accuracy": found.clean_accuracy,
        "mean_error": found.mean_error,
        "train_seconds": run.seconds,
    }


def main() -> None:
    """Train every form with every seed, show and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="written after every net, so a stopped run keeps what it has"
    )
    parser.add_argument("--keep", action="store_true", help="with --json: go on from what the file holds")
    arguments = parser.parse_args()
    train_set, test_set = (load("openicons", split=split, image_size=IMAGE_SIZE) for split in ("train", "test"))
    mean, std = train_set.channel_stats()
    preprocessing = Preprocessing(input_size=(3, IMAGE_SIZE, IMAGE_SIZE), mean=mean, std=std)
    nets: list[dict[str, Any]] = []
    if arguments.keep:
        before = json.loads(arguments.json.read_text(encoding="utf-8"))
        if before["epochs"] != arguments.epochs:
            raise ValueError(f"--keep: {arguments.json} holds {before['epochs']} epochs, not {arguments.epochs}")
        nets = before["nets"]
    seeds = sorted({*arguments.seeds, *(net["seed"] for net in nets)})
    head = header(
        f"python -m benchmarks.light_forms --epochs {arguments.epochs} --seeds {' '.join(map(str, seeds))}",
        base=BASE,
        data="OpenIcons, random split, 64x64",
        test_images=len(test_set),
        epochs=arguments.epochs,
    )
    done = {(net["form"], net["seed"]) for net in nets}
    for seed in arguments.seeds:
        for form in FORMS:
            if (form, seed) in done:
                continue
            begin = time.perf_counter()
            config = TrainConfig(
                epochs=arguments.epochs, batch_size=64, lr=0.1, label_smoothing=0.1, seed=seed, test_every=99
            )
            net = measure(form, (train_set, test_set), preprocessing, config)
            nets.append(net)
            print(
                f"seed {seed} {form:26} clean {net['clean_accuracy']:.1%} mean error {net['mean_error']:.1%} "
                f"macs {net['macs']:,} params {net['params']:,} ({time.perf_counter() - begin:.0f} s)",
                flush=True,
            )
            if arguments.json:
                write_json(arguments.json, {**head, "nets": nets})
    print("\n" + accuracy_table(nets, "form", "vanilla"))


if __name__ == "__main__":
    main()
