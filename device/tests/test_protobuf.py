"""The wire format against the onnx package's own reader and writer."""

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from groupnl_device.protobuf import ProtobufError, bytes_field, fields, number_field, pieces, signed, varints

MODEL = helper.make_model(
    helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, -1, 0, 2**40], alpha=0.5, note="two words")],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, 224, 224])],
        [],
        [onnx.numpy_helper.from_array(np.arange(300, dtype=np.float32), "w")],
    )
).SerializeToString()


def test_pieces_are_the_whole_message() -> None:
    assert b"".join(bytes(whole) for _, _, whole in pieces(memoryview(MODEL))) == MODEL
    assert [number for number, _ in fields(memoryview(MODEL))] == [n for n, _, _ in pieces(memoryview(MODEL))]


@settings(deadline=None, max_examples=100)
@given(st.integers(-(2**63), 2**63 - 1), st.text(max_size=300))
def test_what_is_written_onnx_reads(number: int, text: str) -> None:
    raw = bytes_field(1, text.encode()) + number_field(3, number)
    attribute = onnx.AttributeProto.FromString(raw)
    assert (attribute.name, attribute.i) == (text, number)
    read = dict(fields(memoryview(raw)))
    assert bytes(read[1]).decode() == text
    assert signed(read[3]) == number


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(-(2**63), 2**63 - 1)))
def test_packed_numbers(numbers: list[int]) -> None:
    packed = b"".join(number_field(1, number)[1:] for number in numbers)
    assert varints(memoryview(packed)) == numbers


@pytest.mark.parametrize("raw", [b"\x0b", b"\x0a\x7f", b"\xff" * 10 + b"\x01", b"\x0d\0", b"\x80", b"\x09abc"])
def test_other_bytes(raw: bytes) -> None:
    with pytest.raises(ProtobufError):
        list(fields(memoryview(raw)))


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    try:
        found = list(pieces(memoryview(raw)))
    except ProtobufError:
        return
    assert b"".join(bytes(whole) for _, _, whole in found) == raw
