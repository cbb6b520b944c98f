"""The argument of the sine in one sweep over the maps."""

import numpy as np
import onnx

from groupnl.export.passes.network import Network, Node
from groupnl.export.passes.outcome import Outcome


def fold_pairs(net: Network) -> Outcome:
    """``period * (y - shift)`` becomes one BatchNormalization: scale ``period``, mean ``shift``, variance 1, no bias.

    Two operators sweep over the maps twice. The pairs stay what a device rebuilds from the seed: they are reshaped in
    the graph, which a runtime does once, when it loads.
    """
    changed = 0
    for product in [node for node in net.nodes if node.op == "Mul"]:
        found = _difference(net, product)
        if found is None:
            continue
        period, difference = found
        y, shift = difference.inputs
        shape = net.shape(product.output)
        if shape is None:
            continue
        flat = net.constant(np.array([-1], np.int64))
        size = net.constant(np.array([shape[0]], np.int64))
        scale, mean = (net.add("Reshape", [name, flat], f"{name}.flat") for name in (period, shift))
        zeros, ones = (
            net.add("ConstantOfShape", [size], like, value=onnx.numpy_helper.from_array(np.array([value], np.float32)))
            for like, value in (("zeros", 0), ("ones", 1))
        )
        inputs = [y, scale, zeros, mean, ones]
        argument = net.add("BatchNormalization", inputs, f"{product.output}.folded", shape, epsilon=0.0)
        net.replace(product.output, argument)
        changed += 1
    return Outcome(changed=changed)


def _difference(net: Network, product: Node) -> tuple[str, Node] | None:
    """The name of the period and the subtraction of the shift, if this multiplies the two."""
    for period, other in (product.inputs, product.inputs[::-1]):
        node = net.producer(other)
        pairs = node is not None and node.op == "Sub" and {period, node.inputs[1]} <= net.rebuilt
        if node is not None and pairs and net.sole_user(other) is product:
            return period, node
    return None
