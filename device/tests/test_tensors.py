"""Our reader of safetensors against the library that defines the format."""

import json

import numpy as np
import pytest
import safetensors
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from groupnl_device.bundle import Bundle
from groupnl_device.errors import BundleError
from groupnl_device.tensors import _views, read_tensors, widened

TENSORS = {
    "b": np.arange(6, dtype=np.float32).reshape(2, 3),
    "a": np.array(-3, dtype=np.int64),
    "c": np.zeros((0, 4), np.float16),
    "d": np.array([True, False, True]),
    "e": np.array([1.5], np.float64),
}


def test_reads_what_the_library_writes() -> None:
    found = _views(memoryview(safetensors.numpy.save(TENSORS, {"note": "metadata"})))
    assert set(found) == set(TENSORS)
    for name, tensor in TENSORS.items():
        assert found[name].dtype == tensor.dtype
        np.testing.assert_array_equal(found[name], tensor, strict=True)


def test_weights_are_views_of_the_bundle(bundle_bytes: bytes) -> None:
    weights = read_tensors(Bundle.from_bytes(bundle_bytes), "weights.safetensors")
    whole = np.frombuffer(bundle_bytes, np.uint8)
    for tensor in weights.values():
        assert np.shares_memory(whole, tensor)
        assert tensor.flags.aligned
        assert not tensor.flags.writeable


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_damaged_files_raise_nothing_but_bundle_errors(data: st.DataObject) -> None:
    """Whatever the library refuses, we refuse; whatever we accept, it reads alike."""
    content = bytearray(safetensors.numpy.save(TENSORS))
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    del content[data.draw(st.integers(len(content) - 20, len(content))) :]
    ours: dict[str, np.ndarray] | None
    try:
        ours = read_tensors(_OneEntry(bytes(content)), "weights")  # type: ignore[arg-type]
    except BundleError:
        ours = None
    try:
        theirs = safetensors.numpy.load(bytes(content))
    except (safetensors.SafetensorError, KeyError):
        theirs = None
    if ours is not None:
        assert theirs is not None
        assert {name: tensor.tobytes() for name, tensor in ours.items()} == {
            name: tensor.tobytes() for name, tensor in theirs.items()
        }


class _OneEntry:
    def __init__(self, content: bytes) -> None:
        self.content = content

    def read(self, _: str) -> memoryview:
        return memoryview(self.content)


@pytest.mark.parametrize(
    ("header", "match"),
    [
        ([], "no object"),
        ({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}, "where its shape says"),
        ({"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}, "where its shape says"),
        ({"a": {"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 8]}}, "where its shape says"),
        ({"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 8]}}, "impossible"),
        ({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}, "4 bytes belong to no tensor"),
        ({"a": {"dtype": "BF16", "shape": [4], "data_offsets": [0, 8]}}, "BF16"),
        ({"a": {"dtype": "F32", "shape": 2, "data_offsets": [0, 8]}}, "not a safetensors file"),
        ({"a": {"dtype": "F32"}}, "not a safetensors file"),
        ({"a": 7}, "not a safetensors file"),
    ],
)
def test_lying_headers(header: object, match: str) -> None:
    text = json.dumps(header).encode()
    with pytest.raises(BundleError, match=match):
        read_tensors(_OneEntry(len(text).to_bytes(8, "little") + text + bytes(8)), "weights")  # type: ignore[arg-type]


@pytest.mark.parametrize("content", [b"", b"\1\0\0", (2**62).to_bytes(8, "little") + b"{}", b"\5" + bytes(7) + b"{}"])
def test_headers_that_do_not_fit(content: bytes) -> None:
    with pytest.raises(BundleError, match="header of"):
        read_tensors(_OneEntry(content), "weights")  # type: ignore[arg-type]


def test_float16_is_widened_without_rounding_and_the_rest_left_alone() -> None:
    every = np.arange(2**16, dtype=np.uint16).view(np.float16)
    every = every[~np.isnan(every)]  # all numbers that float16 has
    found = widened({"half": every, "float": TENSORS["b"], "whole": TENSORS["a"]})
    assert found["half"].dtype == np.float32
    np.testing.assert_array_equal(found["half"].astype(np.float64), every.astype(np.float64))
    assert found["float"] is TENSORS["b"]
    assert found["whole"] is TENSORS["a"]
