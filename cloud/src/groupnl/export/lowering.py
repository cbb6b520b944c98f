"""Native operators written out in standard ones, as their description says: to check a native graph anywhere.

Made from ``device/native/README.md``, not from the pass that writes the operators: it finds what that pass gets wrong.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from groupnl.export.passes.native import DOMAIN

_LEADING = {"Expand": 1, "SparseExpand": 3}  # inputs before period, shift, source, scale, offset
_CONVOLUTION = ("strides", "pads", "dilations")


def lowered(graph: bytes) -> bytes:
    """A graph with native operators, in standard ones alone.

    Args:
        graph: A serialised ONNX model, its weights inside or external.

    Returns:
        The same, with the same weights.
    """
    model = onnx.ModelProto.FromString(graph)
    writer = _Writer(model.graph)
    nodes = [
        written for node in model.graph.node for written in (writer.write(node) if node.domain == DOMAIN else [node])
    ]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(writer.constants.values())
    others = [opset for opset in model.opset_import if opset.domain != DOMAIN]
    del model.opset_import[:]
    model.opset_import.extend(others)
    serialised: bytes = model.SerializeToString(deterministic=True)
    return serialised


class _Writer:
    def __init__(self, graph: onnx.GraphProto) -> None:
        self.constants: dict[str, onnx.TensorProto] = {}
        self._sizes = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
        self._channels = {
            value.name: value.type.tensor_type.shape.dim[1].dim_value
            for value in graph.value_info
            if len(value.type.tensor_type.shape.dim) > 1
        }

    def write(self, node: onnx.NodeProto) -> list[onnx.NodeProto]:
        """The nodes that do what this one does."""
        return list(self._steps(node))

    def _steps(self, node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
        result = node.output[0]
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        inputs = [*node.input, *[""] * 8]
        leading = _LEADING[node.op_type]
        period, shift, source, scale, offset = inputs[leading : leading + 5]
        generated = int(np.prod(self._sizes[period]))
        seeds = self._channels[result] - generated
        count = 0

        def step(op: str, *read: str, **more: Any) -> onnx.NodeProto:
            nonlocal count
            count += 1
            return helper.make_node(op, list(read), [f"{result}.lowered.{count}"], **more)

        value = inputs[0]
        if node.op_type == "SparseExpand":
            filters = [name for name in inputs[1:3] if name]
            window = {name: attributes[name] for name in _CONVOLUTION if name in attributes}
            yield (made := step("Conv", value, *filters, group=seeds, **window))
            value = made.output[0]
        normalize = attributes.get("normalize", b"l2").decode()
        if normalize != "none":
            yield (square := step("Mul", value, value))
            yield (total := step("ReduceSum", square.output[0], self._constant(np.array([1])), keepdims=1))
            yield (root := step("Sqrt", total.output[0]))
            yield (norm := step("Max", root.output[0], self._constant(np.float32(1e-12))))
            yield (made := step("Div", value, norm.output[0]))
            if normalize == "rms":
                yield (made := step("Mul", made.output[0], self._constant(np.float32(seeds**0.5))))
            value = made.output[0]
        if source:
            yield (read := step("Gather", value, source, axis=1))
        else:
            bounds = [self._constant(np.array([number])) for number in (0, generated, 1)]
            yield (read := step("Slice", value, *bounds))
        column = self._constant(np.array([-1, 1, 1]))
        yield (shifts := step("Reshape", shift, column))
        yield (periods := step("Reshape", period, column))
        yield (difference := step("Sub", read.output[0], shifts.output[0]))
        yield (argument := step("Mul", difference.output[0], periods.output[0]))
        yield (sine := step("Sin", argument.output[0]))
        yield (made := step("Concat", value, sine.output[0], axis=1))
        for op, constant in (("Mul", scale), ("Add", offset)):
            if constant:
                yield (wide := step("Reshape", constant, column))
                yield (made := step(op, made.output[0], wide.output[0]))
        activation = attributes.get("activation", b"none").decode()
        last = {"relu": ("Relu",), "hardswish": ("HardSwish",), "none": ("Identity",)}
        six = ("Clip", self._constant(np.float32(0)), self._constant(np.float32(6)))
        op, *limits = six if activation == "relu6" else last[activation]
        yield helper.make_node(op, [made.output[0], *limits], [result])

    def _constant(self, array: Any) -> str:
        array = np.asarray(array)
        name = f"lowered.{array.dtype}.{'_'.join(map(str, array.ravel().tolist()))}"
        self.constants[name] = numpy_helper.from_array(array, name)
        return name
