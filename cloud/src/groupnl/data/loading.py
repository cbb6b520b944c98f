"""The door: datasets by name."""

from pathlib import Path
from typing import Literal

from groupnl.data import cifar, embedded, gtsrb, icons50, image_folder, imagenet, tiny_imagenet
from groupnl.data.decode import check_image_size
from groupnl.data.image_set import ImageSet
from groupnl_device.preprocessing import Preprocessing

_PROTOCOLS = {
    "openicons": embedded.PROTOCOLS,
    "cifar10": cifar.PROTOCOLS,
    "cifar100": cifar.PROTOCOLS,
    "gtsrb": gtsrb.PROTOCOLS,
    "icons50": icons50.PROTOCOLS,
    "tiny-imagenet": tiny_imagenet.PROTOCOLS,
    "imagenet": imagenet.PROTOCOLS,
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
    preprocessing: Preprocessing | None = None,
    in_memory: bool | None = None,
) -> ImageSet:
    """Read one split of a dataset. Nothing is downloaded.

    Args:
        name: ``openicons`` is part of this package; the others are read from ``data_dir`` in the layout in which they
            are published: ``cifar10`` (``cifar-10-batches-py/``), ``cifar100`` (``cifar-100-python/``), ``gtsrb``
            (``gtsrb/``), ``icons50`` (``Icons-50/``), ``tiny-imagenet`` (``tiny-imagenet-200/``), ``imagenet``
            (``imagenet/val/<wnid>/*`` or ``val/<wnid>/*``; any part of it), ``folder`` (``train/<class>/*``,
            ``val/<class>/*`` or ``test/<class>/*``).
        split: "train" or "test"; "test" is the validation set where the test set has no labels (both ImageNets).
        data_dir: Folder that holds the dataset's folder; not needed for ``openicons``.
        protocol: How it is split, one of ``protocols(name)``. "random" is the usual split: the official one where the
            dataset has one.
        image_size: Side in pixels, to which every image is resized; None is the usual side: 32, 64 for
            ``tiny-imagenet``, 224 for ``imagenet``, and for ``folder`` the pictures' own size, which must then be the
            same for all. ``imagenet`` takes the centre of its pictures, the others keep them whole.
        preprocessing: A net's own resize and crop, in place of ``image_size``: ``imagenet`` and ``folder`` follow it,
            the others take its side. Mean and std are not applied.
        in_memory: Of the sets that can be large (``folder``, ``tiny-imagenet``, ``imagenet``): True decodes them now,
            False when ``images[...]`` asks for them (``LazyImages``), None now where they take at most half of the
            memory available.

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
    if preprocessing is not None:
        image_size = _side(preprocessing, image_size)
    if name == "openicons":
        return embedded.load(split=split, protocol=protocol, image_size=image_size)
    if data_dir is None:
        raise ValueError(f"data_dir is needed for {name}: the folder in which its files lie (openicons needs none)")
    folder = Path(data_dir).expanduser()
    if name in ("cifar10", "cifar100"):
        layout = cifar.CIFAR10 if name == "cifar10" else cifar.CIFAR100
        return cifar.load(folder, layout, split=split, image_size=image_size)
    if name == "icons50":
        return icons50.load(folder, split=split, protocol=protocol, image_size=image_size)
    if name == "gtsrb":
        return gtsrb.load(folder, split=split, image_size=image_size)
    if name == "tiny-imagenet":
        return tiny_imagenet.load(folder, split=split, image_size=image_size, in_memory=in_memory)
    pictures = imagenet.load if name == "imagenet" else image_folder.load
    return pictures(folder, split=split, image_size=image_size, preprocessing=preprocessing, in_memory=in_memory)


def _side(preprocessing: Preprocessing, image_size: int | None) -> int:
    """The side of a net's input.

    Raises:
        ValueError: It is not square, or ``image_size`` is another.
    """
    _, height, width = preprocessing.input_size
    if height != width or image_size not in (None, height):
        raise ValueError(
            f"a preprocessing to {height} x {width} pixels and image_size={image_size}: expected a square, and one of "
            "the two"
        )
    return height
