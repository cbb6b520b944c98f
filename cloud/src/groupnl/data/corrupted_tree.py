"""ImageNet-C's layout: ``<corruption>/<severity>/<class>/<picture>``, each picture a corrupted copy of a clean one."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Self

from torch import Tensor

from groupnl.data.decode import decode_pictures
from groupnl.data.image_set import ImageSet
from groupnl.data.picture_files import is_picture
from groupnl_device.preprocessing import Preprocessing


@dataclass(frozen=True, kw_only=True, eq=False)
class TreeReader:
    """Reads such a folder, for a clean set of N images."""

    folders: Mapping[str, Mapping[int, Path]]  # of each corruption and severity
    severities: tuple[int, ...]
    files: Sequence[str]  # "class/name" of each image, in the clean set's order
    fit: Preprocessing

    @classmethod
    def open(cls, root: Path, data: ImageSet) -> Self:
        """Check that each corruption has the same severities, and each of those the classes and pictures of ``data``.

        Raises:
            FileNotFoundError: A picture or a class is missing.
            ValueError: ``data`` does not know the names of its files, or corruptions differ in their severities.
        """
        folders = _corruption_folders(root)
        if not folders:
            return cls(folders={}, severities=(), files=(), fit=_fit(data))
        if not data.files:
            raise ValueError(
                f"{root} holds pictures by name, but the images of {data.name} have no names: expected a set that is "
                "read from picture files, such as imagenet or folder"
            )
        (first, steps), *others = folders.items()
        for name, found in others:
            if found.keys() != steps.keys():
                raise ValueError(
                    f"{root}: {first} has severities {', '.join(map(str, steps))}, {name} has "
                    f"{', '.join(map(str, found))}: expected the same of all; is it unpacked whole?"
                )
        _check_classes(folders, {name.split("/")[0] for name in data.files})
        return cls(
            folders=folders,
            severities=tuple(steps),
            files=_matched(next(iter(steps.values())), data.files),
            fit=_fit(data),
        )

    @property
    def corruptions(self) -> tuple[str, ...]:
        """In alphabetical order."""
        return tuple(self.folders)

    def read(self, corruption: str, severity: int, batch: range) -> Tensor:
        """As :meth:`CorruptedSet.images`; the arguments are checked there."""
        folder = self.folders[corruption][severity]
        return decode_pictures([folder / self.files[index] for index in batch], self.fit)


def _fit(data: ImageSet) -> Preprocessing:
    """Whole pictures to the clean set's size: published ones are cropped already."""
    height, width = data.images.shape[2:]
    return Preprocessing(input_size=(3, height, width), mean=(0.0,) * 3, std=(1.0,) * 3)


def _corruption_folders(root: Path) -> dict[str, dict[int, Path]]:
    """Find the folders with severities in them, at most one level (the families) down."""
    found = {}
    for folder in _subfolders(root):
        if steps := _severities(folder):
            found[folder.name] = steps
        else:
            found.update({inner.name: steps for inner in _subfolders(folder) if (steps := _severities(inner))})
    return dict(sorted(found.items()))


def _severities(folder: Path) -> dict[int, Path]:
    """The folders whose names are numbers; where one is no integer (ImageNet-C-bar), 1, 2, ... in their order."""
    steps = {}
    for path in _subfolders(folder):
        try:
            steps[float(path.name)] = path
        except ValueError:
            continue
    ordered = [steps[step] for step in sorted(steps)]
    if all(path.name.isdecimal() for path in ordered):
        return {int(path.name): path for path in ordered}
    return dict(enumerate(ordered, start=1))


def _subfolders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _check_classes(folders: Mapping[str, Mapping[int, Path]], classes: set[str]) -> None:
    for steps in folders.values():
        for folder in steps.values():
            if missing := sorted(classes - {path.name for path in folder.iterdir()}):
                raise FileNotFoundError(
                    f"{folder}: no folder {missing[0]} ({len(missing)} of {len(classes)} classes are missing): it is "
                    "a corrupted copy of another set, or not unpacked whole"
                )


def _matched(folder: Path, files: Sequence[str]) -> list[str]:
    """Find each clean file's corrupted copy: the same name but for the suffix.

    Where no name at all is the same and each class has as many pictures as the clean set, they are paired in the order
    of their names: the labels are right, though an image and its copy may be two pictures of one class.

    Raises:
        FileNotFoundError: A copy is missing.
    """
    parents = [str(PurePosixPath(name).parent) for name in files]
    there: dict[str, dict[str, str]] = {}  # folder -> stem -> name
    for parent in dict.fromkeys(parents):
        members = sorted((folder / parent).iterdir()) if (folder / parent).is_dir() else []
        there[parent] = {path.stem: f"{parent}/{path.name}" for path in members if is_picture(path)}
    copies = [there[parent].get(PurePosixPath(name).stem) for parent, name in zip(parents, files, strict=True)]
    found = [copy for copy in copies if copy is not None]
    if len(found) == len(files):
        return found
    if not found and Counter(parents) == {parent: len(members) for parent, members in there.items()}:
        waiting = {parent: iter(members.values()) for parent, members in there.items()}
        order = sorted(range(len(files)), key=lambda index: files[index])
        paired = {index: next(waiting[parents[index]]) for index in order}
        return [paired[index] for index in range(len(files))]
    missing = files[copies.index(None)]
    raise FileNotFoundError(
        f"{folder}: no copy of {missing} ({len(files) - len(found)} of {len(files)} pictures are missing): it is a "
        "corrupted copy of another set, or not unpacked whole"
    )
