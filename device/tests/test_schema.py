"""Our reading of the schema against the ``jsonschema`` package."""

import copy
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groupnl_device import schema
from groupnl_device.schema import SchemaError, check

REFERENCE = jsonschema.Draft202012Validator(schema.load())

VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 10**10),
    st.sampled_from([0.5, 1.0, -1.5, 1e300, 4097, 2**32]),
    st.sampled_from(
        ["", "1.0", "1.10", "a" * 64, "0" * 64, "x" * 301, "graph.onnx", "../x", "sine", "l2", "center", "é"]
    ),
    st.lists(st.sampled_from([None, 1, 2.5, "a", [], {}]), max_size=5),
    st.dictionaries(
        st.sampled_from(["a", "period", "shift", "explicit", "x" * 301, ""]), st.sampled_from([1, "b", {}, []])
    ),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths of every value inside a document, its own first."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path] + [found for name, child in inner for found in places(child, (*path, name))]


def mutated(document: Any, path: tuple[Any, ...], action: str, value: Any) -> Any:
    if not path:
        return value
    document = copy.deepcopy(document)
    target = document
    for part in path[:-1]:
        target = target[part]
    if action == "replace":
        target[path[-1]] = value
    elif action == "delete":
        del target[path[-1]]
    elif isinstance(target, list):
        target.append(value)
    else:
        target["added"] = value
    return document


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(schema.load())


def test_the_manifest_is_valid_for_both(manifest: dict[str, Any]) -> None:
    check(manifest)
    REFERENCE.validate(manifest)


def test_both_agree_on_every_deletion(manifest: dict[str, Any]) -> None:
    for path in places(manifest)[1:]:
        document = mutated(manifest, path, "delete", None)
        assert accepts(document) == REFERENCE.is_valid(document), path


@settings(deadline=None, max_examples=250)
@given(data=st.data())
def test_both_agree_on_mutations(data: st.DataObject) -> None:
    document = data.draw(st.shared(st.just(MANIFEST), key="manifest"))
    for _ in range(data.draw(st.integers(1, 2))):
        path = data.draw(st.sampled_from(places(document)))
        action = data.draw(st.sampled_from(["replace", "replace", "delete", "add"]))
        document = mutated(document, path, action, data.draw(VALUES))
    assert accepts(document) == REFERENCE.is_valid(document)


def accepts(document: Any) -> bool:
    try:
        check(document)
    except SchemaError:
        return False
    return True


def test_unknown_keywords_are_never_skipped() -> None:
    with pytest.raises(NotImplementedError, match="uniqueItems"):
        check([1, 1], {"uniqueItems": True})


def test_unknown_properties_may_be_allowed() -> None:
    closed = {"properties": {"a": {"type": "integer"}}, "additionalProperties": False}
    check({"a": 1, "b": 2}, closed, allow_unknown=True)
    with pytest.raises(SchemaError, match='unknown property "b"; known are a'):
        check({"a": 1, "b": 2}, closed)
    with pytest.raises(SchemaError, match=r"manifest\.a: true: expected an integer"):
        check({"a": True}, closed, allow_unknown=True)


def test_patterns_match_to_the_very_end() -> None:
    """Python's ``$`` matches before a final newline, ECMA 262's does not: there jsonschema is too lenient, not we."""
    with pytest.raises(SchemaError, match="text of the form"):
        check("a\n", {"pattern": "^a$"})


MANIFEST: dict[str, Any] = {
    "format_version": "1.0",
    "name": "net",
    "input": {"name": "input", "dtype": "float32", "shape": [None, 3, 8, 8]},
    "output": {"name": "logits", "dtype": "float32", "shape": [None, 2]},
    "preprocessing": {
        "input_size": [3, 8, 8],
        "mean": [0.5, 0.5, 0.5],
        "std": [1, 1, 1],
        "interpolation": "bilinear",
        "crop_pct": 0.875,
        "crop_mode": "center",
    },
    "class_names": ["a", "b"],
    "entries": {
        "graph.onnx": {"sha256": "0" * 64, "size": 3},
        "w.zst": {"sha256": "1" * 64, "size": 3, "unpacked_size": 9},
    },
    "layers": [
        {
            "name": "conv",
            "nlf": "gaussian",
            "normalize": "rms",
            "seed_channels": 4,
            "out_channels": 8,
            "nl_groups": 2,
            "pairs": {"scheme": "philox-v1", "seed": 3, "key": "", "period_range": None, "shift_range": [-1, 1]},
            "initializers": {"period": "conv.period"},
        },
        {
            "name": "explicit",
            "nlf": "sine",
            "normalize": "l2",
            "seed_channels": 4,
            "out_channels": 8,
            "nl_groups": 2,
            "pairs": {"explicit": {"period": "p", "shift": "s"}},
            "initializers": {},
        },
    ],
    "artifacts": [
        {
            "runtime": "onnxruntime",
            "form": "plain",
            "precision": "float32",
            "files": {"graph": "graph.onnx"},
            "requires": {"onnxruntime": "1.18"},
            "agreement": {"images": 3},
        }
    ],
    "measured": {"clean_accuracy": 0.5, "on": "openicons", "corruptions": {"fog": {"1": 0.25}}},
    "self_test": {"file": "graph.onnx", "tolerance": 0.001},
    "producer": {"groupnl": "0.1.0"},
}
