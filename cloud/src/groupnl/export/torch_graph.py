"""A rewritten graph as a torch module again, for runtimes whose converters begin at torch."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from torch import Tensor, nn


class TorchGraph(nn.Module):
    """Runs a graph of standard operators, node by node; :func:`unknown_operators` says which it lacks.

    Input (N, C, H, W), output as the graph's.

    Args:
        graph: Its values are inside.

    Raises:
        ValueError: It has an operator that is not known.
    """

    def __init__(self, graph: onnx.GraphProto) -> None:
        super().__init__()
        if unknown := unknown_operators(graph):
            raise ValueError(f"operators {', '.join(unknown)}: expected some of {', '.join(_OPERATORS)}")
        self._input, self._output = graph.input[0].name, graph.output[0].name
        self._numbers: dict[str, Any] = {"": None}  # limits and axes, which torch takes as numbers
        arrays = {}
        for initializer in graph.initializer:
            array = onnx.numpy_helper.to_array(initializer)
            if array.dtype == np.float32 and array.size > 1:
                arrays[initializer.name] = array
            else:
                self._numbers[initializer.name] = array.item() if array.size == 1 else array.tolist()
        self._steps = []
        for number, node in enumerate(graph.node):
            # A copy for each reader: ExecuTorch scales filters in place for the batch norm behind one of them.
            buffers = {}
            for position, name in enumerate(node.input):
                if name in arrays:
                    buffers[position] = f"value_{number}_{position}"
                    self.register_buffer(buffers[position], torch.from_numpy(arrays[name].copy()))
            attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
            self._steps.append((_OPERATORS[node.op_type], list(node.input), buffers, node.output[0], attributes))

    def forward(self, x: Tensor) -> Tensor:
        """Run every node."""
        values = {**self._numbers, self._input: x}
        for operator, names, buffers, output, attributes in self._steps:
            inputs = [
                self.get_buffer(buffers[position]) if position in buffers else values[name]
                for position, name in enumerate(names)
            ]
            values[output] = operator(*inputs, **attributes)
        result: Tensor = values[self._output]
        return result


def unknown_operators(graph: onnx.GraphProto) -> list[str]:
    """Operators of a graph that :class:`TorchGraph` lacks."""
    return sorted({node.op_type for node in graph.node} - set(_OPERATORS))


def _padded(x: Tensor, pads: list[int], value: float = 0.0) -> tuple[Tensor, list[int]]:
    """The maps and the padding that is left for torch, which pads both ends of an axis alike."""
    half = len(pads) // 2
    begin, end = pads[:half], pads[half:]
    if begin == end:
        return x, begin
    both = [size for pair in zip(begin[::-1], end[::-1], strict=True) for size in pair]
    return F.pad(x, both, value=value), [0] * half


def _conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    strides: list[int] | None = None,
    pads: list[int] | None = None,
    dilations: list[int] | None = None,
    group: int = 1,
    **_: Any,
) -> Tensor:
    x, padding = _padded(x, pads or [0, 0, 0, 0])
    return F.conv2d(x, weight, bias, strides or [1, 1], padding, dilations or [1, 1], group)


def _max_pool(
    x: Tensor, *, kernel_shape: list[int], strides: list[int] | None = None, pads: list[int] | None = None, **_: Any
) -> Tensor:
    x, padding = _padded(x, pads or [0, 0, 0, 0], float("-inf"))
    return F.max_pool2d(x, kernel_shape, strides or [1, 1], padding)


def _batch_norm(
    x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, variance: Tensor, *, epsilon: float = 1e-5, **_: Any
) -> Tensor:
    return F.batch_norm(x, mean, variance, scale, bias, eps=epsilon)


def _clip(x: Tensor, least: float | None = None, most: float | None = None) -> Tensor:
    return x.clamp(least, most) if least is None or most is None else F.hardtanh(x, least, most)


def _gemm(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    alpha: float = 1.0,
    beta: float = 1.0,
    transA: int = 0,  # the name that ONNX gives it
    transB: int = 0,
) -> Tensor:
    x = x.T if transA else x
    weight = weight if transB else weight.T
    scaled = weight if alpha == 1 else weight * alpha
    return F.linear(x, scaled, bias if bias is None or beta == 1 else bias * beta)


def _reduce(operator: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def reduce(x: Tensor, axes: int | list[int], *, keepdims: int = 1, **_: Any) -> Tensor:
        over = [axis % x.ndim for axis in ([axes] if isinstance(axes, int) else axes)]
        kept = operator(x, dim=over, keepdim=True)  # XNNPACK knows no other mean
        return kept if keepdims else kept.reshape([size for axis, size in enumerate(kept.shape) if axis not in over])

    return reduce


def _reshape(x: Tensor, shape: int | list[int], **_: Any) -> Tensor:
    wanted = [shape] if isinstance(shape, int) else shape
    return x.reshape([x.shape[i] if size == 0 else size for i, size in enumerate(wanted)])


def _gather(x: Tensor, indices: int | list[int], *, axis: int = 0) -> Tensor:
    if isinstance(indices, int):
        return x.select(axis, indices)
    return x.index_select(axis, torch.tensor(indices))


def _slice(x: Tensor, starts: Any, ends: Any, axes: Any, steps: Any = 1) -> Tensor:
    lists = [[value] if isinstance(value, int) else value for value in (starts, ends, axes, steps)]
    for start, end, axis, step in zip(*lists, strict=True):
        index = [slice(None)] * x.ndim
        index[axis] = slice(start, end, step)
        x = x[tuple(index)]
    return x


def _concat(*parts: Tensor, axis: int) -> Tensor:
    return torch.cat(parts, dim=axis)


_OPERATORS: Mapping[str, Callable[..., Any]] = {
    "Abs": torch.abs,
    "Add": lambda x, y: x + y,
    "BatchNormalization": _batch_norm,
    "Clip": _clip,
    "Concat": _concat,
    "Conv": _conv,
    "Div": lambda x, y: x / y,
    "Exp": torch.exp,
    "Gather": _gather,
    "Gemm": _gemm,
    "GlobalAveragePool": lambda x: x.mean((2, 3), keepdim=True),
    "HardSigmoid": lambda x, alpha=0.2, beta=0.5: (x * alpha + beta).clamp(0, 1),
    "HardSwish": F.hardswish,
    "Identity": lambda x: x,
    "MaxPool": _max_pool,
    "Mul": lambda x, y: x * y,
    "Neg": torch.neg,
    "ReduceL2": _reduce(torch.linalg.vector_norm),
    "ReduceMean": _reduce(torch.mean),
    "Relu": F.relu,
    "Reshape": _reshape,
    "Sigmoid": torch.sigmoid,
    "Sin": torch.sin,
    "Slice": _slice,
    "Sqrt": torch.sqrt,
    "Sub": lambda x, y: x - y,
}
