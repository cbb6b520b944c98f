"""What is read of a model, and what is written, beside the onnx package."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from groupnl_device.onnx_graph import OnnxGraph, new_node
from groupnl_device.protobuf import ProtobufError


def model() -> onnx.ModelProto:
    inner = helper.make_graph([], "inner", [], [])
    nodes = [
        helper.make_node(
            "Conv", ["x", "w"], ["y"], name="first", pads=[1, 0, 1, 0], group=-2, auto_pad="NOTSET", alpha=2.0
        ),
        helper.make_node("If", ["c"], ["z"], then_branch=inner, else_branch=inner),
        helper.make_node("Expand", ["y", "", "p"], ["o", ""], domain="groupnl"),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, 8, 9])],
        [helper.make_tensor_value_info("o", TensorProto.FLOAT, None)],
        [
            numpy_helper.from_array(np.ones((4, 3, 1, 2), np.float32), "w"),
            numpy_helper.from_array(np.array([2, -1]), "axes"),
            TensorProto(name="listed", data_type=TensorProto.INT64, dims=[2], int64_data=[-5, 6]),
        ],
        value_info=[helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4, 8, 9])],
    )
    imports = [helper.make_opsetid("", 18), helper.make_opsetid("groupnl", 1)]
    return helper.make_model(graph, opset_imports=imports)


def test_reading() -> None:
    graph = OnnxGraph(model().SerializeToString())
    conv, branch, layer = graph.nodes
    assert (conv.op, conv.domain, conv.inputs, conv.outputs) == ("Conv", "", ["x", "w"], ["y"])
    assert conv.numbers("pads", []) == [1, 0, 1, 0]
    assert conv.number("group", 1) == -2
    assert conv.attributes["auto_pad"] == "NOTSET"
    assert conv.numbers("group", [7]) == [7]
    assert conv.number("pads", 7) == conv.number("none", 7) == 7
    assert [node.holds_graphs for node in graph.nodes] == [False, True, False]
    assert (branch.inputs, layer.domain, layer.inputs, layer.outputs) == (["c"], "groupnl", ["y", "", "p"], ["o", ""])
    assert graph.inputs == {"x": ("batch", 3, 8, 9)}
    assert graph.outputs == ["o"]
    assert graph.shapes == {"y": (1, 4, 8, 9)}
    assert graph.sizes == {"w": (4, 3, 1, 2), "axes": (2,), "listed": (2,)}
    assert graph.whole_numbers("axes") == [2, -1]
    assert graph.whole_numbers("listed") == [-5, 6]
    assert graph.whole_numbers("w") is None
    assert graph.whole_numbers("none") is None
    assert graph.imports("groupnl")
    assert not graph.imports("com.microsoft")


def test_unchanged() -> None:
    raw = model().SerializeToString()
    assert onnx.ModelProto.FromString(OnnxGraph(raw).serialized()) == model()


def test_what_is_known_of_results() -> None:
    graph = OnnxGraph(model().SerializeToString())
    graph.say("o", ("batch", 16, None, 8))
    graph.nodes[0].outputs[0] = "renamed"  # of y nothing is known any more
    written = onnx.ModelProto.FromString(graph.serialized()).graph.value_info
    assert list(written) == [helper.make_tensor_value_info("o", TensorProto.FLOAT, ["batch", 16, None, 8])]
    assert graph.shapes["o"] == ("batch", 16, None, 8)


def test_changed_nodes() -> None:
    graph = OnnxGraph(model().SerializeToString())
    graph.nodes[0].inputs[0] = "other"
    graph.nodes[2] = new_node("Relu", "", ["y"], "o", block=16)
    written = onnx.ModelProto.FromString(graph.serialized()).graph.node
    expected = helper.make_node(
        "Conv", ["other", "w"], ["y"], name="first", pads=[1, 0, 1, 0], group=-2, auto_pad="NOTSET", alpha=2.0
    )
    assert (written[0].input, written[0].attribute, written[0].name) == (expected.input, expected.attribute, "first")
    assert written[2] == helper.make_node("Relu", ["y"], ["o"], block=16)


@pytest.mark.parametrize("cut", [1, 100, 300])
def test_a_cut_model_is_refused(cut: int) -> None:
    raw = model().SerializeToString()
    with pytest.raises(ProtobufError):
        OnnxGraph(raw[: len(raw) - cut])
