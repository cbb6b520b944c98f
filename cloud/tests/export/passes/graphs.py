"""Small ONNX graphs for the tests of the passes, and what they compute by the slow reference of the onnx package."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from groupnl.export.passes import Network, Outcome, Pass

node = helper.make_node


def drawn(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed + sum(shape)).normal(size=shape).astype(np.float32)


def graph_of(nodes: Iterable[onnx.NodeProto], arrays: Mapping[str, Any], size: tuple[int, int, int]) -> onnx.ModelProto:
    """From ``input``, float32 of shape (N, *size), to ``result``."""
    made = helper.make_graph(
        list(nodes),
        "net",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", *size])],
        [helper.make_tensor_value_info("result", TensorProto.FLOAT, list("nchw"))],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in arrays.items()],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def answers(model: onnx.ModelProto, images: np.ndarray) -> np.ndarray:
    return ReferenceEvaluator(model).run(None, {"input": images})[0]


def rewritten(model: onnx.ModelProto, edit: Pass, rebuilt: Iterable[str] = ()) -> tuple[onnx.ModelProto, Outcome]:
    """A copy after a pass; valid ONNX."""
    found = onnx.ModelProto()
    found.CopyFrom(model)
    net = Network(found.graph, rebuilt)
    outcome = edit(net)
    net.write_to(found.graph)
    onnx.checker.check_model(found, full_check=True)
    return found, outcome


def kinds(model: onnx.ModelProto) -> list[str]:
    return [made.op_type for made in model.graph.node]


def assert_same_answers(one: onnx.ModelProto, two: onnx.ModelProto, images: np.ndarray) -> None:
    expected, found = answers(one, images), answers(two, images)
    assert found.shape == expected.shape
    assert np.isfinite(found).all()
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()
