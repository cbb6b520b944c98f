"""JSON that ``json.loads`` would take, and we do not."""

import json

import pytest

from groupnl_device.strict_json import parse


@pytest.mark.parametrize(
    ("raw", "match"),
    [
        (b"", "Expecting value"),
        (b"{", "Expecting property name"),
        (b'{"a": 1, "a": 2}', "'a' is there twice"),
        (b'{"x": {"b": 1, "b": 1}}', "'b' is there twice"),
        (b'{"a": NaN}', "NaN is not a JSON number"),
        (b"[-Infinity]", "Infinity is not a JSON number"),
        (b"[1e999]", "too large"),
        (b"[" + b"1" * 5000 + b"]", "too long"),
        (b"[1." + b"1" * 5000 + b"]", "too long"),
        (b"[" * 17 + b"]" * 17, "nested deeper"),
        (b"[" * 100_000, "nested deeper"),
        (b'{"a":' * 100_000, "nested deeper"),
        (b'"\xff"', "utf-8"),
        (b"{} {}", "Extra data"),
        (b"\xef\xbb\xbf{}", "BOM"),
    ],
)
def test_strict_json(raw: bytes, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        parse(raw)


def test_texts_with_brackets_are_no_nesting() -> None:
    assert parse(json.dumps(["[{" * 100]).encode()) == ["[{" * 100]


def test_sixteen_levels_are_fine() -> None:
    assert parse(b"[" * 16 + b"]" * 16)
    assert parse(b'{"a": [1, 2.5, true, null, "x"]}') == {"a": [1, 2.5, True, None, "x"]}
