"""What an evaluation found: a frozen record that checks itself and is plain JSON on disk."""

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, NotRequired, TypedDict, cast, get_args

from groupnl.corruptions import SEVERITIES, VARIANTS, Variant, names
from groupnl.evaluation.metrics import mean

CorruptionSet = Literal["mce15", "all", "custom"]
Origin = Literal["published", "generated"]

_SLACK = 1e-9  # between a stored mean and the mean of the stored values


class CorruptionErrors(TypedDict):
    """What one corruption did; errors are shares of wrong top-1 answers, 0 to 1."""

    family: str  # "noise", "blur", "weather", "digital", or "other" for a corruption of another benchmark
    error: float  # mean over the severities
    ece: float  # mean over the severities, 0 to 1
    severities: dict[str, float]  # the error at "1" to "5"; strings, as JSON has them
    ce: NotRequired[float]  # sum of the errors / the same sum of the baseline; only with a baseline that has it
    relative_ce: NotRequired[float]  # only with a baseline that the corruption costs something


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Clean accuracy, corruption errors and calibration of one net on one split.

    Attributes:
        name: Of the net, as its user calls it.
        data: Dataset, such as "openicons".
        split: "train" or "test".
        images: N, at least 1.
        clean_accuracy: Share of right top-1 answers on the clean images, 0 to 1.
        clean_ece: Expected calibration error on the clean images, 0 to 1.
        mean_error: Mean of the error over the corruptions and severities that were run, clean excluded, 0 to 1; None
            where no corruption was run. A plain mean, not mCE.
        mean_ece: The same mean of the expected calibration error.
        corruptions: Per corruption, in the order run.
        families: Per family that was run, the mean error of its corruptions.
        variant: Whose constants the corruptions had; None: those of a set that was read.
        severities: Those that were run, ascending; ``mean_error`` compares only with the same ones.
        seed: Of the corruptions' random draws; None: those of a set that was read.
        baseline: Name of the net that ``ce`` refers to; None: no ``ce``.
        mce: Mean of ``ce`` over the 15 corruptions of the benchmark; None without a baseline, without one of the 15 or
            without one of the five severities.
        relative_mce: The same mean of ``relative_ce``; None also where one of the 15 has none.
        corruption_set: "mce15", "all" (the 19) or "custom".
        corrupted_by: "generated" here or by ``groupnl data corrupt``, or "published" files: the two differ.
        corrupted_source: Which program and seed, or which files.
        frost_source: Where the photographs of frost came from; None: no frost was run, or it is not known.
        intervals: 95 % (low, high) of ``clean_accuracy`` and, with corruptions, ``mean_error``: bootstrap over images.
    """

    name: str
    data: str
    split: str
    images: int
    clean_accuracy: float
    clean_ece: float
    mean_error: float | None
    mean_ece: float | None
    corruptions: Mapping[str, CorruptionErrors]
    families: Mapping[str, float]
    variant: Variant | None
    severities: tuple[int, ...]
    seed: int | None
    baseline: str | None
    mce: float | None
    relative_mce: float | None
    corruption_set: CorruptionSet
    corrupted_by: Origin
    corrupted_source: str
    frost_source: str | None
    intervals: Mapping[str, tuple[float, float]]

    def __post_init__(self) -> None:
        self._check_plain_fields()
        _require(_are_severities(self.severities), "severities", self.severities, "integers from 1 to 5, ascending")
        object.__setattr__(self, "severities", tuple(self.severities))
        for key in ("corruptions", "families", "intervals"):
            value = getattr(self, key)
            _require(isinstance(value, Mapping), key, value, "an object")
            object.__setattr__(self, key, copy.deepcopy(dict(value)))
        for corruption, found in self.corruptions.items():
            self._check_corruption(corruption, found)
        self._check_means()
        self._check_intervals()

    def _check_plain_fields(self) -> None:
        for key in ("name", "data", "split", "corrupted_source"):
            _require(_is_text(getattr(self, key)), key, getattr(self, key), "a text that is not empty")
        for key in ("baseline", "frost_source"):
            value = getattr(self, key)
            _require(value is None or _is_text(value), key, value, "a text that is not empty, or None")
        _require(_is_integer(self.images) and self.images >= 1, "images", self.images, "an integer of at least 1")
        for key in ("clean_accuracy", "clean_ece"):
            _require(_is_share(getattr(self, key)), key, getattr(self, key), "a number from 0 to 1")
        _require(self.variant in (*VARIANTS, None), "variant", self.variant, f"{' or '.join(VARIANTS)}, or None")
        _require(self.seed is None or _is_integer(self.seed), "seed", self.seed, "an integer or None")
        for key, allowed in (("corruption_set", get_args(CorruptionSet)), ("corrupted_by", get_args(Origin))):
            _require(getattr(self, key) in allowed, key, getattr(self, key), " or ".join(allowed))

    def _check_corruption(self, corruption: str, found: CorruptionErrors) -> None:
        label = f"corruptions[{corruption!r}]"
        _require(_is_text(corruption), "corruptions", corruption, "names of corruptions as keys")
        keys = {"family", "error", "ece", "severities"}
        optional = {"ce", "relative_ce"} if self.baseline is not None else set()
        expectation = f"an object with {', '.join(sorted(keys))}" + (
            " and perhaps ce and relative_ce" if optional else " (ce only with a baseline)"
        )
        right_keys = isinstance(found, Mapping) and keys <= set(found) <= keys | optional
        _require(right_keys, label, found, expectation)
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
        _require(_is_text(found["family"]), f"{label}.family", found["family"], "a text that is not empty")
        _require(_is_share(found["ece"]), f"{label}.ece", found["ece"], "a number from 0 to 1")
        ratio, relative = found.get("ce", 0.0), found.get("relative_ce", 0.0)
        _require(_is_number(ratio) and ratio >= 0, f"{label}.ce", ratio, "a number of at least 0")
        _require(_is_number(relative), f"{label}.relative_ce", relative, "a finite number")

    def _check_means(self) -> None:
        rows = list(self.corruptions.values())
        families = {row["family"] for row in rows}
        _require(set(self.families) == families, "families", self.families, "the families of the corruptions")
        for family in families:
            self._check_mean(f"families[{family!r}]", self.families[family], _errors(rows, family))
        self._check_mean("mean_error", self.mean_error, _errors(rows))
        self._check_mean("mean_ece", self.mean_ece, [row["ece"] for row in rows])
        for key, one in (("mce", "ce"), ("relative_mce", "relative_ce")):
            rows_by_name: Mapping[str, Mapping[str, object]] = self.corruptions
            counted = [rows_by_name.get(corruption, {}).get(one) for corruption in names("mce15")]
            complete = None not in counted and self.severities == SEVERITIES
            self._check_mean(key, getattr(self, key), cast("list[float]", counted) if complete else [])

    @staticmethod
    def _check_mean(key: str, given: float | None, values: list[float]) -> None:
        if not values:
            _require(given is None, key, given, "None: there is nothing to take the mean of")
            return
        expected = mean(values)
        _require(_is_close(given, expected), key, given, f"the mean of its parts, {expected}")

    def _check_intervals(self) -> None:
        keys = {"clean_accuracy"} | ({"mean_error"} if self.corruptions else set())
        _require(set(self.intervals) == keys, "intervals", self.intervals, f"those of {' and '.join(sorted(keys))}")
        for key, ends in self.intervals.items():
            right = isinstance(ends, Sequence) and len(ends) == 2 and all(map(_is_share, ends)) and ends[0] <= ends[1]
            _require(right, f"intervals[{key!r}]", ends, "two shares, lowest and highest")
        object.__setattr__(self, "intervals", {key: (low, high) for key, (low, high) in self.intervals.items()})

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values, a copy; :meth:`from_dict` reads them back."""
        intervals = {key: list(ends) for key, ends in self.intervals.items()}
        return asdict(self) | {"severities": list(self.severities), "intervals": intervals}

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


def _errors(rows: Sequence[CorruptionErrors], family: str | None = None) -> list[float]:
    return [row["error"] for row in rows if family in (None, row["family"])]


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
