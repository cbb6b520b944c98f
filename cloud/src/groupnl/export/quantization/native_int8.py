"""GroupNL layers between 8-bit maps as one native operator each: 8 bits in, 8 bits out, nothing written between.

The operators, ``groupnl.QuantizedExpand`` and ``groupnl.QuantizedSparseExpand``, are described in
``device/native/README.md``. They read maps with the channels last, as ONNX Runtime keeps 8-bit maps; the transpositions
around them cancel against its own.
"""

from dataclasses import dataclass, replace

import numpy as np
import onnx

from groupnl.export.graph import Traced
from groupnl.export.passes import Outcome
from groupnl.export.passes.native import DOMAIN, VERSION, fuse_layers
from groupnl.export.passes.network import Network, Node

EXPAND, SPARSE_EXPAND = "QuantizedExpand", "QuantizedSparseExpand"
_CONVOLUTION = ("strides", "pads", "dilations")
_CHANNELS_LAST, _CHANNELS_FIRST = [0, 2, 3, 1], [0, 3, 1, 2]
_MOST_INPUTS = 2  # of each seed map for which the sparse operator was made


@dataclass(frozen=True, kw_only=True)
class _Seeds:
    """What an operator reads in place of the float seed maps."""

    op: str
    maps: str  # uint8, channels first
    inputs: list[str]  # after the maps, before the scale of the result
    window: dict[str, object]


def with_native_operators(traced: Traced) -> tuple[Traced, Outcome]:
    """Put the tails of a quantised net, and its sparse seed convolutions with them, into native operators.

    Args:
        traced: From :func:`groupnl.export.quantization.qdq.quantized`; not changed.

    Returns:
        The net, and how many layers were found. A layer that something reads in float stays in standard operators.
    """
    model = onnx.ModelProto()
    model.CopyFrom(traced.model)
    net = Network(model.graph, traced.rebuilt)
    found = fuse_layers(net)
    notes = list(found.notes)
    made: dict[str, tuple[int, int, int]] = {}
    for layer in [node for node in net.nodes if node.domain == DOMAIN]:
        seeds, result = _seeds(net, layer), net.sole_user(layer.output)
        shape = net.shape(layer.output)
        if seeds is None or shape is None or result is None or result.op != "QuantizeLinear":
            notes.append(f"{layer.output}: something reads it in float, the layer stays between its own roundings")
            continue
        turned = net.add("Transpose", [seeds.maps], f"{seeds.maps}.last", perm=_CHANNELS_LAST)
        inputs = [turned, *seeds.inputs, *result.inputs[1:3], *layer.inputs[-5:]]
        kept = {name: layer.attributes[name] for name in ("normalize", "activation")}
        output = net.add(seeds.op, inputs, f"{result.output}.last", shape, domain=DOMAIN, **kept, **seeds.window)
        made[output] = shape
        net.replace(result.output, net.add("Transpose", [output], f"{result.output}.first", perm=_CHANNELS_FIRST))
    if not made:
        return traced, Outcome(changed=0, notes=tuple(notes))
    net.write_to(model.graph)
    model.opset_import.append(onnx.helper.make_opsetid(DOMAIN, VERSION))
    return replace(traced, model=_with_shapes(model, made)), Outcome(changed=len(made), notes=tuple(notes))


def _seeds(net: Network, layer: Node) -> _Seeds | None:
    """The 8-bit seed maps of a layer, or the 8-bit input of its sparse seed convolution; None where there are none."""
    read = net.producer(layer.inputs[0])
    if layer.op != "Expand" or read is None or read.op != "DequantizeLinear":
        return None
    rounded = net.producer(read.inputs[0])
    conv = net.producer(rounded.inputs[0]) if rounded is not None and rounded.op == "QuantizeLinear" else None
    sparse = _sparse(net, conv) if conv is not None and conv.op == "Conv" else None
    own = _Seeds(op=EXPAND, maps=read.inputs[0], inputs=read.inputs[1:3], window={})
    return own if sparse is None or len(net.users(read.output)) > 1 else sparse


def _sparse(net: Network, conv: Node) -> _Seeds | None:
    """A convolution with few inputs for each output: its input, filters, their scales and its bias in float32."""
    parts = [net.producer(name) for name in conv.inputs]
    if any(part is None or part.op != "DequantizeLinear" for part in parts):
        return None
    maps, filters, *bias = [part.inputs for part in parts if part is not None]
    weight, scale = net.array(filters[0]), net.array(filters[1])
    automatic = conv.attributes.get("auto_pad", b"NOTSET") not in (b"NOTSET", "NOTSET")
    if weight is None or scale is None or automatic or weight.dtype != np.int8 or weight.shape[1] > _MOST_INPUTS:
        return None
    if not conv.attributes.get("group", 1) == len(weight) > 1:
        return None
    offsets = [_dequantised(net, names) for names in bias]
    if any(offset is None for offset in offsets):
        return None
    values = [net.constant(offset) for offset in offsets if offset is not None] or [""]
    window = {name: conv.attributes[name] for name in _CONVOLUTION if name in conv.attributes}
    return _Seeds(op=SPARSE_EXPAND, maps=maps[0], inputs=[*maps[1:3], *filters[:2], *values], window=window)


def _dequantised(net: Network, names: list[str]) -> np.ndarray | None:
    """The bias of a convolution, float32 of shape (S,); its zero points are 0."""
    integers, scale = net.array(names[0]), net.array(names[1])
    return None if integers is None or scale is None else (integers * scale.astype(np.float64)).astype(np.float32)


def _with_shapes(model: onnx.ModelProto, made: dict[str, tuple[int, int, int]]) -> onnx.ModelProto:
    """The model with the shapes that ONNX Runtime needs to cancel transpositions: none can be told from our domain."""
    kept = [value for value in model.graph.value_info if value.name not in made]
    batch = model.graph.input[0].type.tensor_type.shape.dim[0]
    del model.graph.value_info[:]
    model.graph.value_info.extend(kept)
    for name, (channels, height, width) in made.items():
        shape = [batch.dim_param or batch.dim_value, height, width, channels]
        model.graph.value_info.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.UINT8, shape))
    return onnx.shape_inference.infer_shapes(model)
