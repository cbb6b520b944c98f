"""What an evaluation found: a frozen record that checks itself and is plain JSON on disk."""

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, NotRequired, TypedDict

from groupnl.corruptions import SEVERITIES, VARIANTS, Variant
from groupnl.evaluation.metrics import mean

_SLACK = 1e-9  # between a stored mean and the mean of the stored values


class CorruptionErrors(TypedDict):
    """What one corruption did; errors are shares of wrong top-1 answers, 0 to 1."""

    error: float  # mean over the severities
    severities: dict[str, float]  # "1" to "5"; strings, as JSON has them
    ce: NotRequired[float]  # sum of the errors / the same sum of the baseline; only with a baseline


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Clean accuracy and corruption errors of one net on one split.

    Attributes:
        name: Of the net, as its user calls it.
        data: Dataset, such as "openicons".
        split: "train" or "test".
        images: N, at least 1.
        clean_accuracy: Share of right top-1 answers on the clean images, 0 to 1.
        mean_error: Mean of the error over the corruptions and severities that were run, clean excluded, 0 to 1; None
            where no corruption was run. A plain mean, not mCE.
        corruptions: Per corruption, in the order run.
        variant: Whose constants the corruptions had.
        severities: Those that were run, ascending; ``mean_error`` compares only with the same ones.
        seed: Of the corruptions' random draws.
        baseline: Name of the net that ``ce`` refers to; None: no ``ce``.
    """

    name: str
    data: str
    split: str
    images: int
    clean_accuracy: float
    mean_error: float | None
    corruptions: Mapping[str, CorruptionErrors]
    variant: Variant = "cifar"
    severities: tuple[int, ...] = SEVERITIES
    seed: int = 0
    baseline: str | None = None

    def __post_init__(self) -> None:
        for key in ("name", "data", "split"):
            _require(_is_text(getattr(self, key)), key, getattr(self, key), "a text that is not empty")
        _require(_is_integer(self.images) and self.images >= 1, "images", self.images, "an integer of at least 1")
        _require(_is_share(self.clean_accuracy), "clean_accuracy", self.clean_accuracy, "a number from 0 to 1")
        _require(self.variant in VARIANTS, "variant", self.variant, " or ".join(VARIANTS))
        _require(_is_integer(self.seed), "seed", self.seed, "an integer")
        _require(self.baseline is None or _is_text(self.baseline), "baseline", self.baseline, "a net's name or None")
        _require(_are_severities(self.severities), "severities", self.severities, "integers from 1 to 5, ascending")
        _require(isinstance(self.corruptions, Mapping), "corruptions", self.corruptions, "an object by corruption")
        object.__setattr__(self, "severities", tuple(self.severities))
        object.__setattr__(self, "corruptions", copy.deepcopy(dict(self.corruptions)))
        for corruption, found in self.corruptions.items():
            self._check_corruption(corruption, found)
        if not self.corruptions:
            _require(self.mean_error is None, "mean_error", self.mean_error, "None, since no corruption was run")
        else:
            expected = mean([found["error"] for found in self.corruptions.values()])
            expectation = f"the mean of the errors, {expected}"
            _require(_is_close(self.mean_error, expected), "mean_error", self.mean_error, expectation)

    def _check_corruption(self, corruption: str, found: CorruptionErrors) -> None:
        label = f"corruptions[{corruption!r}]"
        _require(_is_text(corruption), "corruptions", corruption, "names of corruptions as keys")
        keys = {"error", "severities"} | ({"ce"} if self.baseline is not None else set())
        allowed = ", ".join(sorted(keys)) + ("" if self.baseline is not None else " (ce only with a baseline)")
        _require(isinstance(found, Mapping) and set(found) == keys, label, found, f"an object with exactly {allowed}")
        errors = found["severities"]
        wanted = [str(severity) for severity in self.severities]
        _require(
            isinstance(errors, Mapping) and set(errors) == set(wanted) and all(map(_is_share, errors.values())),
            f"{label}.severities",
            errors,
            f"an error from 0 to 1 for each severity {', '.join(wanted)}",
        )
        expected = mean(list(errors.values()))
        expectation = f"the mean over the severities, {expected}"
        _require(_is_close(found["error"], expected), f"{label}.error", found["error"], expectation)
        if self.baseline is not None:
            _require(_is_number(found["ce"]) and found["ce"] >= 0, f"{label}.ce", found["ce"], "a number of at least 0")

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values, a copy; :meth:`from_dict` reads them back."""
        return asdict(self) | {"severities": list(self.severities)}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> "Evaluation":
        """Read what :meth:`to_dict` wrote.

        Raises:
            ValueError: A field is missing, unknown, of the wrong kind, out of range, or at odds with another.
        """
        known = [field.name for field in fields(cls)]
        if not isinstance(record, Mapping):
            raise ValueError(
                f"evaluation: {type(record).__name__} given; expected an object with {', '.join(known)}, "
                "as `groupnl evaluate --json` writes it"
            )
        if unknown := [str(key) for key in record if key not in known]:
            raise ValueError(f"evaluation: unknown {', '.join(unknown)}; known are {', '.join(known)}")
        if missing := [key for key in known if key not in record]:
            raise ValueError(f"evaluation: {', '.join(missing)} missing")
        return cls(**record)


def _require(condition: bool, key: str, given: object, expected: str) -> None:
    if not condition:
        raise ValueError(f"evaluation: {key}={given!r}; expected {expected}")


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_share(value: object) -> bool:
    return isinstance(value, int | float) and _is_number(value) and 0 <= value <= 1


def _is_close(value: object, expected: float) -> bool:
    return isinstance(value, int | float) and _is_number(value) and abs(value - expected) <= _SLACK


def _are_severities(values: object) -> bool:
    if not isinstance(values, Sequence) or isinstance(values, str) or not values:
        return False
    return all(_is_integer(value) and value in SEVERITIES for value in values) and list(values) == sorted(set(values))
