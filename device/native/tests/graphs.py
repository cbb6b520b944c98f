"""Graphs of one operator, made with ``onnx.helper``, and sessions that know the library."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Array = NDArray[Any]
OUTPUTS = dict.fromkeys(("QuantizedExpand", "QuantizedSparseExpand"), TensorProto.UINT8)  # the others': float32
OPSETS = [helper.make_opsetid("", 18), helper.make_opsetid("groupnl", 1)]


def library() -> Path:
    """The library: that which GROUPNL_NATIVE_LIBRARY names, else the installed one, else the test is skipped."""
    named = os.environ.get("GROUPNL_NATIVE_LIBRARY")
    if named is not None:
        return Path(named)
    native = pytest.importorskip("groupnl_device_native", reason="groupnl-device-native is not installed")
    path: Path = native.library_path()
    return path


def one_node(
    op: str,
    inputs: Mapping[str, Array | None],
    *,
    fed: tuple[str, ...],
    **attributes: Any,
) -> bytes:
    """A model of one node of our domain.

    Args:
        op: Its type.
        inputs: By name, in the operator's order; None where one is left out.
        fed: Which of them come at run time; the others are constants.
        **attributes: Of the node.
    """
    names = [name if array is not None else "" for name, array in inputs.items()]
    while names[-1] == "":
        names.pop()
    node = helper.make_node(op, names, ["out"], domain="groupnl", **attributes)
    constants = [
        numpy_helper.from_array(array, name) for name, array in inputs.items() if array is not None and name not in fed
    ]
    graph_inputs = [_value(name, inputs[name]) for name in fed]
    output = helper.make_tensor_value_info("out", OUTPUTS.get(op, TensorProto.FLOAT), None)
    graph = helper.make_graph([node], "one", graph_inputs, [output], constants)
    return bytes(helper.make_model(graph, opset_imports=OPSETS, ir_version=10).SerializeToString())


def session(model: bytes, *, threads: int = 1, native: bool = True) -> onnxruntime.InferenceSession:
    """A session on the CPU."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    if native:
        options.register_custom_ops_library(str(library()))
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def run(op: str, inputs: Mapping[str, Array | None], *, threads: int = 1, **attributes: Any) -> Array:
    """One operator: its first input is fed, the others are constants."""
    first = next(iter(inputs))
    net = session(one_node(op, inputs, fed=(first,), **attributes), threads=threads)
    result: Array = net.run(None, {first: inputs[first]})[0]
    return result


def _value(name: str, array: Array | None) -> Any:
    assert array is not None
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), [None] * array.ndim)
