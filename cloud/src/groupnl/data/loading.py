"""The door: datasets by name."""

from pathlib import Path
from typing import Literal

from groupnl.data import cifar10, embedded, gtsrb, icons50, image_folder
from groupnl.data.decode import check_image_size
from groupnl.data.image_set import ImageSet

_PROTOCOLS = {
    "openicons": embedded.PROTOCOLS,
    "cifar10": cifar10.PROTOCOLS,
    "gtsrb": gtsrb.PROTOCOLS,
    "icons50": icons50.PROTOCOLS,
    "folder": image_folder.PROTOCOLS,
}


def names() -> tuple[str, ...]:
    """Return the datasets that :func:`load` knows."""
    return tuple(_PROTOCOLS)


def protocols(name: str) -> tuple[str, ...]:
    """Return the ways in which a dataset can be split; "style" also takes a name, as in "style:twemoji".

    Raises:
        ValueError: No such dataset.
    """
    if name not in _PROTOCOLS:
        raise ValueError(f"dataset {name!r} is unknown: expected one of {', '.join(_PROTOCOLS)}")
    return _PROTOCOLS[name]


def load(
    name: str,
    *,
    split: Literal["train", "test"],
    data_dir: str | Path | None = None,
    protocol: str = "random",
    image_size: int | None = None,
) -> ImageSet:
    """Read one split of a dataset into memory. Nothing is downloaded.

    Args:
        name: ``openicons`` is part of this package; the others are read from ``data_dir`` in the layout in which they
            are published: ``cifar10`` (``cifar-10-batches-py/``), ``gtsrb`` (``gtsrb/``), ``icons50`` (``Icons-50/``),
            ``folder`` (``train/<class>/*``, ``val/<class>/*`` or ``test/<class>/*``).
        split: "train" or "test".
        data_dir: Folder that holds the dataset's folder; not needed for ``openicons``.
        protocol: How it is split, one of ``protocols(name)``. "random" is the usual split: the official one where the
            dataset has one.
        image_size: Side in pixels, to which every image is resized; None is 32 for the named datasets, and for
            ``folder`` the pictures' own size, which must then be the same for all.

    Raises:
        ValueError: An argument is outside what is allowed above, a file is damaged (it is named), or the images would
            not fit into half of the available memory.
        FileNotFoundError: The data is absent; the message says which files are expected and who publishes them.
    """
    allowed = protocols(name)
    if split not in ("train", "test"):
        raise ValueError(f"split={split!r}: expected 'train' or 'test'")
    if protocol not in allowed and not (protocol.startswith("style:") and "style" in allowed):
        raise ValueError(f"protocol={protocol!r}: expected one of {', '.join(allowed)} for {name}")
    check_image_size(image_size)
    if name == "openicons":
        return embedded.load(split=split, protocol=protocol, image_size=image_size)
    if data_dir is None:
        raise ValueError(f"data_dir is needed for {name}: the folder in which its files lie (openicons needs none)")
    folder = Path(data_dir).expanduser()
    if name == "icons50":
        return icons50.load(folder, split=split, protocol=protocol, image_size=image_size)
    plain = {"cifar10": cifar10.load, "gtsrb": gtsrb.load, "folder": image_folder.load}
    return plain[name](folder, split=split, image_size=image_size)
