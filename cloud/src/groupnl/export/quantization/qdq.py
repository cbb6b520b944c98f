"""A traced net with QuantizeLinear and DequantizeLinear around what runtimes compute in 8 bits."""

import logging
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

from groupnl.export.errors import ExportError
from groupnl.export.graph import OUTPUT, Traced
from groupnl.export.passes.network import Network, is_plain
from groupnl.export.quantization.calibration import Pictures
from groupnl.export.quantization.tails import tail_nodes
from groupnl_device.preprocessing import Preprocessing

# What ONNX Runtime has 8-bit kernels for, in nets of this kind. ReduceMean (the global pool) is not among them.
QUANTIZED = (
    *("Add", "AveragePool", "Clip", "Conv", "Gemm", "GlobalAveragePool", "MatMul", "MaxPool", "Mul", "Relu"),
    "Sigmoid",
)


def quantized(traced: Traced, pictures: NDArray[np.uint8] | None, preprocessing: Preprocessing) -> Traced:
    """Quantise a net statically: weights int8 for each output channel, maps uint8, by ONNX Runtime's quantiser.

    Ranges are the least and the largest value that the pictures give. The tails of GroupNL layers stay in float32, the
    norm with them; so do the logits.

    Args:
        traced: With weights inside; not changed.
        pictures: uint8, shape (N, 3, H, W).
        preprocessing: How they become the net's input.

    Raises:
        ExportError: There are no pictures, or the net has operators of its own, which cannot be run to calibrate.
    """
    reader = Pictures(pictures, preprocessing)
    if not is_plain(traced.model.graph):
        raise ExportError("int8: the net has branches, loops or operators of its own; a plain graph is needed")
    model = onnx.ModelProto()
    model.CopyFrom(traced.model)
    for number, node in enumerate(model.graph.node):
        node.name = f"node_{number}"
    state = traced.state | _own_biases(model.graph)
    kept = {name for node in tail_nodes(Network(model.graph, traced.rebuilt)) for name in node.outputs}
    with tempfile.TemporaryDirectory() as folder, _quiet():
        path = Path(folder) / "quantized.onnx"
        quantize_static(
            model,
            path,
            reader,
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(QUANTIZED),
            nodes_to_exclude=[node.name for node in model.graph.node if kept & set(node.output)],
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            extra_options={"OpTypesToExcludeOutputQuantization": _last_ops(model.graph)},
        )
        done = onnx.load(path)
    _strip(done)
    learned = {f"{name}{ending}" for name in state for ending in ("", "_quantized", "_scale", "_zero_point")}
    return replace(traced, model=done, state=frozenset(learned))


def _own_biases(graph: onnx.GraphProto) -> set[str]:
    """Give each convolution whose bias something else reads a copy of its own, and say their names.

    Of equal arrays the exporter keeps one, such as the biases of two branches that meet in a sum. A bias becomes int32,
    in units of its convolution's input and weights, which no other reader can use.
    """
    arrays = {tensor.name: tensor for tensor in graph.initializer}
    uses = Counter(name for node in graph.node for name in node.input)
    made = set()
    for node in graph.node:
        if node.op_type not in ("Conv", "Gemm") or len(node.input) < 3 or uses[node.input[2]] == 1:
            continue
        copied = onnx.TensorProto()
        copied.CopyFrom(arrays[node.input[2]])
        copied.name = node.input[2] = f"{node.output[0]}.bias"
        graph.initializer.append(copied)
        made.add(copied.name)
    return made


def _last_ops(graph: onnx.GraphProto) -> list[str]:
    """The operator that makes the logits, if it is the only one of its kind: they are then never rounded."""
    ops = [node.op_type for node in graph.node if OUTPUT in node.output]
    return [op for op in ops if sum(node.op_type == op for node in graph.node) == 1]


def _strip(model: onnx.ModelProto) -> None:
    """Remove what the quantiser notes about itself, so that the same net gives the same bytes."""
    model.producer_name, model.producer_version = "", ""
    del model.metadata_props[:]
    del model.graph.value_info[:]
    del model.graph.quantization_annotation[:]
    for part in (*model.graph.node, *model.graph.initializer, *model.graph.input, *model.graph.output):
        part.doc_string = ""
        del part.metadata_props[:]


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the quantiser's advice on the root logger: to run a preparation that was done otherwise."""
    logger = logging.getLogger()
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
