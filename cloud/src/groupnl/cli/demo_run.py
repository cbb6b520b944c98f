"""What ``groupnl demo`` does: each step through the same functions that the other commands call."""

import json
import platform
import shutil
import time
from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from groupnl.analysis import complexity, group_maps
from groupnl.cli.datasets import preprocessing_of
from groupnl.cli.demo_delivery import FOLDER, deliver
from groupnl.cli.demo_forms import measure_forms
from groupnl.cli.device_process import run_device
from groupnl.cli.evaluation_table import table_of
from groupnl.cli.export import measured_figures
from groupnl.cli.quantization_gate import gate_of, pictures_for_calibration
from groupnl.cli.report import write_page
from groupnl.cli.train import new_net, save_net
from groupnl.data import ImageSet, load
from groupnl.evaluation import evaluate, predictions
from groupnl.export import export_bundle
from groupnl.report import draw_maps, verdicts
from groupnl.training import TrainConfig, train
from groupnl_device.atomic import write_atomically
from groupnl_device.hardware import hardware
from groupnl_device.preprocessing import Preprocessing

NETS = ("resnet8", "groupnl_resnet8")
CORRUPTIONS = (
    "gaussian_noise",
    "shot_noise",
    "defocus_blur",
    "brightness",
    "contrast",
    "jpeg_compression",
    "pixelate",
)
MIN_CLEAN_ACCURACY = 0.7  # both nets: below it something is broken, whatever the seed
MAPS_LAYER = "layer1.conv1"
CALIBRATION = 256  # training pictures for the ranges of 8 bits
BENCH_ROUNDS = 3  # of each net, taking turns, so that a busy moment of the machine meets both
PACKAGES = ("groupnl", "groupnl-device", "torch", "timm", "accelerate", "onnx", "onnxruntime", "numpy")

Say = Callable[[Any], None]


def run_demo(out: Path, *, epochs: int, seed: int, say: Say) -> tuple[dict[str, Any], list[str]]:
    """Do everything and write ``out/results.json`` and ``out/report.html``.

    Args:
        out: A folder; what an earlier demo left there is replaced.
        epochs: Of each net.
        seed: Of the weights, the order, the augmentation, the corruptions and the GroupNL pairs.
        say: Told what happens.

    Returns:
        The content of results.json, and what did not pass (empty: all did).
    """
    began = time.perf_counter()
    _clear(out)
    train_set, test_set = load("openicons", split="train"), load("openicons", split="test")
    preprocessing = preprocessing_of(train_set)
    classes = len(train_set.class_names)
    say(f"OpenIcons: {len(train_set):,} training and {len(test_set):,} test pictures of {classes} classes")
    pictures = _write_pictures(test_set, out / "pictures")

    nets: dict[str, dict[str, Any]] = {}
    models: dict[str, nn.Module] = {}
    for name in NETS:
        say(f"\n{name}: training {epochs} epochs")
        models[name], nets[name] = _train_and_measure(name, train_set, test_set, preprocessing, out, epochs, seed, say)
    for name in NETS:
        say(f"{name}: running its bundle in a process without PyTorch")
        nets[name]["agreement"] = _agreement(models[name], test_set, preprocessing, out / f"{name}.gnl", pictures)
    say("delivery: publishing groupnl_resnet8, then the same net after one more epoch")
    further = _train_further(models["groupnl_resnet8"], train_set, test_set, preprocessing, out, seed)
    delivered = deliver(out, out / "groupnl_resnet8.gnl", further, pictures)
    for row in delivered.rows:
        say(f"  {row['step']}: {row['outcome']}; version {row['version']} in use")
    if delivered.answers != predictions(models["groupnl_resnet8"], test_set, preprocessing=preprocessing).tolist():
        delivered.failures.append("the pulled net chooses other classes than PyTorch")
    say("measuring the forms of each bundle")
    forms = measure_forms({name: [out / f"{name}.gnl", out / f"{name}-int8.gnl"] for name in NETS}, BENCH_ROUNDS)
    for name, figures in forms.first.items():
        nets[name] |= figures
    shutil.rmtree(pictures)

    candidates = test_set.images[:64]
    normalised = torch.from_numpy(preprocessing.normalize(candidates.numpy()))
    maps = draw_maps(group_maps(models["groupnl_resnet8"], normalised, candidates, layer=MAPS_LAYER))
    write_atomically(out / "maps.png", lambda file: file.write(maps))
    results = {
        "nets": nets,
        "baseline": "resnet8",
        "forms": forms.rows,
        "forms_left_out": forms.left_out,
        "delivery": delivered.rows,
        "data": "OpenIcons",
        "classes": classes,
        "train_images": len(train_set),
        "test_images": len(test_set),
        "epochs": epochs,
        "seed": seed,
        "command": f"groupnl demo --epochs {epochs} --seed {seed}",
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "hardware": hardware(),
        "versions": {"python": platform.python_version(), **{name: metadata.version(name) for name in PACKAGES}},
        "pictures": {f"What {MAPS_LAYER} of groupnl_resnet8 makes of one test picture": "maps.png"},
        "seconds": time.perf_counter() - began,
    }
    written = json.dumps(results, indent=2, allow_nan=False) + "\n"
    write_atomically(out / "results.json", lambda file: file.write(written.encode()))
    write_page(results, out, out / "report.html", "ResNet-8 and its GroupNL twin, from training to device")
    say("")
    for sentence in verdicts(results):
        say(f"- {sentence}")
    say(f"\nfigures: {out / 'results.json'}\nreport:  {out / 'report.html'}\n{results['seconds']:.0f} seconds in all")
    return results, [*_failures(nets), *delivered.failures]


def _train_and_measure(
    name: str,
    train_set: ImageSet,
    test_set: ImageSet,
    preprocessing: Preprocessing,
    out: Path,
    epochs: int,
    seed: int,
    say: Say,
) -> tuple[nn.Module, dict[str, Any]]:
    options = {"seed": seed} if name.startswith("groupnl_") else {}
    _, model = new_net(name, train_set, seed, options)
    cost = complexity(model, preprocessing.input_size)
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
    run_dir = out / "runs" / name
    trained = train(
        model,
        train_set,
        test_set,
        config,
        run_dir,
        preprocessing=preprocessing,
        save=partial(save_net, name=name, train_set=train_set),
    )
    result = evaluate(
        model, test_set, preprocessing=preprocessing, corruptions=CORRUPTIONS, batch_size=64, seed=seed, name=name
    )
    say(table_of(result))
    export = partial(
        export_bundle,
        model,
        example_input=torch.zeros(1, *preprocessing.input_size),
        preprocessing=preprocessing,
        class_names=train_set.class_names,
        name=name,
        test_images=test_set.images,
    )
    exported = export(path=out / f"{name}.gnl", measured=measured_figures(result))
    # told, not judged: how much 8 bits may cost is for groupnl export to say
    told = gate_of(model, test_set, preprocessing, largest_drop=1.0, corruptions=CORRUPTIONS)
    calibration = pictures_for_calibration(train_set, CALIBRATION)
    small = export(path=out / f"{name}-int8.gnl", precision="int8", calibration_images=calibration, judge=told)
    return model, {
        "params": cost.params,
        "macs": cost.macs,
        "elementwise": cost.elementwise,
        "activation_bytes": cost.activation_bytes,
        "gradient_bytes": cost.gradient_bytes,
        "clean_accuracy": result.clean_accuracy,
        "mean_error": result.mean_error,
        "corruptions": dict(result.corruptions),
        "train_accuracy": trained.train_accuracy,
        "train_seconds": trained.seconds,
        "bundle_bytes": exported.size_bytes,
        "int8": dict(small.manifest.measured["quantization"]) | {"bundle_bytes": small.size_bytes},
        "export_max_relative_difference": exported.agreement.max_relative_difference,
    }


def _train_further(
    model: nn.Module, train_set: ImageSet, test_set: ImageSet, preprocessing: Preprocessing, out: Path, seed: int
) -> Path:
    """The bundle of a copy of the net after one more epoch."""
    net = deepcopy(model)
    config = TrainConfig(epochs=1, batch_size=64, lr=0.01, warmup_epochs=0, crop_padding=3, seed=seed, test_every=1)
    save = partial(save_net, name="groupnl_resnet8", train_set=train_set)
    train(net, train_set, test_set, config, out / "runs" / "further", preprocessing=preprocessing, save=save)
    path = out / "groupnl_resnet8-further.gnl"
    export_bundle(
        net,
        path,
        example_input=torch.zeros(1, *preprocessing.input_size),
        preprocessing=preprocessing,
        class_names=train_set.class_names,
        name="groupnl_resnet8",
        test_images=test_set.images,
    )
    return path


def _agreement(
    model: nn.Module, test_set: ImageSet, preprocessing: Preprocessing, bundle: Path, pictures: Path
) -> float:
    """Share of the test pictures, read from files by the device, on which it chooses the class that PyTorch chooses."""
    answers = run_device(["run", str(bundle), str(pictures), "--top", "1"])["pictures"]
    device = torch.tensor([answer["top"][0]["index"] for answer in answers])  # the files' names are in order
    ours = predictions(model, test_set, preprocessing=preprocessing).cpu()
    return float((device == ours).double().mean())


def _write_pictures(images: ImageSet, folder: Path) -> Path:
    folder.mkdir(parents=True)
    for index, picture in enumerate(images.images.permute(0, 2, 3, 1).numpy()):
        Image.fromarray(np.ascontiguousarray(picture)).save(folder / f"{index:06d}.png")
    return folder


def _clear(out: Path) -> None:
    """Remove what an earlier demo wrote, and nothing else."""
    if out.exists() and not out.is_dir():
        raise ValueError(f"--out {out}: is a file; expected a folder")
    for name in ("runs", "pictures", FOLDER):
        shutil.rmtree(out / name, ignore_errors=True)
    for file in (*out.glob("*.gnl"), out / "results.json", out / "report.html", out / "maps.png"):
        file.unlink(missing_ok=True)
    out.mkdir(parents=True, exist_ok=True)


def _failures(nets: dict[str, dict[str, Any]]) -> list[str]:
    failures = []
    for name, net in nets.items():
        if net["clean_accuracy"] < MIN_CLEAN_ACCURACY:
            failures.append(f"{name}: clean accuracy {net['clean_accuracy']:.1%}, expected {MIN_CLEAN_ACCURACY:.0%}")
        if net["agreement"] < 1:
            failures.append(f"{name}: device and PyTorch differ on {1 - net['agreement']:.2%} of the pictures")
    return failures
