"""The manifest: parsed strictly, and checked for what a schema cannot say."""

import copy
from typing import Any

import pytest

from groupnl_device.errors import FormatVersionError, InvalidManifestError
from groupnl_device.manifest import ExplicitPairs, Manifest


def changed(manifest: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy with one place, such as ``layers.0.nlf``, set to another value."""
    document = copy.deepcopy(manifest)
    target: Any = document
    *parents, last = path.split("/")
    for part in parents:
        target = target[int(part)] if isinstance(target, list) else target[part]
    target[int(last) if isinstance(target, list) else last] = value
    return document


def test_round_trip(manifest: dict[str, Any]) -> None:
    typed = Manifest.from_dict(manifest)
    assert typed.to_dict() == manifest
    assert Manifest.from_json(typed.to_json()) == typed
    assert typed.to_json() == Manifest.from_json(typed.to_json()).to_json()


def test_explicit_pairs_round_trip(manifest: dict[str, Any]) -> None:
    document = changed(manifest, "layers/0/pairs", {"explicit": {"period": "p", "shift": "s"}})
    typed = Manifest.from_dict(document)
    assert typed.layers[0].pairs == ExplicitPairs(period="p", shift="s")
    assert typed.layers[0].explicit_names == ("p", "s")
    assert typed.to_dict() == document


def test_integers_written_as_floats_are_integers(manifest: dict[str, Any]) -> None:
    typed = Manifest.from_dict(changed(manifest, "layers/0/seed_channels", 5.0))
    assert typed.layers[0].seed_channels == 5
    assert isinstance(typed.layers[0].seed_channels, int)


@pytest.mark.parametrize(
    ("path", "value", "match"),
    [
        ("layers/0/nlf", "cosine", r"layers\[0\]\.nlf: \"cosine\": expected one of sine"),
        ("layers/0/pairs/scheme", "philox-v2", "philox-v1"),
        ("layers/0/pairs/period_range", [2.0, 1.0], "low <= high"),
        ("layers/0/seed_channels", 13, "exceeds out_channels"),
        ("layers/0/nl_groups", 6, "nl_groups 6 exceeds"),
        ("layers/0/out_channels", 1_000_000, "channels in all"),
        ("layers/0/initializers", {"omega": "x"}, "unknown property"),
        ("layers/0/initializers", {"period": "x", "shift": "x"}, "fill the same initializer"),
        ("class_names", ["one"], "1 names for an output"),
        ("input/shape", [None, 3, 7, 7], "contradicts"),
        ("input/dtype", "float16", "float32"),
        ("preprocessing/std", [0, 1, 1], "positive"),
        ("preprocessing/mean", [0.5], "3 finite numbers"),
        ("artifacts", [], "at least 1 items"),
        ("artifacts/0/files/graph", "other.onnx", "'other.onnx' is not among the entries"),
        ("artifacts/0/files/graph", "../graph.onnx", "text of the form"),
        ("artifacts/0/requires", {"onnxruntime": "newest"}, "text of the form"),
        ("self_test/file", "absent", "not among the entries"),
        ("measured", {"clean_accuracy": [0.5]}, "clean_accuracy"),
        ("entries/graph.onnx/sha256", "abc", "sha256"),
        ("surprise", 1, 'unknown property "surprise"'),
    ],
)
def test_refusals(manifest: dict[str, Any], path: str, value: Any, match: str) -> None:
    if path == "layers/0/out_channels":
        manifest["layers"] *= 2
    with pytest.raises(InvalidManifestError, match=match):
        Manifest.from_dict(changed(manifest, path, value))


@pytest.mark.parametrize("name", ["name", "entries", "layers", "artifacts", "producer", "format_version"])
def test_missing_properties(manifest: dict[str, Any], name: str) -> None:
    del manifest[name]
    with pytest.raises(InvalidManifestError, match=f"expected the property {name}"):
        Manifest.from_dict(manifest)


def test_format_versions(manifest: dict[str, Any]) -> None:
    for version in ("2.0", "0.9", "17.3", "2"):
        with pytest.raises(FormatVersionError, match=r"reads 1\.x"):
            Manifest.from_dict({**manifest, "format_version": version})
    for version in ("1", "1.x", "1.01", "", None, 1.0):
        with pytest.raises(InvalidManifestError):
            Manifest.from_dict({**manifest, "format_version": version})


def test_a_later_minor_version_may_add_properties(manifest: dict[str, Any]) -> None:
    document = changed({**manifest, "surprise": 1}, "layers/0/surprise", {"a": []})
    assert Manifest.from_dict({**document, "format_version": "1.7"}).layers == Manifest.from_dict(manifest).layers
    with pytest.raises(InvalidManifestError, match="unknown property"):
        Manifest.from_dict(document)


@pytest.mark.parametrize("document", [None, [], "text", 3, {}])
def test_other_documents(document: Any) -> None:
    with pytest.raises(InvalidManifestError, match="manifest"):
        Manifest.from_dict(document)


def test_text_that_is_no_json() -> None:
    with pytest.raises(InvalidManifestError, match=r"manifest\.json: Expecting value"):
        Manifest.from_json(b"")
