"""Do newer generated maps make better nets? Designed pairs against random ones, with the controls, over several seeds.

    python -m benchmarks.diversity --json results/diversity.json            # train and measure
    python -m benchmarks.diversity --json results/diversity.json --keep --seeds 5 6     # add seeds to what is there
    python -m benchmarks.diversity --write     # docs/diversity.md from results/diversity.json
    python -m benchmarks.diversity --check     # exit 1 where docs/diversity.md does not follow from it

ResNet-8 on OpenIcons at 32x32, trained as ``groupnl demo`` trains it. A seed sets the weights, the order and the random
pairs together; variants are compared seed by seed.
"""

import argparse
import json
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import groupnl
from benchmarks.diversity_page import page, summary
from benchmarks.experiment import FIRST_CORRUPTIONS, header, write_json
from groupnl.analysis import (
    design_nlf,
    design_pairs_,
    diversity,
    group_maps,
    log_determinant,
    sine_covariance,
)
from groupnl.data import ImageSet, load
from groupnl.report import draw_maps
from groupnl.training import TrainConfig, train
from groupnl_device.atomic import write_atomically
from groupnl_device.preprocessing import Preprocessing

ROOT = Path(__file__).parents[1]
RESULTS, PAGE = ROOT / "results" / "diversity.json", ROOT / "docs" / "diversity.md"
VARIANTS: dict[str, dict[str, Any] | None] = {  # the options of groupnl_resnet8; None: the vanilla net
    "l2 random": {"normalize": "l2"},
    "l2 designed": {"normalize": "l2"},
    "rms random": {"normalize": "rms"},
    "rms designed": {"normalize": "rms"},
    "l2 identity": {"normalize": "l2", "nlf": "identity"},  # the control: no sine
    "vanilla": None,
}
SEVERITIES = (1, 3, 5)
DRAWN_LAYER, DRAWN = "layer2.conv2", ("l2 random", "l2 designed", "rms random", "rms designed")
THEORY_SEED_CHANNELS = (8, 64, 256)


def new_net(variant: str, seed: int, classes: int) -> nn.Module:
    """An untrained net of a variant; variants of GroupNL begin with the same weights."""
    torch.manual_seed(seed)
    options = VARIANTS[variant]
    if options is None:
        return groupnl.create_model("resnet8", num_classes=classes)
    model = groupnl.create_model("groupnl_resnet8", num_classes=classes, seed=seed, **options)
    if variant.endswith("designed"):
        design_pairs_(model)
    return model


def measure(
    variant: str, seed: int, epochs: int, sets: tuple[ImageSet, ImageSet], preprocessing: Preprocessing
) -> tuple[nn.Module, dict[str, Any]]:
    """Train one net and measure accuracy, robustness and the diversity of its maps on the test pictures."""
    train_set, test_set = sets
    model = new_net(variant, seed, len(train_set.class_names))
    config = TrainConfig(
        epochs=epochs,
        batch_size=64,
        lr=0.25,
        warmup_epochs=min(4.0, epochs / 4),
        label_smoothing=0.1,
        crop_padding=3,
        seed=seed,
        test_every=epochs,
    )
    with tempfile.TemporaryDirectory() as folder:
        run = train(model, train_set, test_set, config, folder, preprocessing=preprocessing, progress=False)
    found = groupnl.evaluate(
        model,
        test_set,
        preprocessing=preprocessing,
        corruptions=FIRST_CORRUPTIONS,
        severities=SEVERITIES,
        batch_size=64,
        seed=seed,
    )
    layers = () if VARIANTS[variant] is None else diversity(model, normalised(test_set, preprocessing))
    return model, {
        "variant": variant,
        "seed": seed,
        "clean_accuracy": found.clean_accuracy,
        "mean_error": found.mean_error,
        "corruptions": {name: errors["error"] for name, errors in found.corruptions.items()},
        "train_accuracy": run.train_accuracy,
        "train_seconds": run.seconds,
        "layers": [asdict(layer) for layer in layers],
    }


def normalised(images: ImageSet, preprocessing: Preprocessing) -> Tensor:
    """All pictures of a set as the net takes them, float32, shape (N, 3, H, W)."""
    return torch.from_numpy(preprocessing.normalize(images.images.numpy()))


def theory() -> list[dict[str, Any]]:
    """One copy of y ~ N(0, s^2): the pairs that the default ranges give at random, and the designed one."""
    period, shift = (edges.flatten() for edges in torch.meshgrid(_middles(1, 2, 40), _middles(1, 5, 50), indexing="ij"))
    rows = []
    for normalize in ("l2", "rms"):
        for channels in THEORY_SEED_CHANNELS if normalize == "l2" else THEORY_SEED_CHANNELS[:1]:
            scale = channels**-0.5 if normalize == "l2" else 1.0
            at_random = sine_covariance(period, shift, scale=scale)
            squared = at_random[0, 1:].square() / at_random[0, 0] / at_random.diagonal()[1:]
            ratio = at_random.diagonal()[1:] / at_random[0, 0]
            designed_period, designed_shift = design_nlf(2, scale, nl_groups=1)
            designed = sine_covariance(designed_period[0], designed_shift[0], scale=scale)
            rows.append(
                {
                    "normalize": normalize,
                    "seed_channels": channels if normalize == "l2" else None,  # after rms the scale is 1 at any width
                    "scale": scale,
                    "random_correlation_median": float(squared.sqrt().median()),
                    "random_log_determinant_median": float((1 - squared).log().median()),
                    "random_variance_ratio_median": float(ratio.median()),
                    "designed_period": float(designed_period),
                    "designed_shift": float(designed_shift),
                    "designed_correlation": float(abs(designed[0, 1]) / (designed[0, 0] * designed[1, 1]).sqrt()),
                    "designed_log_determinant": log_determinant(designed),
                    "designed_variance_ratio": float(designed[1, 1] / designed[0, 0]),
                }
            )
    return rows


def _middles(low: float, high: float, parts: int) -> Tensor:
    return low + (high - low) * (torch.arange(parts, dtype=torch.float64) + 0.5) / parts


def draw(model: nn.Module, variant: str, test_set: ImageSet, preprocessing: Preprocessing, folder: Path) -> None:
    """A grid of one layer's seed and generated maps."""
    pictures = test_set.images[:64]
    images = torch.from_numpy(preprocessing.normalize(pictures.numpy()))
    png = draw_maps(group_maps(model, images, pictures, layer=DRAWN_LAYER))
    write_atomically(folder / picture_name(variant), lambda file: file.write(png))


def picture_name(variant: str) -> str:
    """The file of a variant's maps."""
    return f"diversity-{variant.replace(' ', '-')}.png"


def run(arguments: argparse.Namespace) -> None:
    """Train every variant with every seed, show and write."""
    sets = load("openicons", split="train"), load("openicons", split="test")
    mean, std = sets[0].channel_stats()
    preprocessing = Preprocessing(input_size=(3, 32, 32), mean=mean, std=std)
    nets: list[dict[str, Any]] = []
    pictures = {variant: picture_name(variant) for variant in DRAWN} if arguments.images else {}
    if arguments.keep and arguments.json.exists():
        before = json.loads(arguments.json.read_text(encoding="utf-8"))
        if before["epochs"] != arguments.epochs:
            raise ValueError(f"--keep: {arguments.json} holds {before['epochs']} epochs, not {arguments.epochs}")
        nets, pictures = before["nets"], {**before["pictures"], **pictures}
    seeds = sorted({*arguments.seeds, *(net["seed"] for net in nets)})
    result = {
        **header(
            f"python -m benchmarks.diversity --epochs {arguments.epochs} --seeds {' '.join(map(str, seeds))}",
            base="resnet8",
            data="OpenIcons, random split, 32x32",
            train_images=len(sets[0]),
            test_images=len(sets[1]),
            epochs=arguments.epochs,
            severities=SEVERITIES,
        ),
        "theory": theory(),
        "pictures": pictures,
        "nets": nets,
    }
    done = {(net["variant"], net["seed"]) for net in nets}
    for seed in arguments.seeds:
        for variant in VARIANTS:
            if (variant, seed) in done:
                continue
            begin = time.perf_counter()
            model, net = measure(variant, seed, arguments.epochs, sets, preprocessing)
            nets.append(net)
            print(
                f"seed {seed} {variant:12} clean {net['clean_accuracy']:.1%} mean error {net['mean_error']:.1%} "
                f"({time.perf_counter() - begin:.0f} s)",
                flush=True,
            )
            if arguments.images and variant in DRAWN and seed == arguments.seeds[0]:
                draw(model, variant, sets[1], preprocessing, arguments.images)
            if arguments.json:
                write_json(arguments.json, result)
    print(summary(result))


def main() -> int:
    """Measure, or write the page, or check it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="written after every net, so a stopped run keeps what it has"
    )
    parser.add_argument("--keep", action="store_true", help="go on with the nets that FILE holds")
    parser.add_argument(
        "--images", type=Path, metavar="DIR", help="draw maps of the first seed there, such as docs/images"
    )
    parser.add_argument("--write", action="store_true", help="train nothing; write docs/diversity.md")
    parser.add_argument("--check", action="store_true", help="train nothing; exit 1 where the page differs")
    arguments = parser.parse_args()
    if arguments.keep and not arguments.json:
        parser.error("--keep needs --json FILE")
    if not (arguments.write or arguments.check):
        run(arguments)
        return 0
    text = page(json.loads(RESULTS.read_text(encoding="utf-8")))
    if arguments.write:
        PAGE.write_text(text, encoding="utf-8")
        return 0
    same = PAGE.exists() and PAGE.read_text(encoding="utf-8") == text
    print(f"docs/{PAGE.name} " + ("follows from" if same else "differs; run --write to make it from") + " the results")
    return int(not same)


if __name__ == "__main__":
    sys.exit(main())
