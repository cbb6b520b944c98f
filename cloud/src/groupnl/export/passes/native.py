"""GroupNL layers as one native operator each: what ``groupnl-device-native`` adds to ONNX Runtime.

The operators, ``groupnl.Expand`` and ``groupnl.SparseExpand``, are described in ``device/native/README.md``.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from groupnl.export.passes.l2_norm import norm_of
from groupnl.export.passes.network import Network, Node
from groupnl.export.passes.outcome import Outcome
from groupnl.nn.composite import L2_EPS

DOMAIN, VERSION = "groupnl", 1
_CONVOLUTION = ("strides", "pads", "dilations")
_AT_MOST = 2  # inputs of each seed map for which the sparse operator was made


@dataclass(frozen=True, kw_only=True)
class _Layer:
    """A layer found in a graph: names of values, and the nodes that are its own."""

    seed_maps: str
    normalize: str
    period: str
    shift: str
    source: str  # "" where generated map g reads seed map g


def fuse_layers(net: Network) -> Outcome:
    """Norm, sine, concatenation, batch norm and activation become one operator, a sparse seed convolution too.

    What it needs from the batch norm, a scale and an offset for each channel, is computed in the graph from the
    shipped tensors: a runtime does that once, when it loads.
    """
    changed, notes = 0, []
    for concat in [node for node in net.nodes if node.op == "Concat"]:
        layer = _layer(net, concat)
        if layer is None:
            continue
        scale, offset, last = _batch_norm(net, concat)
        activation, last = _activation(net, last)
        shape = net.shape(last.output)
        if shape is None:
            notes.append(f"{last.output}: its shape is not known, the layer stays in standard operators")
            continue
        tail = [layer.period, layer.shift, layer.source, scale, offset]
        attributes: dict[str, Any] = {"normalize": layer.normalize, "activation": activation}
        conv = net.producer(layer.seed_maps)
        if conv is not None and _is_sparse(net, conv):
            op, leading = "SparseExpand", [*conv.inputs, ""][:3]
            attributes |= {name: conv.attributes[name] for name in _CONVOLUTION if name in conv.attributes}
        else:
            op, leading = "Expand", [layer.seed_maps]
        made = net.add(op, [*leading, *tail], f"{last.output}.native", shape, domain=DOMAIN, **attributes)
        net.replace(last.output, made)
        changed += 1
    return Outcome(changed=changed, notes=tuple(notes))


def _layer(net: Network, concat: Node) -> _Layer | None:
    """The layer whose result this concatenation is; None where there is none that the operators can do."""
    if concat.attributes.get("axis") != 1 or len(concat.inputs) != 2:
        return None
    unit, generated = concat.inputs
    sine = net.producer(generated)
    product = net.producer(sine.inputs[0]) if sine is not None and sine.op == "Sin" else None
    if product is None or product.op != "Mul":
        return None
    for period, other in (product.inputs, product.inputs[::-1]):
        difference = net.producer(other)
        if difference is None or difference.op != "Sub" or not {period, difference.inputs[1]} <= net.rebuilt:
            continue
        source = _source(net, unit, difference.inputs[0])
        if source is not None:
            seed_maps, normalize = _normalised(net, unit)
            shift = difference.inputs[1]
            return _Layer(seed_maps=seed_maps, normalize=normalize, period=period, shift=shift, source=source)
    return None


def _source(net: Network, unit: str, read: str) -> str | None:
    """The name of the array that says which seed map each generated one reads; "" for the first ones in order."""
    if read == unit:
        return ""
    node = net.producer(read)
    if node is None or node.inputs[0] != unit:
        return None
    if node.op == "Gather" and node.attributes.get("axis") == 1 and node.inputs[1] in net.rebuilt:
        return node.inputs[1]
    if node.op == "Slice":
        starts, _, axes, *steps = (net.array(name) for name in node.inputs[1:])
        first = starts is not None and starts.tolist() == [0] and axes is not None and axes.tolist() == [1]
        return "" if first and all(step is not None and step.tolist() == [1] for step in steps) else None
    return None


def _normalised(net: Network, unit: str) -> tuple[str, str]:
    """The seed maps before their norm, and which norm it is."""
    node, shape = net.producer(unit), net.shape(unit)
    if node is not None and node.op == "Div" and _is_l2(net, node):
        return node.inputs[0], "l2"
    if node is not None and node.op == "Mul" and shape is not None:
        for part, factor in (node.inputs, node.inputs[::-1]):
            division, array = net.producer(part), net.array(factor)
            is_root = array is not None and array.size == 1 and np.isclose(array.item(), shape[0] ** 0.5, rtol=1e-6)
            if is_root and division is not None and division.op == "Div" and _is_l2(net, division):
                return division.inputs[0], "rms"
    return unit, "none"


def _is_l2(net: Network, division: Node) -> bool:
    found = norm_of(net, division)
    least = net.array(found) if found is not None else None
    return least is not None and least.size == 1 and bool(np.isclose(least.item(), L2_EPS, rtol=1e-6))


def _batch_norm(net: Network, concat: Node) -> tuple[str, str, Node]:
    """Names of scale and offset for each channel, and the node that applies them; else "", "" and ``concat``."""
    node = net.sole_user(concat.output)
    if node is None or node.op != "BatchNormalization" or any(net.array(name) is None for name in node.inputs[1:]):
        return "", "", concat
    weight, bias, mean, variance = node.inputs[1:]
    epsilon = net.constant(np.array(node.attributes.get("epsilon", 1e-5), np.float32))
    deviation = net.add("Sqrt", [net.add("Add", [variance, epsilon], f"{variance}.bounded")], f"{variance}.root")
    scale = net.add("Div", [weight, deviation], f"{weight}.scale")
    offset = net.add("Sub", [bias, net.add("Mul", [mean, scale], f"{mean}.scaled")], f"{bias}.offset")
    return scale, offset, node


def _activation(net: Network, last: Node) -> tuple[str, Node]:
    """What the operator calls the activation that follows, and its node; else "none" and ``last``."""
    node = net.sole_user(last.output)
    if node is not None and node.op == "Relu":
        return "relu", node
    if node is not None and node.op == "HardSwish":
        return "hardswish", node
    if node is not None and node.op == "Clip" and len(node.inputs) == 3:
        bounds = [net.array(name) for name in node.inputs[1:]]
        if [None if bound is None else bound.item() for bound in bounds] == [0, 6]:
            return "relu6", node
    return "none", last


def _is_sparse(net: Network, conv: Node) -> bool:
    """Whether this makes each map from few of its own, which the operator does as well."""
    weight = net.weight(conv)
    automatic = conv.attributes.get("auto_pad", b"NOTSET") not in (b"NOTSET", "NOTSET")
    if weight is None or automatic or weight.shape[1] > _AT_MOST:
        return False
    return bool(conv.attributes.get("group", 1) == len(weight) > 1)
