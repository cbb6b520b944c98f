"""What augmentation costs: pictures a second, against one picture at a time, and beside the training step it feeds.

    python -m benchmarks.augment --json results/augment.json
    python -m benchmarks.augment --picture docs/images/augmentation.png      # only shows what is done to pictures

Ours augments a batch at once, as the training engine does; ``augmix`` makes two views of each picture. The references
take one picture at a time, as the workers of a loader do: ``pillow augmix`` makes one view by Pillow's operations and
mixes in numpy; the ``torchvision`` ones are its transforms of Pillow pictures, AugMix without the operations that
overlap the test corruptions.

On a CPU the processor's time on one core is counted; with ``--device cuda`` the wall time of ours, while the references
stay on a core. A step is forward, backward and the optimiser's update on a batch; with the divergence it sees three
times the pictures.
"""

import argparse
import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image, ImageOps
from torch import Tensor, nn
from torchvision.transforms import v2

from benchmarks.experiment import header, write_json
from groupnl.data import load
from groupnl.models import create_model
from groupnl.training import TrainConfig
from groupnl.training.augment import Augmenter
from groupnl.training.consistency import ConsistencyTask

METHODS = {"augmix": 12.0, "augmix, one view": 0.0, "pixmix": 0.0, "randaugment": 0.0}
NETS: dict[str, tuple[str, dict[str, Any]]] = {
    "resnet8": ("resnet8", {}),
    "resnet18_quarter": ("resnet18", {"channels": (16, 32, 64, 128), "cifar_stem": True}),
}
CLASSES = 10
BILINEAR, AFFINE = Image.Resampling.BILINEAR, Image.Transform.AFFINE


def pictures(count: int, side: int) -> Tensor:
    """Smooth random pictures, uint8, shape (count, 3, side, side)."""
    coarse = torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    return nn.functional.interpolate(coarse, (side, side), mode="bilinear").mul(255).to(torch.uint8)


def seconds(run: Callable[[], object], device: torch.device, *, at_least: float) -> float:
    """Mean time of a call, s: the processor's on a CPU, the wall's on a GPU; the first call is not counted."""
    run()
    clock = time.perf_counter if device.type == "cuda" else time.process_time

    def now() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return clock()

    started, calls = now(), 0
    while calls < 3 or now() - started < at_least:
        run()
        calls += 1
    return (now() - started) / calls


def augmix_by_pillow(picture: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """One augmented view of a picture of shape (H, W, 3): float32 levels."""
    side = picture.shape[0]

    def operated(image: Image.Image) -> Image.Image:
        strength, sign = random.uniform(0.1, 3), random.choice([-1, 1])
        pixels, slope = sign * int(strength * side / 30), sign * strength * 0.03
        return [
            lambda: ImageOps.autocontrast(image),
            lambda: ImageOps.equalize(image),
            lambda: ImageOps.posterize(image, 4 - int(strength * 0.4)),
            lambda: ImageOps.solarize(image, 256 - int(strength * 25.6)),
            lambda: image.rotate(sign * int(strength * 3), BILINEAR),
            lambda: image.transform(image.size, AFFINE, (1, slope, 0, 0, 1, 0), BILINEAR),
            lambda: image.transform(image.size, AFFINE, (1, 0, 0, slope, 1, 0), BILINEAR),
            lambda: image.transform(image.size, AFFINE, (1, 0, pixels, 0, 1, 0), BILINEAR),
            lambda: image.transform(image.size, AFFINE, (1, 0, 0, 0, 1, pixels), BILINEAR),
        ][random.integers(9)]()

    weights, share = random.dirichlet([1, 1, 1]), random.beta(1, 1)
    mixed = (1 - share) * picture.astype(np.float32)
    for weight in weights:
        chain = Image.fromarray(picture)
        for _ in range(random.integers(1, 4)):
            chain = operated(chain)
        mixed += np.float32(share * weight) * np.asarray(chain, dtype=np.float32)
    return mixed


def one_at_a_time(images: Tensor) -> dict[str, Callable[[], object]]:
    """The references: name to a call that gives one view of each picture."""
    arrays = list(images.permute(0, 2, 3, 1).numpy())
    files = [Image.fromarray(array) for array in arrays]
    random = np.random.default_rng(0)
    mix, rand = v2.AugMix(all_ops=False), v2.RandAugment()
    return {
        "pillow augmix": lambda: [augmix_by_pillow(array, random) for array in arrays],
        "torchvision augmix": lambda: [v2.functional.pil_to_tensor(mix(picture)) for picture in files],
        "torchvision randaugment": lambda: [v2.functional.pil_to_tensor(rand(picture)) for picture in files],
    }


def step_of(net: str, batch: int, side: int, device: torch.device, *, divergence: bool) -> Callable[[], object]:
    """A training step on random pictures, in channels-last order as the engine takes it."""
    name, options = NETS[net]
    model = create_model(name, num_classes=CLASSES, **options).to(device).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, nesterov=True)
    images = torch.randn(batch * (3 if divergence else 1), 3, side, side, device=device)
    images = images.to(memory_format=torch.channels_last)
    labels = torch.arange(batch, device=device) % CLASSES
    task = ConsistencyTask(model, nn.CrossEntropyLoss(), weight=12.0, device=device)

    def step() -> None:
        optimizer.zero_grad()
        loss = task(images, labels)["loss"] if divergence else nn.functional.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()

    return step


def views_of_next_step(augment: Augmenter, images: Tensor) -> Callable[[], object]:
    """The augmentation of one step after another."""
    steps = itertools.count()
    return lambda: augment(images, slice(0, len(images)), epoch=0, index=next(steps))


def measure(batch: int, side: int, device: torch.device, *, at_least: float) -> dict[str, Any]:
    """All figures: pictures a second, and the share of the augmentation in a step's time."""
    images = pictures(batch, side)
    ours: dict[str, float] = {}
    for name, weight in METHODS.items():
        config = TrainConfig(augment=name.split(",")[0], batch_size=batch, jsd_weight=weight)  # type: ignore[arg-type]
        augment = Augmenter(config, size=(side, side), device=device)
        call = views_of_next_step(augment, images.to(device))
        ours[name] = seconds(call, device, at_least=at_least)
    core = torch.device("cpu")
    references = {name: seconds(run, core, at_least=at_least) for name, run in one_at_a_time(images).items()}
    steps = {}
    for net in NETS:
        plain = seconds(step_of(net, batch, side, device, divergence=False), device, at_least=at_least)
        three = seconds(step_of(net, batch, side, device, divergence=True), device, at_least=at_least)
        steps[net] = {
            "plain_step_ms": 1e3 * plain,
            "three_views_step_ms": 1e3 * three,
            "augmix_ms": 1e3 * ours["augmix"],
            "augmix_share": ours["augmix"] / (ours["augmix"] + three),
        }
    return {
        "images_per_second": {name: batch / taken for name, taken in ours.items()},
        "one_at_a_time_images_per_second": {name: batch / taken for name, taken in references.items()},
        "steps": steps,
    }


def draw(images: Tensor) -> Figure:
    """Each picture plain, in the two views of AugMix, under PixMix and under RandAugment: one row each.

    Args:
        images: uint8, shape (N, 3, H, W).
    """
    rows = {"plain": images.float()}
    for name, weight in METHODS.items():
        if "," in name:
            continue
        config = TrainConfig(augment=name, batch_size=len(images), jsd_weight=weight)  # type: ignore[arg-type]
        size = (images.shape[2], images.shape[3])
        views = Augmenter(config, size=size, device=images.device)(images, slice(0, len(images)), epoch=0, index=0)
        augmented = torch.split(views, len(images))[-2:]  # with a divergence the plain pictures come first
        for number, view in enumerate(augmented, start=1):
            rows[f"{name}, view {number}" if len(augmented) > 1 else name] = view
    figure = Figure(figsize=(9, 0.8 * len(rows)), dpi=110)
    figure.subplots_adjust(left=0.12, right=0.995, bottom=0.01, top=0.99, hspace=0.06)
    FigureCanvasAgg(figure)
    for axis, (name, row) in zip(figure.subplots(len(rows), 1), rows.items(), strict=True):
        strip = torch.cat(list(row.clamp(0, 255).to(torch.uint8)), 2)
        axis.imshow(strip.permute(1, 2, 0).numpy(), interpolation="nearest")
        axis.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9)
        axis.set_xticks([])
        axis.set_yticks([])
        axis.spines[:].set_visible(False)
    return figure


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--side", type=int, default=32, help="of the pictures, pixels")
    parser.add_argument("--seconds", type=float, default=3.0, help="least time for each figure")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="draw this instead, on pictures of OpenIcons")
    options = parser.parse_args()
    if options.picture is not None:
        shown = load("openicons", split="train").images[::180][:10]
        draw(shown).savefig(options.picture, metadata={"Software": ""})
        return
    torch.set_num_threads(1)
    device = torch.device(options.device)
    command = f"python -m benchmarks.augment --device {device} --batch {options.batch} --side {options.side}"
    figures = measure(options.batch, options.side, device, at_least=options.seconds)
    result = {**header(command, device=str(device), batch=options.batch, side=options.side, threads=1), **figures}
    for group in ("images_per_second", "one_at_a_time_images_per_second"):
        for name, rate in result[group].items():
            print(f"{name:24} {rate:10.0f} pictures/s{'' if group == 'images_per_second' else ', one at a time'}")
    for net, step in result["steps"].items():
        print(
            f"{net:16} step {step['plain_step_ms']:.0f} ms, with three views {step['three_views_step_ms']:.0f} ms; "
            f"AugMix before it {step['augmix_ms']:.0f} ms, {step['augmix_share']:.1%} of the whole"
        )
    if options.json is not None:
        write_json(options.json, result)


if __name__ == "__main__":
    main()
