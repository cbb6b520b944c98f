"""Answers: the class that a net gave each image, and how sure it was, clean and under each corruption.

In memory they are arrays; on disk a folder of ``about.json``, ``labels.npy`` and one ``.npy`` file a condition. From
them come every figure, and a comparison of two nets image by image.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from groupnl.evaluation.result import Origin

ANSWER = np.dtype([("predicted", "<i4"), ("confidence", "<f4")])  # top-1 class, and its probability from 0 to 1
ABOUT_FILE, LABELS_FILE = "about.json", "labels.npy"


class Condition(NamedTuple):
    """The images as they are, or under a corruption at a severity from 1 to 5."""

    corruption: str
    severity: int

    @property
    def label(self) -> str:
        """For people: "clean", "fog 3"."""
        return f"{self.corruption} {self.severity}" if self.severity else self.corruption

    @property
    def file(self) -> str:
        """For the disk: "clean.npy", "fog-3.npy"."""
        return f"{self.corruption}-{self.severity}.npy" if self.severity else f"{self.corruption}.npy"


CLEAN = Condition("clean", 0)


@dataclass(frozen=True, kw_only=True)
class About:
    """What was asked of whom.

    Attributes:
        name: Of the net, as its user calls it.
        net: Hash that tells this net from others; None: answers that are not kept.
        preprocessing: How images became its input.
        data: Dataset, such as "cifar10".
        split: "train" or "test".
        images: N.
        classes: K.
        pictures: Hash of the labels and of the first images: tells this selection from others.
        corrupted_by: Generated here, or read.
        corrupted_source: Which program and seed, or which files.
        variant: Whose constants; None: those of the files.
        seed: Of the draws; None: those of the files.
        frost_source: Where frost's photographs came from; None: no frost so far, or not known.
        batch_size: Images at a time.
    """

    name: str
    net: str | None
    preprocessing: Mapping[str, Any]
    data: str
    split: str
    images: int
    classes: int
    pictures: str
    corrupted_by: Origin
    corrupted_source: str
    variant: str | None
    seed: int | None
    frost_source: str | None
    batch_size: int

    def difference(self, other: "About", ignored: frozenset[str]) -> str | None:
        """The first field in which two differ, in words; None where they agree on all but ``ignored``."""
        for field in fields(self):
            mine, theirs = getattr(self, field.name), getattr(other, field.name)
            both = field.name != "frost_source" or (mine is not None and theirs is not None)
            if field.name not in ignored and both and mine != theirs:
                return f"{field.name}: {mine!r} against {theirs!r}"
        return None


@dataclass(frozen=True, kw_only=True, eq=False)
class Answers:
    """All answers of one net on one split.

    Attributes:
        about: What was asked of whom.
        labels: The right classes, int64, shape (N,).
        given: Per condition the answers, of dtype ``ANSWER``, shape (N,); ``CLEAN`` first.
    """

    about: About
    labels: NDArray[np.int64]
    given: Mapping[Condition, NDArray[np.void]]

    def right(self, condition: Condition) -> NDArray[np.bool_]:
        """Which images got the right class, shape (N,)."""
        right: NDArray[np.bool_] = self.given[condition]["predicted"] == self.labels
        return right

    def severities(self) -> dict[str, list[int]]:
        """Per corruption, in order, the severities that were run."""
        found: dict[str, list[int]] = {}
        for condition in self.given:
            if condition != CLEAN:
                found.setdefault(condition.corruption, []).append(condition.severity)
        return found

    @classmethod
    def load(cls, folder: str | Path) -> "Answers":
        """Read the folder that an evaluation left.

        Raises:
            FileNotFoundError: There is no such folder, or it holds no answers.
            ValueError: A file is damaged (it is named), or the evaluation was not finished.
        """
        folder = Path(folder)
        about = read_about(folder)
        if about is None:
            raise FileNotFoundError(
                f"{folder} holds no answers: expected a folder that groupnl evaluate --answers wrote"
            )
        labels = read_labels(folder, about)
        found = sorted(path.stem for path in folder.glob("*.npy") if path.name != LABELS_FILE)
        conditions = [_condition(stem) for stem in found]
        if CLEAN not in conditions:
            raise ValueError(f"{folder}: the evaluation was not finished; run it again with the same folder")
        conditions.sort(key=lambda condition: (condition != CLEAN, condition))
        answers = cls(
            about=about,
            labels=labels,
            given={condition: read_answers(folder, condition, about) for condition in conditions},
        )
        severities = list(answers.severities().values())
        if any(other != severities[0] for other in severities):
            raise ValueError(
                f"{folder}: not every corruption has the same severities, the evaluation was not finished; run it "
                "again with the same folder"
            )
        return answers


def read_about(folder: Path) -> About | None:
    """What a folder's answers are about; None where it has none.

    Raises:
        ValueError: The file is damaged.
    """
    path = folder / ABOUT_FILE
    if not path.exists():
        return None
    try:
        return About(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} is damaged ({error}): delete the folder and evaluate again") from error


def about_as_json(about: About) -> bytes:
    """The content of ``about.json``."""
    return (json.dumps(asdict(about), indent=2, allow_nan=False, ensure_ascii=False) + "\n").encode()


def read_labels(folder: Path, about: About) -> NDArray[np.int64]:
    """The right classes, int64, shape (N,). Raises ValueError where the file is damaged."""
    labels: NDArray[np.int64] = _read(folder / LABELS_FILE, np.dtype(np.int64), about.images)
    return labels


def read_answers(folder: Path, condition: Condition, about: About) -> NDArray[np.void]:
    """The answers under a condition. Raises ValueError where the file is damaged."""
    return _read(folder / condition.file, ANSWER, about.images)


def _read(path: Path, dtype: np.dtype[Any], count: int) -> NDArray[Any]:
    try:
        found: NDArray[Any] = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(f"{path} is damaged ({error}): delete it and evaluate again") from error
    if found.dtype != dtype or found.shape != (count,):
        raise ValueError(
            f"{path} holds {found.dtype} of shape {found.shape}, expected {dtype} of shape ({count},): delete it and "
            "evaluate again"
        )
    return found


def _condition(stem: str) -> Condition:
    corruption, _, severity = stem.rpartition("-")
    return Condition(corruption, int(severity)) if corruption and severity.isdigit() else Condition(stem, 0)
