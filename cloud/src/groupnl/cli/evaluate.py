"""``groupnl evaluate``: a net's accuracy on clean and on corrupted pictures."""

import json as json_format
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from groupnl.cli.datasets import (
    DataDirOption,
    DataOption,
    FrostOption,
    ImageSizeOption,
    ProtocolOption,
    VariantOption,
    load_split,
    preprocessing_of,
    variant_of,
)
from groupnl.cli.evaluation_table import table_of, table_of_seeds
from groupnl.cli.launch import Launch, launched
from groupnl.cli.nets import ModelOptions, Net, parse_options, resolve_net
from groupnl.cli.output import JsonOption, Output, progress_bar

if TYPE_CHECKING:
    from groupnl.data import CorruptedSet, ImageSet
    from groupnl.evaluation import Baseline, Evaluation
    from groupnl_device.preprocessing import Preprocessing


def evaluate(
    nets: Annotated[
        list[str],
        typer.Argument(
            metavar="NET...",
            help="A zoo or timm name, a checkpoint, a bundle (.gnl), a TorchScript or .pt2 file, or module:function. "
            "Several checkpoints are training seeds of one net.",
        ),
    ],
    data: DataOption,
    data_dir: DataDirOption = None,
    protocol: ProtocolOption = "random",
    image_size: ImageSizeOption = None,
    model_option: ModelOptions = None,
    weights: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A state dict for a zoo or timm name: .safetensors, .pth.")
    ] = None,
    mean: Annotated[
        str | None, typer.Option(metavar="R,G,B", help="Of pictures in [0, 1]; default: the net's or the data's own.")
    ] = None,
    std: Annotated[str | None, typer.Option(metavar="R,G,B", help="As --mean.")] = None,
    corruptions: Annotated[
        str, typer.Option(metavar="NAMES", help="all, mce15, none, a family, or names joined by commas.")
    ] = "all",
    severities: Annotated[str, typer.Option(help="Integers from 1 to 5, joined by commas.")] = "1,2,3,4,5",
    corrupted: Annotated[
        str | None,
        typer.Option(
            metavar="DIR|none",
            help="A corrupted copy of the data, such as CIFAR-10-C; none: corrupt here. Default: the published copy if "
            "it lies beside the data.",
        ),
    ] = None,
    variant: VariantOption = None,
    frost_dir: FrostOption = None,
    baseline: Annotated[
        str | None,
        typer.Option(metavar="FILE.json", help="Another net's evaluation (its --json), or alexnet: gives CE and mCE."),
    ] = None,
    answers: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Keep every answer: a killed run goes on from there, groupnl compare reads it."
        ),
    ] = None,
    batch_size: Annotated[str, typer.Option(metavar="N", help="auto: as many as fit in memory.")] = "auto",
    device: Annotated[str | None, typer.Option(help="cpu, cuda, ...; default: a GPU if there is one.")] = None,
    seed: Annotated[int, typer.Option(help="Of the corruptions' draws.")] = 0,
    json: JsonOption = None,
) -> None:
    """Measure a net on clean and on corrupted test pictures; under torchrun, with many processes.

    Example: [bold]groupnl evaluate runs/icons/model.safetensors --data openicons --json result.json[/bold]
    """
    from groupnl.corruptions import find_frost_photographs
    from groupnl.evaluation import evaluate as measure
    from groupnl.evaluation import summarize_seeds

    with Output(json).words() as output, launched(device) as launch:
        against = None if baseline is None else _baseline(baseline)
        normalize = _normalization(mean, std)
        results: list[Evaluation] = []
        for number, spec in enumerate(nets, 1):
            found = _net(spec, parse_options(model_option), weights, launch)
            if results and found.name != results[0].name:
                raise ValueError(
                    f"{spec} is {found.name}, {nets[0]} is {results[0].name}: several nets are taken for training "
                    "seeds of one; evaluate others by themselves, and compare with groupnl compare or report"
                )
            test_set, preprocessing = _pictures(found, data, data_dir, protocol, image_size, normalize)
            _check_classes(spec, found, test_set)
            label = found.name if len(nets) == 1 else f"{found.name} {number}/{len(nets)}"
            with progress_bar(label) if launch.is_first else nullcontext() as progress:
                result = measure(
                    found.model,
                    test_set,
                    preprocessing=preprocessing,
                    corruptions=_chosen(corruptions),
                    severities=[_integer("--severities", part) for part in severities.split(",")],
                    variant=variant_of(variant, test_set),
                    corrupted=_corrupted(corrupted, test_set, data_dir, corruptions),
                    frost_photographs=None if frost_dir is None else find_frost_photographs(frost_dir),
                    batch_size="auto" if batch_size == "auto" else _integer("--batch-size", batch_size),
                    device=launch.device,
                    seed=seed,
                    baseline=against,
                    answers_dir=answers if answers is None or len(nets) == 1 else answers / str(number),
                    net_id=found.file_hash,
                    distributed=launch.distributed,
                    progress=progress,
                    name=found.name,
                )
            results.append(result)
            if launch.is_first:
                output.say(table_of(result))
        if not launch.is_first:
            return
        if len(results) == 1:
            output.finish(results[0].to_dict())
            return
        summary = summarize_seeds(results)
        output.say(table_of_seeds(results[0].name, results, summary))
        records = [result.to_dict() for result in results]
        output.finish({"name": results[0].name, "evaluations": records, "summary": summary.to_dict()})


def _net(spec: str, options: dict[str, Any], weights: Path | None, launch: Launch) -> Net:
    found = resolve_net(spec, options, device=launch.device)
    if weights is None:
        return found
    if Path(spec).is_file() or found.module is None:
        raise ValueError(f"--weights {weights} with the file {spec}: a file has its own; name a zoo or timm net")
    from groupnl.cli.net_files import load_weights_

    load_weights_(found.module, weights)
    return found


def _pictures(
    found: Net,
    data: str,
    data_dir: Path | None,
    protocol: str,
    image_size: int | None,
    normalize: "dict[str, tuple[float, ...]]",
) -> "tuple[ImageSet, Preprocessing]":
    """The test set as the net sees it, and how the net sees it: by what is given, what it says, or what the data is."""
    own = found.preprocessing
    if own is not None and image_size is not None:
        own = replace(own, input_size=(3, image_size, image_size))
    test_set = load_split(data, "test", data_dir, protocol, image_size, own)
    if own is None:
        # ImageNet is normalised in one way by all, and who has only its test set can measure as well
        own = preprocessing_of(
            test_set if data == "imagenet" else load_split(data, "train", data_dir, protocol, image_size)
        )
    return test_set, replace(own, **normalize)  # type: ignore[arg-type]  # mean and std


def _corrupted(
    given: str | None, test_set: "ImageSet", data_dir: Path | None, corruptions: str
) -> "CorruptedSet | None":
    """The corrupted copy to read; None: corrupt here."""
    from groupnl.data import find_corrupted, open_corrupted

    if given == "none" or corruptions == "none":
        return None
    folder = find_corrupted(test_set.name, data_dir) if given is None else Path(given)
    return None if folder is None else open_corrupted(folder, test_set)


def _baseline(given: str) -> "Evaluation | Sequence[Evaluation] | Baseline":
    from groupnl.evaluation import ALEXNET, Evaluation

    if given.lower() == "alexnet":
        return ALEXNET
    try:
        record = json_format.loads(Path(given).read_text(encoding="utf-8"))
        if isinstance(record, dict) and "evaluations" in record:
            return [Evaluation.from_dict(one) for one in record["evaluations"]]
        return Evaluation.from_dict(record)
    except ValueError as error:
        raise ValueError(f"--baseline {given}: {error}") from error


def _normalization(mean: str | None, std: str | None) -> dict[str, tuple[float, ...]]:
    if (mean is None) != (std is None):
        raise ValueError("--mean and --std: give both or none")
    given = {"mean": mean, "std": std}
    try:
        return {key: tuple(map(float, text.split(","))) for key, text in given.items() if text is not None}
    except ValueError as error:
        raise ValueError(f"--mean {mean} --std {std}: expected three numbers each, joined by commas") from error


def _chosen(text: str) -> "Sequence[str] | Literal['all', 'mce15']":
    from groupnl.corruptions import FAMILIES

    if text == "none":
        return ()
    return text if text in ("all", "mce15", *FAMILIES) else text.split(",")


def _check_classes(spec: str, found: Net, test_set: "ImageSet") -> None:
    if found.class_names and found.class_names != test_set.class_names:
        raise ValueError(
            f"{spec} knows the classes {_some(found.class_names)}, {test_set.name} has {_some(test_set.class_names)}: "
            "evaluate a net on the classes that it was trained on"
        )


def _integer(option: str, text: str) -> int:
    if not text.strip().isdigit():
        raise ValueError(f"{option}: {text!r} is no whole number" + (" or auto" if option == "--batch-size" else ""))
    return int(text)


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
