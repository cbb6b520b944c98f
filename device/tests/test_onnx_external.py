"""No place in an ONNX model can hide a tensor that lives in a file."""

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from groupnl_device.errors import UnsafeBundleError
from groupnl_device.onnx_external import check_external


def tensor(name: str = "w", external: bool = True) -> TensorProto:
    if not external:
        return onnx.numpy_helper.from_array(np.arange(100, dtype=np.float32), name)
    proto = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[2], data_location=TensorProto.EXTERNAL)
    proto.external_data.add(key="location", value="/etc/passwd")
    return proto


def graph(initializers=(), nodes=()) -> onnx.GraphProto:
    return helper.make_graph(list(nodes), "g", [], [], list(initializers))


def sparse(name: str = "w") -> onnx.SparseTensorProto:
    return onnx.SparseTensorProto(values=tensor(name), dims=[4])


def attribute(**kinds) -> onnx.NodeProto:
    node = helper.make_node("Constant", [], ["c"])
    node.attribute.append(onnx.AttributeProto(name="value", **kinds))
    return node


HIDING_PLACES = {
    "initializer": lambda: helper.make_model(graph([tensor("other")])),
    "attribute": lambda: helper.make_model(graph(nodes=[attribute(t=tensor())])),
    "attribute list": lambda: helper.make_model(graph(nodes=[attribute(tensors=[tensor("a", False), tensor()])])),
    "subgraph": lambda: helper.make_model(graph(nodes=[attribute(g=graph([tensor()]))])),
    "subgraph list": lambda: helper.make_model(graph(nodes=[attribute(graphs=[graph(), graph([tensor()])])])),
    "subgraph's node": lambda: helper.make_model(graph(nodes=[attribute(g=graph(nodes=[attribute(t=tensor())]))])),
    "sparse initializer": lambda: onnx.ModelProto(graph=onnx.GraphProto(sparse_initializer=[sparse()])),
    "sparse indices": lambda: onnx.ModelProto(
        graph=onnx.GraphProto(sparse_initializer=[onnx.SparseTensorProto(indices=tensor())])
    ),
    "sparse attribute": lambda: helper.make_model(graph(nodes=[attribute(sparse_tensor=sparse())])),
    "sparse attributes": lambda: helper.make_model(graph(nodes=[attribute(sparse_tensors=[sparse()])])),
    "function": lambda: onnx.ModelProto(functions=[onnx.FunctionProto(node=[attribute(t=tensor())])]),
    "function default": lambda: onnx.ModelProto(
        functions=[onnx.FunctionProto(attribute_proto=[onnx.AttributeProto(name="d", t=tensor())])]
    ),
    "training": lambda: onnx.ModelProto(training_info=[onnx.TrainingInfoProto(initialization=graph([tensor()]))]),
    "training algorithm": lambda: onnx.ModelProto(training_info=[onnx.TrainingInfoProto(algorithm=graph([tensor()]))]),
    "twice": lambda: helper.make_model(graph([tensor("w"), tensor("w")])),
}


@pytest.mark.parametrize("place", HIDING_PLACES)
def test_hiding_places(place: str) -> None:
    """The name is one that would be filled: only at the top level is it."""
    with pytest.raises(UnsafeBundleError, match=r"from a file|twice"):
        check_external(HIDING_PLACES[place]().SerializeToString(), {"w"})


def test_every_message_that_can_hold_a_tensor_is_walked() -> None:
    """From ONNX's own descriptors, so that a later ONNX cannot add a place that is overlooked."""
    from groupnl_device.onnx_external import _FIELDS

    names = {
        "model": onnx.ModelProto,
        "training": onnx.TrainingInfoProto,
        "function": onnx.FunctionProto,
        "graph": onnx.GraphProto,
        "node": onnx.NodeProto,
        "attribute": onnx.AttributeProto,
        "sparse": onnx.SparseTensorProto,
        "tensor": onnx.TensorProto,
    }
    ours = {proto.DESCRIPTOR.full_name: name for name, proto in names.items()}
    holders = {}
    for name, proto in names.items():
        holders[name] = {
            field.number: ours[field.message_type.full_name]
            for field in proto.DESCRIPTOR.fields
            if field.message_type is not None and field.message_type.full_name in ours
        }
        unknown = {
            field.message_type.full_name
            for field in proto.DESCRIPTOR.fields
            if field.message_type is not None and field.message_type.full_name not in ours
        }
        assert all(not holds_tensors(message) for message in unknown), unknown
    assert {name: fields for name, fields in holders.items() if fields} == _FIELDS


def holds_tensors(message: str) -> bool:
    """Whether a message, by ONNX's descriptors, leads to a tensor."""
    from onnx import onnx_ml_pb2

    found, todo = set(), [onnx_ml_pb2.DESCRIPTOR.pool.FindMessageTypeByName(message)]
    while todo:
        descriptor = todo.pop()
        if descriptor.full_name in found:
            continue
        found.add(descriptor.full_name)
        todo += [field.message_type for field in descriptor.fields if field.message_type is not None]
    return onnx.TensorProto.DESCRIPTOR.full_name in found


def test_tensors_that_are_filled_and_tensors_inside() -> None:
    inside = attribute(t=tensor("inside", external=False))
    model = helper.make_model(graph([tensor("w"), tensor("bias", external=False)], [inside]))
    check_external(model.SerializeToString(), {"w"})


@pytest.mark.parametrize("raw", [b"\x0b", b"\x3a\x7f", b"\x3a" + b"\xff" * 10 + b"\x01", b"\x3d\0", b"\x80"])
def test_other_bytes(raw: bytes) -> None:
    with pytest.raises(UnsafeBundleError, match="no ONNX"):
        check_external(raw, set())


def test_deep_nesting_is_refused() -> None:
    def field(number: int, content: bytes) -> bytes:
        size = bytes([len(content) & 0x7F | 0x80, len(content) >> 7 & 0x7F | 0x80, len(content) >> 14])
        return bytes([number << 3 | 2]) + size + content

    nested = b""
    for _ in range(2000):
        nested = field(1, field(5, field(6, nested)))  # node, attribute, graph
    with pytest.raises(UnsafeBundleError, match="deeper than"):
        check_external(field(7, nested), {"w"})


MODEL = helper.make_model(graph([tensor("w"), tensor("v", external=False)], [attribute(g=graph())])).SerializeToString()


@settings(deadline=None, max_examples=200)
@given(st.integers(0, len(MODEL) - 1), st.binary(max_size=4), st.integers(0, 4))
def test_whatever_onnx_can_read_is_judged_alike(position: int, piece: bytes, removed: int) -> None:
    raw = MODEL[:position] + piece + MODEL[position + removed :]
    model = onnx.ModelProto()
    try:
        model.ParseFromString(raw)
    except Exception:
        return
    external = [t for t in model.graph.initializer if t.data_location == TensorProto.EXTERNAL and t.name != "w"]
    if external:
        with pytest.raises(UnsafeBundleError):
            check_external(raw, {"w"})
