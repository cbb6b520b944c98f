"""Checks a JSON document against a JSON Schema, for the part of the 2020-12 draft that ``manifest.schema.json`` uses.

The schema is the one description of the manifest; this file only reads it, so that the device needs no further package.
A keyword that it does not know raises, it is never skipped.
"""

import json
import re
from collections.abc import Callable
from functools import cache
from importlib import resources
from typing import Any

Json = Any  # a parsed JSON value: None, bool, int, float, str, list, dict

_SILENT = {"$schema", "$defs", "title", "description"}


class SchemaError(ValueError):
    """A document that is not valid; the message begins with where."""


@cache
def load() -> dict[str, Json]:
    """The manifest's schema, as shipped with this package."""
    schema: dict[str, Json] = json.loads(
        resources.files("groupnl_device").joinpath("manifest.schema.json").read_text(encoding="utf-8")
    )
    return schema


def check(document: Json, schema: dict[str, Json] | None = None, *, allow_unknown: bool = False) -> None:
    """Check a document.

    Args:
        document: Parsed JSON.
        schema: The schema; by default the manifest's.
        allow_unknown: Ignore properties that the schema does not name, instead of refusing them.

    Raises:
        SchemaError: Where the document breaks which rule.
    """
    schema = load() if schema is None else schema
    _Checker(schema, allow_unknown).check(document, schema, "manifest")


class _Checker:
    def __init__(self, root: dict[str, Json], allow_unknown: bool) -> None:
        self.root = root
        self.allow_unknown = allow_unknown

    def check(self, value: Json, schema: dict[str, Json], where: str) -> None:
        for keyword, rule in schema.items():
            if keyword in _SILENT:
                continue
            if keyword == "$ref":
                self.check(value, self._resolve(rule), where)
            elif keyword == "anyOf":
                self._any_of(value, rule, where)
            elif keyword == "additionalProperties":
                self._additional(value, rule, schema.get("properties", {}), where)
            elif keyword in _NESTED:
                if isinstance(value, dict):
                    _NESTED[keyword](self, value, rule, where)
            elif keyword == "items":
                for index, item in enumerate(value if isinstance(value, list) else ()):
                    self.check(item, rule, f"{where}[{index}]")
            elif keyword in _PLAIN:
                if (complaint := _PLAIN[keyword](value, rule)) is not None:
                    raise SchemaError(f"{where}: {_show(value)}: expected {complaint}")
            else:
                raise NotImplementedError(f"JSON Schema keyword {keyword!r}")

    def _resolve(self, reference: str) -> dict[str, Json]:
        found: dict[str, Json] = self.root["$defs"][reference.removeprefix("#/$defs/")]
        return found

    def _any_of(self, value: Json, choices: list[dict[str, Json]], where: str) -> None:
        complaints = []
        for choice in choices:
            try:
                self.check(value, choice, where)
            except SchemaError as error:
                complaints.append(str(error))
            else:
                return
        raise SchemaError("; or ".join(complaints))

    def _properties(self, value: dict[str, Json], rules: dict[str, Json], where: str) -> None:
        for name, rule in rules.items():
            if name in value:
                self.check(value[name], rule, f"{where}.{name}")

    def _names(self, value: dict[str, Json], rule: dict[str, Json], where: str) -> None:
        for name in value:
            self.check(name, rule, f"{where}: property name")

    def _additional(self, value: Json, rule: bool | dict[str, Json], named: dict[str, Json], where: str) -> None:
        for name in value if isinstance(value, dict) else ():
            if name in named:
                continue
            if isinstance(rule, dict):
                self.check(value[name], rule, f"{where}.{_short(name)}")
            elif not rule and not self.allow_unknown:
                raise SchemaError(f"{where}: unknown property {_show(name)}; known are {', '.join(sorted(named))}")


_NESTED: dict[str, Callable[[_Checker, dict[str, Json], Any, str], None]] = {
    "properties": _Checker._properties,
    "propertyNames": _Checker._names,
}


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_integer(value: Json) -> bool:
    """Integers as JSON Schema means them: 1.0 is one, true is not."""
    return _is_number(value) and (isinstance(value, int) or value.is_integer())


_TYPES: dict[str, Callable[[Json], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "number": _is_number,
    "integer": is_integer,
    "null": lambda value: value is None,
}


def _same(value: Json, constant: Json) -> bool:
    return type(value) is type(constant) and bool(value == constant)


def _missing(value: Json, names: list[str]) -> str | None:
    absent = [name for name in names if name not in value] if isinstance(value, dict) else []
    return f"the property {', '.join(absent)} in it" if absent else None


def _bound(
    kind: type | tuple[type, ...], measure: Callable[[Json], float], holds: Callable[[float, float], bool], words: str
) -> Callable[[Json, Any], str | None]:
    """A rule that compares one number of the value with a limit."""

    def rule(value: Json, limit: float) -> str | None:
        applies = isinstance(value, kind) and not isinstance(value, bool)
        return words.format(limit) if applies and not holds(measure(value), limit) else None

    return rule


def _at_least(size: float, limit: float) -> bool:
    return size >= limit


def _at_most(size: float, limit: float) -> bool:
    return size <= limit


def _above(size: float, limit: float) -> bool:
    return size > limit


def _itself(value: Json) -> float:
    number: float = value
    return number


_PLAIN: dict[str, Callable[[Json, Any], str | None]] = {
    "type": lambda value, rule: None if _TYPES[rule](value) else f"{'an' if rule[0] in 'aio' else 'a'} {rule}",
    "const": lambda value, rule: None if _same(value, rule) else json.dumps(rule),
    "enum": lambda value, rule: (
        None if any(_same(value, choice) for choice in rule) else "one of " + ", ".join(map(str, rule))
    ),
    "required": _missing,
    "pattern": lambda value, rule: (
        None if not isinstance(value, str) or re.fullmatch(rule, value) else f"text of the form {rule}"
    ),
    "minimum": _bound((int, float), _itself, _at_least, "at least {}"),
    "exclusiveMinimum": _bound((int, float), _itself, _above, "more than {}"),
    "maximum": _bound((int, float), _itself, _at_most, "at most {}"),
    "minLength": _bound(str, len, _at_least, "at least {} characters"),
    "maxLength": _bound(str, len, _at_most, "at most {} characters"),
    "minItems": _bound(list, len, _at_least, "at least {} items"),
    "maxItems": _bound(list, len, _at_most, "at most {} items"),
    "minProperties": _bound(dict, len, _at_least, "at least {} properties"),
    "maxProperties": _bound(dict, len, _at_most, "at most {} properties"),
}


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:60] + "..."


def _show(value: Json) -> str:
    return _short(json.dumps(value))
