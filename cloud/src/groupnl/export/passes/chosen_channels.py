"""Chosen channels of maps, for runtimes that cut maps only into contiguous parts."""

import numpy as np

from groupnl.export.passes.network import Network, Node
from groupnl.export.passes.outcome import Outcome


def select_by_convolution(net: Network) -> Outcome:
    """A slice of channels with a step, or a gather of channels, becomes a 1x1 convolution.

    Each of its filters is 1 at one channel, else 0: the values stay as they are, bit for bit, if all are finite.
    Neither ncnn nor XNNPACK has such slices and gathers. The pass ``sparse`` leaves a slice where several layers read
    the maps; layers that copy their seed maps more than once gather them.
    """
    changed = 0
    for cut in [node for node in net.nodes if node.op in ("Slice", "Gather")]:
        kept = _kept(net, cut) if cut.op == "Slice" else _gathered(net, cut)
        shape, result = net.shape(cut.inputs[0]), net.shape(cut.output)
        if kept is None or shape is None or result is None:
            continue
        filters = np.zeros((len(kept), shape[0], 1, 1), np.float32)
        filters[np.arange(len(kept)), [*kept]] = 1
        net.replace(cut.output, net.add("Conv", [cut.inputs[0], net.constant(filters)], cut.output, result))
        changed += 1
    return Outcome(changed=changed)


def _gathered(net: Network, gather: Node) -> list[int] | None:
    """The channels that a gather reads; None where it reads something else."""
    indices, shape = net.array(gather.inputs[1]), net.shape(gather.inputs[0])
    if indices is None or indices.ndim != 1 or shape is None or gather.attributes.get("axis", 0) != 1:
        return None
    return [int(index) % shape[0] for index in indices]


def _kept(net: Network, cut: Node) -> range | None:
    """The channels that a slice keeps, if it keeps every m-th of some with m of at least 2; else None."""
    shape = net.shape(cut.inputs[0])
    arrays = [net.array(name) for name in cut.inputs[1:]]
    numbers = [int(array.item()) for array in arrays if array is not None and array.size == 1]
    if shape is None or len(numbers) != 4:
        return None
    start, end, axis, step = numbers
    return range(shape[0])[start:end:step] if axis == 1 and step > 1 else None
