"""Two nets on the same images: is the one better, or was it luck?"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groupnl.evaluation.answers import CLEAN, Answers, Condition
from groupnl.evaluation.figures import wrong_counts
from groupnl.evaluation.intervals import bootstrap_interval

SIGN_FLIPS = 99_999
_MAY_DIFFER = frozenset({"name", "net", "preprocessing", "batch_size"})  # between two nets on the same images


@dataclass(frozen=True, kw_only=True)
class CleanComparison:
    """On the clean images.

    Attributes:
        difference: Accuracy of the first minus that of the second, -1 to 1.
        interval: 95 % of the difference, bootstrap over the images, in pairs.
        only_first_right: Images that only the first net got right.
        only_second_right: Images that only the second net got right.
        p_value: McNemar's exact test: how likely so uneven a split is if both nets are equally good.
    """

    difference: float
    interval: tuple[float, float]
    only_first_right: int
    only_second_right: int
    p_value: float


@dataclass(frozen=True, kw_only=True)
class CorruptedComparison:
    """Over all corruptions and severities.

    Attributes:
        difference: Mean error of the first minus that of the second, -1 to 1; below 0 the first is more robust.
        interval: 95 % of the difference, bootstrap over the images, in pairs.
        p_value: Of the sign-flip test over the images: McNemar's question, asked of each image's mean over the
            conditions, since the answers to one image under many corruptions are not independent of each other.
    """

    difference: float
    interval: tuple[float, float]
    p_value: float


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two nets, image by image.

    Attributes:
        first: Name of the first net.
        second: Name of the second.
        images: N, the same for both.
        clean: On the clean images.
        corrupted: On the corrupted ones; None where none were run.
    """

    first: str
    second: str
    images: int
    clean: CleanComparison
    corrupted: CorruptedComparison | None

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        record = asdict(self)
        for part in (record["clean"], record["corrupted"]):
            if part is not None:
                part["interval"] = list(part["interval"])
        return record


def compare(first: Answers, second: Answers) -> Comparison:
    """Compare two nets on the same images, corrupted in the same way.

    Args:
        first: Of one net.
        second: Of the other; to the same images under the same conditions.

    Raises:
        ValueError: They differ in the data, the corruptions or where these came from.
    """
    _check_comparable(first, second)
    conditions = [condition for condition in first.given if condition != CLEAN]
    return Comparison(
        first=first.about.name,
        second=second.about.name,
        images=first.about.images,
        clean=_compare_clean(first.right(CLEAN), second.right(CLEAN)),
        corrupted=_compare_corrupted(first, second, conditions) if conditions else None,
    )


def mcnemar_p_value(only_first: int, only_second: int) -> float:
    """McNemar's exact test, two-sided: the chance of a split at least so uneven when each side is equally likely.

    Source: McNemar, Psychometrika 12 (1947); the exact form is the binomial test of ``only_first`` out of
    ``only_first + only_second`` with probability 1/2.

    Args:
        only_first: Images that only the first net got right, at least 0.
        only_second: Images that only the second net got right, at least 0.

    Returns:
        0 to 1.
    """
    total = only_first + only_second
    ways, tail = 1, 1  # of choosing k of total, and their sum up to the smaller side
    for k in range(1, min(only_first, only_second) + 1):
        ways = ways * (total - k + 1) // k
        tail += ways
    return min(1.0, tail / (1 << max(total - 1, 0)))  # of whole numbers, whatever their size


def sign_flip_p_value(differences: NDArray[np.int64]) -> float:
    """The share of random sign flips of the differences whose sum is at least as far from 0 as it was measured.

    Equal differences are flipped together (a binomial draw of how many keep their sign). The draws are seeded.

    Args:
        differences: Integers, shape (N,); 0 for images on which the nets are even.

    Returns:
        From 1 / 100,000 to 1.
    """
    sizes, counts = np.unique(np.abs(differences[differences != 0]), return_counts=True)
    generator = np.random.Generator(np.random.Philox(key=0))
    sums = np.zeros(SIGN_FLIPS, np.int64)
    for size, count in zip(sizes.tolist(), counts.tolist(), strict=True):
        sums += size * (2 * generator.binomial(count, 0.5, SIGN_FLIPS) - count)
    extreme = int(np.count_nonzero(np.abs(sums) >= abs(int(differences.sum()))))
    return (1 + extreme) / (1 + SIGN_FLIPS)


def _compare_clean(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> CleanComparison:
    difference = first.astype(np.int64) - second
    only_first, only_second = int(np.sum(first & ~second)), int(np.sum(second & ~first))
    return CleanComparison(
        difference=float(difference.mean()),
        interval=bootstrap_interval(difference),
        only_first_right=only_first,
        only_second_right=only_second,
        p_value=mcnemar_p_value(only_first, only_second),
    )


def _compare_corrupted(first: Answers, second: Answers, conditions: list[Condition]) -> CorruptedComparison:
    difference = wrong_counts(first, conditions) - wrong_counts(second, conditions)
    low, high = bootstrap_interval(difference)
    return CorruptedComparison(
        difference=float(difference.mean()) / len(conditions),
        interval=(low / len(conditions), high / len(conditions)),
        p_value=sign_flip_p_value(difference),
    )


def _check_comparable(first: Answers, second: Answers) -> None:
    names = f"{first.about.name!r} and {second.about.name!r}"
    if difference := first.about.difference(second.about, _MAY_DIFFER):
        raise ValueError(
            f"{names} did not answer the same pictures ({difference}): evaluate both on the same data and corruptions"
        )
    if not np.array_equal(first.labels, second.labels):
        raise ValueError(f"{names} were measured on other labels: evaluate both on the same data")
    if set(first.given) != set(second.given):
        alone = sorted(condition.label for condition in set(first.given) ^ set(second.given))
        raise ValueError(
            f"{names} were not run under the same conditions; only one has {', '.join(alone[:5])}"
            f"{'' if len(alone) <= 5 else f' and {len(alone) - 5} more'}: evaluate both under the same"
        )
