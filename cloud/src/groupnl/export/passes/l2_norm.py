"""The L2 norm of each pixel by fast operators: squares, their sum as a matrix product, one reciprocal."""

import numpy as np
import onnx

from groupnl.export.passes.network import Network, Node
from groupnl.export.passes.outcome import Outcome

_ONE = onnx.numpy_helper.from_array(np.ones(1, np.float32))


def rewrite_l2_norms(net: Network) -> Outcome:
    """``y / max(|y|, eps)`` becomes ``y * (1 / max(sqrt(ones @ (y * y)), eps))``, over channels.

    ONNX Runtime's reductions over channels are slow, its matrix product is fast; and one division a pixel costs less
    than one for every element of every map. eps stays where it is, so that a pixel whose channels are all zero gives
    zeros, as before.
    """
    changed = 0
    for division in [node for node in net.nodes if node.op == "Div"]:
        least = norm_of(net, division)
        y = division.inputs[0]
        shape = net.shape(y)
        if least is None or shape is None:
            continue
        channels, height, width = shape
        pixel = (1, height, width)
        ones = net.add("ConstantOfShape", [_integers(net, 1, channels)], "ones", value=_ONE)
        squares = net.add("Mul", [y, y], f"{y}.squares", shape)
        columns = net.add("Reshape", [squares, _integers(net, 0, channels, -1)], f"{y}.columns")
        total = net.add("MatMul", [ones, columns], f"{y}.sum")
        sums = net.add("Reshape", [total, _integers(net, 0, *pixel)], f"{y}.sums", pixel)
        norm = net.add("Sqrt", [sums], f"{y}.norm", pixel)
        bounded = net.add("Clip", [norm, least], f"{y}.bounded", pixel)
        inverse = net.add("Reciprocal", [bounded], f"{y}.inverse", pixel)
        net.replace(division.output, net.add("Mul", [y, inverse], f"{y}.unit", shape))
        changed += 1
    return Outcome(changed=changed)


def norm_of(net: Network, division: Node) -> str | None:
    """The name of eps if this divides maps by their own norm over channels; else None."""
    y, divisor = division.inputs
    clip = net.producer(divisor)
    if clip is None or clip.op != "Clip" or len(clip.inputs) != 2:
        return None
    norm = net.producer(clip.inputs[0])
    if norm is None or norm.op != "ReduceL2" or norm.inputs[0] != y or len(norm.inputs) != 2:
        return None
    axes = net.array(norm.inputs[1])
    if norm.attributes.get("keepdims", 1) != 1 or axes is None or not np.array_equal(axes, [1]):
        return None
    return clip.inputs[1]


def _integers(net: Network, *values: int) -> str:
    return net.constant(np.array(values, np.int64))
