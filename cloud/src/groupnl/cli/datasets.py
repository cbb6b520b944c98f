"""The options with which commands name a data set."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from groupnl.data import ImageSet
    from groupnl_device.preprocessing import Preprocessing

DataOption = Annotated[
    str, typer.Option("--data", metavar="NAME", help="openicons, cifar10, gtsrb, icons50 or folder.")
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


def load_split(
    name: str, split: Literal["train", "test"], data_dir: Path | None, protocol: str, image_size: int | None
) -> "ImageSet":
    """One split of a data set. Raises as ``groupnl.data.load`` does."""
    from groupnl.data import load

    return load(name, split=split, data_dir=data_dir, protocol=protocol, image_size=image_size)


def preprocessing_of(train_set: "ImageSet") -> "Preprocessing":
    """Size, mean and standard deviation of a training set: the preprocessing of a net that is trained on it."""
    from groupnl_device.preprocessing import Preprocessing

    mean, std = train_set.channel_stats()
    channels, height, width = train_set.images.shape[1:]
    return Preprocessing(input_size=(channels, height, width), mean=mean, std=std)
