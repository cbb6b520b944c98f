"""The options with which commands name a data set."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from groupnl.corruptions import Variant
    from groupnl.data import ImageSet
    from groupnl_device.preprocessing import Preprocessing

DataOption = Annotated[
    str, typer.Option("--data", metavar="NAME", help="One of [bold]groupnl data list[/bold], such as openicons.")
]
DataDirOption = Annotated[
    Path | None, typer.Option("--data-dir", metavar="DIR", help="Where the data lies; openicons needs none.")
]
ProtocolOption = Annotated[
    str, typer.Option("--protocol", help="How train and test are split: random, or style and subtype for icons.")
]
ImageSizeOption = Annotated[
    int | None, typer.Option("--image-size", metavar="PIXELS", help="Resize to a square of this side.")
]

VariantOption = Annotated[
    str | None,
    typer.Option(help="Whose constants to corrupt with, cifar or imagenet; default: by the pictures' size."),
]
FrostOption = Annotated[
    Path | None,
    typer.Option("--frost-dir", metavar="DIR", help="Frost photographs; without any, a procedural stand-in."),
]

_LARGEST_CIFAR_SIDE = 84  # pixels: nearer to 32 than to 224 by ratio


def load_split(
    name: str,
    split: Literal["train", "test"],
    data_dir: Path | None,
    protocol: str,
    image_size: int | None,
    preprocessing: "Preprocessing | None" = None,
    in_memory: bool | None = None,
) -> "ImageSet":
    """One split of a data set. Arguments and errors as those of ``groupnl.data.load``."""
    from groupnl.data import load

    return load(
        name,
        split=split,
        data_dir=data_dir,
        protocol=protocol,
        image_size=image_size,
        preprocessing=preprocessing,
        in_memory=in_memory,
    )


def preprocessing_of(train_set: "ImageSet") -> "Preprocessing":
    """Size, mean and standard deviation of a training set: the preprocessing of a net that is trained on it.

    Of a set that is decoded from files, mean and standard deviation are ImageNet's: measuring them would take a pass
    over all pictures.
    """
    from groupnl.data import LazyImages
    from groupnl_device.preprocessing import Preprocessing

    if isinstance(train_set.images, LazyImages):
        from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD

        return replace(train_set.images.fit, mean=IMAGENET_DEFAULT_MEAN, std=IMAGENET_DEFAULT_STD)
    mean, std = train_set.channel_stats()
    channels, height, width = train_set.images.shape[1:]
    return Preprocessing(input_size=(channels, height, width), mean=mean, std=std)


def variant_of(given: str | None, data: "ImageSet") -> "Variant":
    """The constants asked for, else those that were made for pictures of about this size.

    Raises:
        ValueError: There are no such constants.
    """
    from groupnl.corruptions import VARIANTS

    if given is None:
        return "cifar" if max(data.images.shape[2:]) <= _LARGEST_CIFAR_SIDE else "imagenet"
    for known in VARIANTS:
        if given == known:
            return known
    raise ValueError(f"--variant {given!r}: expected {' or '.join(VARIANTS)}")
