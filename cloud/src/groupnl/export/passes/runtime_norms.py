"""The L2 norm of each pixel, in the operators that runtimes other than ONNX Runtime are fast at."""

import numpy as np

from groupnl.export.passes.l2_norm import norm_of
from groupnl.export.passes.network import Network
from groupnl.export.passes.outcome import Outcome


def sum_by_convolution(net: Network) -> Outcome:
    """``y / max(|y|, eps)`` with the sum of the squares as a 1x1 convolution whose filters are all 1.

    XNNPACK has no sum over channels: where the reduction stays, the net falls into pieces with copies between them.
    """
    changed = 0
    for division in [node for node in net.nodes if node.op == "Div"]:
        least, y = norm_of(net, division), division.inputs[0]
        shape = net.shape(y)
        if least is None or shape is None:
            continue
        pixel = (1, *shape[1:])
        ones = net.constant(np.ones((1, shape[0], 1, 1), np.float32))
        squares = net.add("Mul", [y, y], f"{y}.squares", shape)
        total = net.add("Conv", [squares, ones], f"{y}.sum", pixel)
        root = net.add("Sqrt", [total], f"{y}.norm", pixel)
        bounded = net.add("Clip", [root, least], f"{y}.bounded", pixel)
        net.replace(division.output, net.add("Div", [y, bounded], f"{y}.unit", shape))
        changed += 1
    return Outcome(changed=changed)


def spell_out_norms(net: Network) -> Outcome:
    """``y / max(|y|, eps)`` with the divisor expanded to the shape of y, as ``F.normalize`` is traced.

    In this form pnnx knows the pattern, and ncnn runs it as one layer, ``Normalize``.
    """
    changed = 0
    for division in [node for node in net.nodes if node.op == "Div"]:
        y, divisor = division.inputs
        shape = net.shape(y)
        if norm_of(net, division) is None or shape is None:
            continue
        wide = net.add("Expand", [divisor, net.constant(np.array([1, *shape], np.int64))], f"{y}.wide", shape)
        net.replace(division.output, net.add("Div", [y, wide], f"{y}.unit", shape))
        changed += 1
    return Outcome(changed=changed)
