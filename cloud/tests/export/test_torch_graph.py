"""Operators against the onnx package's reference, and whole nets of the zoo against themselves."""

import numpy as np
import onnx
import pytest
import torch
from cloud.tests.export.passes.graphs import answers, drawn, graph_of, node
from cloud.tests.export.sources import images, shared

from groupnl.export.executorch_forms import REWRITES
from groupnl.export.static_graph import static_graph
from groupnl.export.torch_graph import TorchGraph, unknown_operators

W = {"w": drawn(4, 6, 3, 2), "b": drawn(4), "dw": drawn(6, 1, 3, 3)}


def integers(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


@pytest.mark.parametrize(
    ("nodes", "arrays"),
    [
        ([node("Conv", ["input", "w", "b"], ["result"], strides=[2, 1], pads=[1, 0, 2, 1], dilations=[1, 2])], W),
        ([node("Conv", ["input", "dw"], ["result"], group=6, pads=[1, 1, 1, 1])], W),
        ([node("MaxPool", ["input"], ["result"], kernel_shape=[3, 3], strides=[2, 2], pads=[0, 0, 1, 1])], {}),
        ([node("BatchNormalization", ["input", *"smvn"], ["result"], epsilon=0.01)],
         {"s": drawn(6), "m": drawn(6, seed=1), "v": drawn(6, seed=2), "n": np.abs(drawn(6, seed=3))}),
        ([node("Clip", ["input", "l", "u"], ["result"])], {"l": np.float32(-0.5), "u": np.float32(0.5)}),
        ([node("Clip", ["input", "", "u"], ["result"])], {"u": np.float32(0.5)}),
        ([node("Clip", ["input", "l"], ["result"])], {"l": np.float32(-0.5)}),
        ([node("ReduceL2", ["input", "a"], ["result"])], {"a": integers(1)}),
        ([node("ReduceMean", ["input", "a"], ["result"], keepdims=0)], {"a": integers(2, 3)}),
        ([node("GlobalAveragePool", ["input"], ["result"])], {}),
        ([node("Slice", ["input", *"sexp"], ["result"])],
         {"s": integers(1), "e": integers(2**63 - 1), "x": integers(1), "p": integers(2)}),
        ([node("Gather", ["input", "i"], ["result"], axis=1)], {"i": integers(5, 0, 0)}),
        ([node("Reshape", ["input", "r"], ["result"])], {"r": integers(0, 2, -1)}),
        ([node("ReduceMean", ["input", "a"], ["p"], keepdims=0), node("Gemm", ["p", "g", "b"], ["result"], transB=1)],
         {"a": integers(2, 3), "g": drawn(4, 6), "b": drawn(4)}),
        ([node("ReduceMean", ["input", "a"], ["p"], keepdims=0), node("Gemm", ["p", "g"], ["result"], alpha=0.5)],
         {"a": integers(2, 3), "g": drawn(6, 4)}),
        ([node("Concat", ["input", "input"], ["result"], axis=1)], {}),
        ([node("HardSigmoid", ["input"], ["result"], alpha=0.3, beta=0.4)], {}),
        *(([node(op, ["input"], ["result"])], {}) for op in ("Abs", "Exp", "HardSwish", "Identity", "Neg", "Relu")),
        *(([node(op, ["input"], ["result"])], {}) for op in ("Sigmoid", "Sin")),
        ([node("Abs", ["input"], ["a"]), node("Sqrt", ["a"], ["result"])], {}),
        *(([node(op, ["input", "c"], ["result"])], {"c": drawn(6, 1, 1)}) for op in ("Add", "Sub", "Mul", "Div")),
        *(([node(op, ["c", "input"], ["result"])], {"c": np.float32(2.5)}) for op in ("Sub", "Div")),
    ],
)  # fmt: skip
def test_operators(nodes, arrays) -> None:
    model = graph_of(nodes, arrays, (6, 7, 8))
    pictures = drawn(2, 6, 7, 8)
    with torch.no_grad():
        found = TorchGraph(model.graph)(torch.from_numpy(pictures)).numpy()
    np.testing.assert_allclose(found, answers(model, pictures), atol=1e-5, rtol=1e-5)


def test_unknown_operators() -> None:
    graph = graph_of([node("Sign", ["input"], ["s"]), node("Abs", ["s"], ["result"])], {}, (6, 4, 3)).graph
    assert unknown_operators(graph) == ["Sign"]
    with pytest.raises(ValueError, match=r"operators Sign: expected some of Abs"):
        TorchGraph(graph)


@pytest.mark.parametrize(
    "name",
    [
        "groupnl_resnet8",
        "light",
        pytest.param("groupnl_mobilenetv3_large_100", marks=pytest.mark.long),
        pytest.param("groupnl_efficientnetv2_s", marks=pytest.mark.long),
        pytest.param("groupnl_std_r4_resnet50", marks=pytest.mark.long),
    ],
)
def test_rewritten_nets_answer_as_before(name: str) -> None:
    net, held = shared(name)
    graph = static_graph(held, REWRITES).model.graph
    with torch.no_grad():
        expected = net(images())
        found = torch.cat([TorchGraph(graph)(image[None]) for image in images()])
    torch.testing.assert_close(found, expected, rtol=0, atol=float(1e-5 * expected.abs().max()))


def test_readers_of_one_array_have_a_copy_each() -> None:
    nodes = [node("Add", ["input", "c"], ["a"]), node("Mul", ["a", "c"], ["result"])]
    made = TorchGraph(graph_of(nodes, {"c": drawn(6, 1, 1)}, (6, 4, 3)).graph)
    one, two = made.buffers()
    assert torch.equal(one, two)
    assert one.data_ptr() != two.data_ptr()


def test_values_are_copies() -> None:
    model = graph_of([node("Add", ["input", "c"], ["result"])], {"c": drawn(6, 1, 1)}, (6, 4, 3))
    made = TorchGraph(model.graph)
    made.get_buffer("value_0_1").zero_()
    assert onnx.numpy_helper.to_array(model.graph.initializer[0]).any()
