"""Does GroupNL carry over to segmentation? Vanilla, GroupNL and the identity control, trained alike on icon scenes.

    python -m benchmarks.scenes --json results/scenes.json --picture docs/images/scenes.png

The scenes, the same for every net and seed, are drawn from OpenIcons: see benchmarks/openicons_scenes.py. A seed
changes the first weights, the order of the scenes and GroupNL's pairs.
"""

import argparse
import math
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import groupnl
from benchmarks import experiment
from benchmarks.beyond import table
from benchmarks.openicons_scenes import CLASSES, SIZE, Scenes, draw_scenes
from benchmarks.scenes_picture import draw_picture
from benchmarks.segmentation import (
    SegmentationNet,
    class_iou,
    confusion_matrix,
    mean_iou,
    pixel_accuracy,
    predict,
    train_,
)
from groupnl.corruptions import corrupt

FORMS: dict[str, dict[str, Any] | None] = {  # options of the policy "standard"
    "vanilla": None,
    "GroupNL": {},
    "identity": {"nlf": "identity"},  # the control: copies in place of sines
}
CORRUPTIONS = ("gaussian_noise", "defocus_blur", "contrast", "jpeg_compression")
SEVERITY = 3
SHOWN = 8  # scenes in the picture


def make_net(form: str, seed: int) -> nn.Module:
    """The net of one form: all forms of one seed start from the same weights where they have the same."""
    torch.manual_seed(seed)
    model = SegmentationNet(len(CLASSES) + 1)
    if (options := FORMS[form]) is not None:
        groupnl.convert_(model, "standard", seed=seed, input_size=(3, SIZE, SIZE), **options)
    return model


def measure(model: nn.Module, scenes: Scenes) -> dict[str, Any]:
    """Mean IoU and pixel accuracy on the scenes as they are and corrupted; IoU of each class as they are."""
    count = len(scenes.class_names)
    clean = confusion_matrix(predict(model, scenes.images), scenes.classes, count)
    corrupted = {
        name: confusion_matrix(predict(model, corrupt(scenes.images, name, severity=SEVERITY)), scenes.classes, count)
        for name in CORRUPTIONS
    }
    by_class = zip(scenes.class_names, class_iou(clean).tolist(), strict=True)
    found = {name: {"mean_iou": mean_iou(m), "pixel_accuracy": pixel_accuracy(m)} for name, m in corrupted.items()}
    return {
        "mean_iou": mean_iou(clean),
        "pixel_accuracy": pixel_accuracy(clean),
        "class_iou": {name: None if math.isnan(iou) else iou for name, iou in by_class},  # None: it does not occur
        "corruptions": found,
        "corrupted_mean_iou": sum(result["mean_iou"] for result in found.values()) / len(found),
    }


def all_ground(classes: Tensor) -> dict[str, float]:
    """What a net would score that says "ground" everywhere."""
    confusion = confusion_matrix(torch.zeros_like(classes), classes, len(CLASSES) + 1)
    return {"mean_iou": mean_iou(confusion), "pixel_accuracy": pixel_accuracy(confusion)}


def main() -> None:
    """Train every form with every seed, show and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train-scenes", type=int, default=8000)
    parser.add_argument("--test-scenes", type=int, default=400)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="written after every net, so a stopped run keeps what it has"
    )
    parser.add_argument("--picture", type=Path, metavar="FILE", help="PNG of test scenes and the first seed's answers")
    arguments = parser.parse_args()
    train_scenes = draw_scenes("train", arguments.train_scenes)
    test_scenes = draw_scenes("test", arguments.test_scenes)
    seeds = " ".join(map(str, arguments.seeds))
    result = experiment.header(
        f"python -m benchmarks.scenes --train-scenes {arguments.train_scenes} "
        f"--test-scenes {arguments.test_scenes} --epochs {arguments.epochs} --seeds {seeds}",
        train_scenes=arguments.train_scenes,
        test_scenes=arguments.test_scenes,
        epochs=arguments.epochs,
        severity=SEVERITY,
        all_ground=all_ground(test_scenes.classes),
        nets=[],
    )
    shown: dict[str, Tensor] = {}
    for seed in arguments.seeds:
        for form in FORMS:
            model = make_net(form, seed)
            cost = groupnl.complexity(model, (3, SIZE, SIZE))
            begin = time.perf_counter()
            loss = train_(model, train_scenes, epochs=arguments.epochs, seed=seed)
            seconds = time.perf_counter() - begin
            net = {
                "form": form,
                "seed": seed,
                "params": cost.params,
                "macs": cost.macs,
                "train_loss": loss,
                "train_seconds": seconds,
                **measure(model, test_scenes),
            }
            result["nets"].append(net)
            print(
                f"seed {seed} {form:10} mean IoU {net['mean_iou']:.1%} corrupted {net['corrupted_mean_iou']:.1%} "
                f"pixel accuracy {net['pixel_accuracy']:.1%} ({seconds:.0f} s)",
                flush=True,
            )
            if arguments.json:
                experiment.write_json(arguments.json, result)
            if seed == arguments.seeds[0]:
                shown[form] = predict(model, test_scenes.images[:SHOWN])
        if arguments.picture and seed == arguments.seeds[0]:
            answers = {form: shown[form] for form in ("vanilla", "GroupNL")}
            arguments.picture.write_bytes(draw_picture(test_scenes, answers))
    print(table(result))


if __name__ == "__main__":
    main()
