"""The argument of the sine in one sweep, where the pairs are known: for runtimes that are given all values."""

import numpy as np

from groupnl.export.passes.network import Array, Network, Node
from groupnl.export.passes.outcome import Outcome


def fold_known_pairs(net: Network) -> Outcome:
    """``period * (y - shift)`` becomes one batch norm: scale ``period``, mean ``shift``, variance 1, no bias."""
    changed = 0
    for product in [node for node in net.nodes if node.op == "Mul"]:
        found, shape = pair_of(net, product), net.shape(product.output)
        if found is None or shape is None:
            continue
        y, period, shift = found
        channels = (shape[0],)
        zeros, ones = np.zeros(channels, np.float32), np.ones(channels, np.float32)
        arrays = [np.broadcast_to(period.ravel(), channels), zeros, np.broadcast_to(shift.ravel(), channels), ones]
        inputs = [y, *(net.constant(np.ascontiguousarray(array)) for array in arrays)]
        net.replace(product.output, net.add("BatchNormalization", inputs, f"{y}.argument", shape, epsilon=0.0))
        changed += 1
    return Outcome(changed=changed)


def pair_of(net: Network, product: Node | None) -> tuple[str, Array, Array] | None:
    """(y, period, shift) if this is ``period * (y - shift)`` with a value for each channel; else None."""
    if product is None or product.op != "Mul":
        return None
    for name, other in (product.inputs, product.inputs[::-1]):
        difference, period = net.producer(other), net.array(name)
        if difference is None or difference.op != "Sub" or period is None or net.sole_user(other) is not product:
            continue
        shift, shape = net.array(difference.inputs[1]), net.shape(product.output)
        if (
            shift is not None
            and shape is not None
            and _is_for_channels(period, shape)
            and _is_for_channels(shift, shape)
        ):
            return difference.inputs[0], period, shift
    return None


def _is_for_channels(array: Array, shape: tuple[int, int, int]) -> bool:
    return array.dtype == np.float32 and array.shape in ((shape[0], 1, 1), (1, shape[0], 1, 1))
