"""JSON from strangers: stricter than ``json.loads``, and bounded."""

import json
import math
from collections import Counter
from typing import Any, NoReturn

_DEEPEST = 16  # lists and objects within each other; a manifest needs six
_LONGEST_NUMBER = 100  # digits
_MOST_MARKS = 250_000  # commas, colons and opening brackets: each may take 75 bytes of memory once it is parsed


def parse(raw: bytes) -> Any:
    """Parse UTF-8 without a name twice in an object, NaN, infinity, endless numbers, deep nesting or too many values.

    Raises:
        ValueError: What is wrong.
    """
    marks = sum(raw.count(mark) for mark in b",:[{")
    if marks > _MOST_MARKS:
        raise ValueError(f"{marks} commas, colons and opening brackets, at most {_MOST_MARKS} allowed")
    try:
        document = json.loads(
            raw.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_constant=_refuse_constant,
            parse_float=_finite_float,
            parse_int=_bounded_int,
        )
    except RecursionError as error:
        raise ValueError(f"nested deeper than {_DEEPEST} levels") from error
    _check_depth(document)
    return document


def _check_depth(document: Any) -> None:
    level = [document]
    for _ in range(_DEEPEST):
        containers = [value for value in level if isinstance(value, dict | list)]
        if not containers:
            return
        level = [child for c in containers for child in (c.values() if isinstance(c, dict) else c)]
    if any(isinstance(value, dict | list) for value in level):
        raise ValueError(f"nested deeper than {_DEEPEST} levels")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        counts = Counter(name for name, _ in pairs)
        double = counts.most_common(1)[0][0]
        raise ValueError(f"the name {double!r} is there twice in one object")
    return found


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a JSON number")


def _finite_float(text: str) -> float:
    value = float(text) if len(text) <= _LONGEST_NUMBER else math.inf
    if not math.isfinite(value):
        raise ValueError(f"the number {text[:20]}... is too large or too long")
    return value


def _bounded_int(text: str) -> int:
    if len(text) > _LONGEST_NUMBER:
        raise ValueError(f"the number {text[:20]}... is too long")
    return int(text)
