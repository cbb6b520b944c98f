"""``groupnl train``: train a net on a data set."""

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from groupnl.cli.datasets import (
    DataDirOption,
    DataOption,
    ImageSizeOption,
    ProtocolOption,
    load_split,
    preprocessing_of,
)
from groupnl.cli.nets import ModelOptions, PolicyOptions, parse_options, resolve_net
from groupnl.cli.output import JsonOption, Output, ResultFailedError
from groupnl.cli.recipe import NetOrRecipe, RecipeOption

if TYPE_CHECKING:
    from torch import nn

    from groupnl.data import ImageSet


def train(
    net: NetOrRecipe,
    data: DataOption,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="The run's folder; new, or with --resume an old one.")
    ],
    recipe: RecipeOption = None,  # noqa: ARG001  # its callback has done its work
    data_dir: DataDirOption = None,
    protocol: ProtocolOption = "random",
    image_size: ImageSizeOption = None,
    model_option: ModelOptions = None,
    policy: Annotated[
        str | None, typer.Option(help="Convert the net first: standard, sparse_bottleneck, sparse_depthwise, ...")
    ] = None,
    policy_option: PolicyOptions = None,
    teacher: Annotated[
        str | None,
        typer.Option(metavar="NET", help="Learn its answers too: a checkpoint of the same data, or module:function."),
    ] = None,
    task_loss_weight: Annotated[
        float | None, typer.Option(help="With --teacher: the labels' share of the loss; default: 0.1.")
    ] = None,
    distill_temperature: Annotated[
        float | None, typer.Option(help="With --teacher: softens both nets' answers; default: 4.")
    ] = None,
    epochs: Annotated[int, typer.Option(min=1)] = 30,
    batch_size: Annotated[int, typer.Option(min=1, help="Images per step, over all processes.")] = 128,
    optimizer: Annotated[str, typer.Option(help="sgd or adamw.")] = "sgd",
    lr: Annotated[float, typer.Option(help="Highest learning rate; about 0.1 suits sgd, 0.001 adamw.")] = 0.1,
    weight_decay: float = 5e-4,
    warmup_epochs: Annotated[float | None, typer.Option(help="Before the cosine; default: 1.")] = None,
    label_smoothing: float = 0.0,
    ema_decay: Annotated[float | None, typer.Option(help="Average the weights; tested and saved instead.")] = None,
    mixup_alpha: Annotated[float, typer.Option(help="0 is off.")] = 0.0,
    cutmix_alpha: Annotated[float, typer.Option(help="0 is off.")] = 0.0,
    augment: Annotated[str, typer.Option(help="plain, augmix, pixmix or randaugment.")] = "plain",
    augment_severity: Annotated[
        float | None, typer.Option(help="augmix, pixmix: up to 10, default 3; randaugment: up to 30, default 9.")
    ] = None,
    augment_depth: Annotated[
        int | None, typer.Option(help="Operations in a row; default: augmix 1 to 3, pixmix up to 4, randaugment 2.")
    ] = None,
    jsd_weight: Annotated[
        float | None, typer.Option(help="Of the divergence between augmented views; default: augmix 12, others 0.")
    ] = None,
    crop_padding: Annotated[int, typer.Option(help="Of the random crop, in pixels; 0 is off.")] = 4,
    crop_area: Annotated[
        float | None,
        typer.Option(help="Decode from files, step by step, and resize crops of at least this share: ImageNet 0.08."),
    ] = None,
    precision: Annotated[str, typer.Option(help="fp32, bf16 or fp16.")] = "fp32",
    compile_: Annotated[bool, typer.Option("--compile", help="Through torch.compile.")] = False,
    seed: Annotated[int, typer.Option(help="Of the initial weights, the order and the augmentation.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
    json: JsonOption = None,
) -> None:
    """Train a net, or run a recipe; leaves checkpoint, log and resumable state in a folder.

    Example: [bold]groupnl train groupnl_resnet8 --data openicons --epochs 20 --out runs/icons[/bold],
    or [bold]groupnl train recipes/resnet8.yaml --seed 1[/bold]
    """
    from groupnl.models import convert_
    from groupnl.training import TrainConfig, TrainingError
    from groupnl.training import train as run

    with Output(json).words() as output:
        config = TrainConfig(
            epochs=epochs,
            batch_size=batch_size,
            optimizer=_one_of("optimizer", optimizer, "sgd", "adamw"),
            lr=lr,
            weight_decay=weight_decay,
            warmup_epochs=warmup_epochs,
            label_smoothing=label_smoothing,
            task_loss_weight=task_loss_weight,
            distill_temperature=distill_temperature,
            ema_decay=ema_decay,
            mixup_alpha=mixup_alpha,
            cutmix_alpha=cutmix_alpha,
            augment=_one_of("augment", augment, "plain", "augmix", "pixmix", "randaugment"),
            augment_severity=augment_severity,
            augment_depth=augment_depth,
            jsd_weight=jsd_weight,
            crop_padding=crop_padding,
            crop_area=crop_area,
            precision=_one_of("precision", precision, "fp32", "bf16", "fp16"),
            compile=compile_,
            seed=seed,
        )
        in_memory = None if crop_area is None else False
        train_set = load_split(data, "train", data_dir, protocol, image_size, in_memory=in_memory)
        test_set = load_split(data, "test", data_dir, protocol, image_size)
        name, model = new_net(net, train_set, seed, parse_options(model_option))
        if policy is not None:
            output.say(str(convert_(model, policy, **parse_options(policy_option))))
            name = f"{name}+{policy}"
        elif policy_option:
            raise ValueError("--policy-option without --policy")
        try:
            result = run(
                model,
                train_set,
                test_set,
                config,
                out,
                preprocessing=preprocessing_of(train_set),
                teacher=None if teacher is None else find_teacher(teacher, train_set),
                resume=resume,
                save=partial(save_net, name=name, train_set=train_set),
            )
        except TrainingError as error:
            raise ResultFailedError(str(error)) from error
        if int(os.environ.get("RANK", "0")) > 0:  # under torchrun the main process speaks for all
            return
        accuracy = "not measured" if result.test_accuracy is None else f"{result.test_accuracy:.2%}"
        gap = "" if result.train_minus_test is None else f" (training set {100 * result.train_minus_test:+.2f} points)"
        output.say(f"test accuracy {accuracy}{gap}, {result.seconds:.0f} s of training; net: {result.checkpoint}")
        output.finish({"net": name, "data": data, "run_dir": str(out), **result.to_dict()})


def new_net(spec: str, train_set: "ImageSet", seed: int, options: dict[str, Any]) -> tuple[str, "nn.Module"]:
    """Make the net to train: seeded initial weights, as many classes as the data has, for a name.

    Raises:
        ValueError: The net is a bundle, which cannot be trained.
    """
    import timm
    import torch

    if timm.is_model(spec):
        options = {"num_classes": len(train_set.class_names), **options}
    torch.manual_seed(seed)
    found = resolve_net(spec, options)
    if found.module is None:
        raise ValueError(f"{spec} is a bundle: train takes a name, a checkpoint or module:function")
    return found.name, found.module


def find_teacher(spec: str, train_set: "ImageSet") -> "nn.Module":
    """Load the net that teaches, and check that it learned from such data.

    A net of ``module:function`` says nothing of that: its author answers for it.

    Raises:
        ValueError: It is a name, whose weights would be random, or a bundle; or its checkpoint has other classes or
            another preprocessing than the data.
    """
    expected = "expected a checkpoint, such as runs/teacher/model.safetensors, or module:function"
    is_file = Path(spec).is_file() or Path(spec).suffix in {".safetensors", ".gnl"}
    if not is_file and ":" not in spec:
        raise ValueError(f"--teacher {spec}: a name has random weights, {expected}; train it first with groupnl train")
    found = resolve_net(spec)
    if found.module is None:
        raise ValueError(f"--teacher {spec} is a bundle, made for a device: {expected}")
    if found.class_names and found.class_names != train_set.class_names:
        raise ValueError(
            f"--teacher {spec} knows the classes {_first(found.class_names)}, the data has "
            f"{_first(train_set.class_names)}: give a teacher that was trained on the same data"
        )
    if is_file and found.preprocessing is not None:
        ours, theirs = preprocessing_of(train_set), found.preprocessing
        for name in ("input_size", "mean", "std"):
            if getattr(theirs, name) != getattr(ours, name):
                raise ValueError(
                    f"--teacher {spec} was trained with {name}={getattr(theirs, name)}, this run has "
                    f"{getattr(ours, name)}: both nets see the same images, so give the same --data, --protocol and "
                    "--image-size as for the teacher"
                )
    return found.module


def save_net(model: "nn.Module", path: Path, *, name: str, train_set: "ImageSet") -> None:
    """Write the trained net with all that evaluation and export need."""
    from groupnl.models import save_checkpoint

    extra = {"name": name, "data": train_set.name}
    preprocessing = preprocessing_of(train_set)
    save_checkpoint(model, path, preprocessing=preprocessing, class_names=train_set.class_names, extra=extra)


def _one_of(name: str, value: str, *allowed: str) -> Any:
    if value not in allowed:
        raise ValueError(f"--{name} {value}: expected one of {', '.join(allowed)}")
    return value


def _first(names: tuple[str, ...]) -> str:
    return ", ".join(names[:5]) + (f", ... ({len(names)})" if len(names) > 5 else "")
