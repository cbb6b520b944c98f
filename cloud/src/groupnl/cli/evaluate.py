"""``groupnl evaluate``: a net's accuracy on clean and on corrupted pictures."""

import json as json_format
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from groupnl.cli.datasets import (
    DataDirOption,
    DataOption,
    ImageSizeOption,
    ProtocolOption,
    load_split,
    preprocessing_of,
)
from groupnl.cli.nets import ModelOptions, NetArgument, parse_options, resolve_net
from groupnl.cli.output import JsonOption, Output, progress_bar

if TYPE_CHECKING:
    from groupnl.evaluation import Evaluation


def evaluate(
    net: NetArgument,
    data: DataOption,
    data_dir: DataDirOption = None,
    protocol: ProtocolOption = "random",
    image_size: ImageSizeOption = None,
    model_option: ModelOptions = None,
    corruptions: Annotated[str, typer.Option(metavar="NAMES", help="all, none, or names joined by commas.")] = "all",
    severities: Annotated[str, typer.Option(help="Integers from 1 to 5, joined by commas.")] = "1,2,3,4,5",
    variant: Annotated[str, typer.Option(help="Whose constants: cifar or imagenet.")] = "cifar",
    baseline: Annotated[
        Path | None, typer.Option(metavar="FILE.json", help="Another net's evaluation (its --json): gives CE.")
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1)] = 256,
    device: Annotated[str, typer.Option(help="cpu, cuda, ...")] = "cpu",
    seed: Annotated[int, typer.Option(help="Of the corruptions' draws.")] = 0,
    json: JsonOption = None,
) -> None:
    """Measure a net on clean and on corrupted test pictures.

    Example: [bold]groupnl evaluate runs/icons/model.safetensors --data openicons --json result.json[/bold]
    """
    from groupnl.evaluation import Evaluation
    from groupnl.evaluation import evaluate as measure

    with Output(json).words() as output:
        found = resolve_net(net, parse_options(model_option))
        if image_size is None and found.preprocessing is not None:
            image_size = found.preprocessing.input_size[1]
        test_set = load_split(data, "test", data_dir, protocol, image_size)
        if found.class_names and found.class_names != test_set.class_names:
            raise ValueError(
                f"{net} knows the classes {_some(found.class_names)}, {data} has {_some(test_set.class_names)}: "
                "evaluate a net on the classes that it was trained on"
            )
        preprocessing = found.preprocessing
        if preprocessing is None:
            preprocessing = preprocessing_of(load_split(data, "train", data_dir, protocol, image_size))
        if found.module is not None:
            found.module.to(device)
        other = None
        if baseline is not None:
            try:
                other = Evaluation.from_dict(json_format.loads(baseline.read_text(encoding="utf-8")))
            except ValueError as error:
                raise ValueError(f"--baseline {baseline}: {error}") from error
        with progress_bar(found.name) as progress:
            result = measure(
                found.model,
                test_set,
                preprocessing=preprocessing,
                corruptions=_names(corruptions),
                severities=[_integer(part) for part in severities.split(",")],
                variant=variant,  # type: ignore[arg-type]  # checked there, with the list of what is allowed
                batch_size=batch_size,
                device=device,
                seed=seed,
                baseline=other,
                progress=progress,
                name=found.name,
            )
        output.say(table_of(result))
        output.finish(result.to_dict())


def table_of(result: "Evaluation") -> Table:
    """An evaluation for people."""
    table = Table(
        "error, %", *map(str, result.severities), "mean", title=f"{result.name} on {result.data}, {result.split}"
    )
    if result.baseline is not None:
        table.add_column(f"CE, % of {result.baseline}")
    table.add_row("clean", *[""] * len(result.severities), f"{100 * (1 - result.clean_accuracy):.2f}")
    table.add_section()
    for corruption, found in result.corruptions.items():
        errors = [f"{100 * found['severities'][str(severity)]:.2f}" for severity in result.severities]
        ce = [f"{100 * found['ce']:.1f}"] if "ce" in found else []
        table.add_row(corruption, *errors, f"{100 * found['error']:.2f}", *ce)
    if result.mean_error is not None:
        table.add_section()
        table.add_row("mean_error", *[""] * len(result.severities), f"{100 * result.mean_error:.2f}")
    return table


def _names(text: str) -> list[str]:
    from groupnl.corruptions import names

    if text == "none":
        return []
    return list(names("all")) if text == "all" else text.split(",")


def _integer(text: str) -> int:
    if not text.strip().isdigit():
        raise ValueError(f"--severities: {text!r} is no integer from 1 to 5")
    return int(text)


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
