"""``groupnl data corrupt``: write a corrupted copy of a test set, as CIFAR-10-C and ImageNet-C are published."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from groupnl.cli.datasets import (
    DataDirOption,
    DataOption,
    FrostOption,
    ImageSizeOption,
    ProtocolOption,
    VariantOption,
    load_split,
    variant_of,
)
from groupnl.cli.output import JsonOption, Output, progress_bar

if TYPE_CHECKING:
    from groupnl.corruptions import FrostPhotographs, Variant
    from groupnl.data import ImageSet


def corrupt(
    data: DataOption,
    out: Annotated[Path, typer.Option(metavar="DIR", help="New, or begun by the same command and then killed.")],
    data_dir: DataDirOption = None,
    protocol: ProtocolOption = "random",
    image_size: ImageSizeOption = None,
    corruptions: Annotated[str, typer.Option(metavar="NAMES", help="all, mce15, or names joined by commas.")] = "all",
    severities: Annotated[str, typer.Option(help="Integers from 1 to 5, joined by commas.")] = "1,2,3,4,5",
    variant: VariantOption = None,
    seed: Annotated[int, typer.Option(help="Of the corruptions' draws.")] = 0,
    encoding: Annotated[
        str | None,
        typer.Option(
            metavar="KIND",
            help="raw: <corruption>.npy as in CIFAR-10-C. jpeg (quality 85, as in ImageNet-C) or png (lossless): a "
            "tree of pictures. Default: jpeg for imagenet and folder, else raw.",
        ),
    ] = None,
    frost_dir: FrostOption = None,
    batch_size: Annotated[int, typer.Option(min=1)] = 256,
    device: Annotated[str, typer.Option(help="cpu, cuda, ...")] = "cpu",
    json: JsonOption = None,
) -> None:
    """Write a corrupted copy of a test set, as CIFAR-10-C and ImageNet-C are published. Killed, it goes on.

    Example: [bold]groupnl data corrupt --data cifar10 --data-dir datasets --out datasets/my-CIFAR-10-C[/bold]
    """
    from groupnl.corruptions import corrupt as corrupt_images
    from groupnl.corruptions import find_frost_photographs
    from groupnl.data.corrupted_writer import describe_corrupted, write_corrupted

    with Output(json).words() as output:
        names, steps = chosen_names(corruptions), chosen_severities(severities)
        if encoding not in (None, "raw", "jpeg", "png"):
            raise ValueError(f"--encoding {encoding!r}: expected raw, jpeg or png")
        if data == "tiny-imagenet" and variant is None:
            raise ValueError(
                "Tiny-ImageNet-C was made with constants of its own, which groupnl does not have: download it "
                "(groupnl reads it), or give --variant to take CIFAR's or ImageNet's"
            )
        test_set = load_split(data, "test", data_dir, protocol, image_size)
        constants = variant_of(variant, test_set)
        photographs = find_frost_photographs(frost_dir) if "frost" in names else None
        check_corruptions(test_set, names, constants, seed, photographs)
        header = describe_corrupted(
            test_set,
            corruptions=names,
            severities=steps,
            variant=constants,
            seed=seed,
            frost_source=None if photographs is None else photographs.source,
            encoding=encoding,  # type: ignore[arg-type]  # checked above
        )
        with progress_bar(test_set.name) as progress:
            manifest = write_corrupted(
                out,
                test_set,
                header,
                lambda images, name, severity, first_index: corrupt_images(
                    images,
                    name,
                    severity=severity,
                    variant=constants,
                    seed=seed,
                    first_index=first_index,
                    frost_photographs=photographs,
                ),
                batch_size=batch_size,
                device=device,
                progress=progress,
            )
        pictures = len(names) * len(steps) * len(test_set)
        output.say(f"{out}: {len(names)} corruptions x {len(steps)} severities, {pictures:,} pictures")
        if photographs is not None:
            output.say(f"frost photographs: {photographs.source}")
        output.finish({"folder": str(out), **asdict(manifest)})


def check_corruptions(
    data: "ImageSet",
    names: tuple[str, ...],
    variant: "Variant",
    seed: int,
    photographs: "FrostPhotographs | None",
) -> None:
    """Refuse what ``corrupt`` would refuse, before any work is done."""
    from groupnl.corruptions import corrupt

    for name in names:
        corrupt(data.images[:0], name, severity=1, variant=variant, seed=seed, frost_photographs=photographs)


def chosen_names(text: str) -> tuple[str, ...]:
    """The corruptions of an option: a selection such as all or mce15, or names joined by commas."""
    from groupnl.corruptions import names

    listed = tuple(part.strip() for part in text.split(","))
    if len(listed) == 1 and listed[0] not in names("all"):
        return names(listed[0])  # type: ignore[arg-type]  # checked there, with the list of what is allowed
    if len(set(listed)) != len(listed):
        raise ValueError(f"--corruptions {text}: each may be named once")
    return listed


def chosen_severities(text: str) -> tuple[int, ...]:
    """The severities of an option: integers joined by commas, in ascending order."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part in ("1", "2", "3", "4", "5") for part in parts) or len(set(parts)) != len(parts):
        raise ValueError(f"--severities {text}: expected different integers from 1 to 5, joined by commas")
    return tuple(sorted(map(int, parts)))
