"""Native int8 operators as float ones between roundings, as their description says: to check a native graph anywhere.

Made from ``device/native/README.md``; :func:`groupnl.export.lowering.lowered` does the rest.
"""

from collections.abc import Iterator
from typing import Any

import onnx
from onnx import helper

from groupnl.export.passes.native import DOMAIN
from groupnl.export.quantization.native_int8 import EXPAND, SPARSE_EXPAND

_FLOAT_OPERATOR = {EXPAND: "Expand", SPARSE_EXPAND: "SparseExpand"}


def in_float(graph: bytes) -> bytes:
    """A graph whose int8 operators are written as DequantizeLinear, the float operator and QuantizeLinear.

    Args:
        graph: A serialised ONNX model, its weights inside or external.

    Returns:
        The same, with the same weights.
    """
    model = onnx.ModelProto.FromString(graph)
    shapes = {value.name: value.type.tensor_type.shape.dim for value in model.graph.value_info}
    nodes: list[onnx.NodeProto] = []
    values = [value for value in model.graph.value_info if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT]
    for node in model.graph.node:
        if node.op_type not in _FLOAT_OPERATOR:
            nodes.append(node)
            continue
        nodes += _steps(node)
        batch, height, width, channels = [dim.dim_param or dim.dim_value for dim in shapes[node.output[0]]]
        result = [step.output[0] for step in nodes if step.domain == DOMAIN][-1]
        values.append(helper.make_tensor_value_info(result, onnx.TensorProto.FLOAT, [batch, channels, height, width]))
    del model.graph.node[:]
    del model.graph.value_info[:]
    model.graph.node.extend(nodes)
    model.graph.value_info.extend(values)
    serialised: bytes = model.SerializeToString(deterministic=True)
    return serialised


def _steps(node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
    """Dequantise, channels first, the operator, channels last, quantise."""
    result, inputs = node.output[0], list(node.input)
    count = 0

    def step(op: str, *read: str, **more: Any) -> onnx.NodeProto:
        nonlocal count
        count += 1
        return helper.make_node(op, list(read), [f"{result}.float.{count}"], **more)

    yield (maps := step("DequantizeLinear", *inputs[:3]))
    yield (first := step("Transpose", maps.output[0], perm=[0, 3, 1, 2]))
    rest = inputs[3:]
    read = [first.output[0]]
    if node.op_type == SPARSE_EXPAND:
        yield (filters := step("DequantizeLinear", *rest[:2], axis=0))
        read += [filters.output[0], rest[2]]
        rest = rest[3:]
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    yield (made := step(_FLOAT_OPERATOR[node.op_type], *read, *rest[2:], domain=DOMAIN, **attributes))
    yield (last := step("Transpose", made.output[0], perm=[0, 2, 3, 1]))
    yield helper.make_node("QuantizeLinear", [last.output[0], *rest[:2]], [result])
