"""Sparse seed convolutions as depthwise ones: a term for each input of a group, and additions."""

import numpy as np

from groupnl.export.passes.channelwise import is_channelwise, of_channels
from groupnl.export.passes.network import Network, Node, Shape
from groupnl.export.passes.outcome import Outcome

_JOINS = {"Add", "Mul"}


def split_sparse_convolutions(net: Network) -> Outcome:
    """A convolution of one output and m inputs in each group becomes m depthwise convolutions and additions.

    Output s sums the inputs ``m s .. m s + m - 1``, so the first depthwise convolution takes every m-th channel from
    channel 0 on, the second from channel 1, and so on. Their inputs are made in this order at once: the filters of the
    convolution before are dealt out to m convolutions, and what lies between (norms, activations, gates, shortcuts) is
    done for each. Maps that others read as well are cut with a stride instead, which copies them.

    Runtimes have fast kernels for depthwise convolutions, and none for groups of two inputs.
    """
    changed, notes = 0, []
    for conv in [node for node in net.nodes if node.op == "Conv"]:
        weight = net.weight(conv)
        groups = conv.attributes.get("group", 1)
        if weight is None or groups == 1 or len(weight) != groups or weight.shape[1] == 1:
            continue
        m = weight.shape[1]
        order = _Order(net, conv, m)
        shape, name = net.shape(conv.output), conv.inputs[1]
        total = ""
        for nth in range(m):
            filters = net.cut(name, _tag(nth, m), slice(None), slice(nth, nth + 1))
            inputs = [order.every(conv.inputs[0], nth), filters, *(conv.inputs[2:] if nth == 0 else [])]
            maps = net.add("Conv", inputs, f"{conv.output}.{_tag(nth, m)}", shape, **conv.attributes)
            total = net.add("Add", [maps, total], f"{conv.output}.sum", shape) if total else maps
        net.replace(conv.output, total)
        changed += 1
        notes += [f"{value}: more than one layer reads it, its channels are copied" for value in sorted(order.copied)]
    return Outcome(changed=changed, notes=tuple(notes))


class _Order:
    """Makes every m-th channel of maps, as early in the net as possible.

    Args:
        net: The net.
        conv: The convolution that wants them; what lies before it for it alone is done in this order.
        m: The step.

    Attributes:
        copied: Names of maps whose channels had to be copied.
    """

    def __init__(self, net: Network, conv: Node, m: int) -> None:
        self.copied: set[str] = set()
        self._net, self._m = net, m
        self._own = _own_nodes(net, conv)
        self._made: dict[tuple[str, int], str] = {}

    def every(self, value: str, nth: int) -> str:
        """The channels ``nth, nth + m, ...`` of maps (N, C, H, W): the name of maps of C / m channels."""
        if (value, nth) not in self._made:
            node = self._net.producer(value)
            made = self._again(node, nth) if node is not None and node in self._own else self._cut(value, nth)
            self._made[value, nth] = made
        return self._made[value, nth]

    def _again(self, node: Node, nth: int) -> str:
        """Do what a node does for these channels."""
        net, tag, channels = self._net, _tag(nth, self._m), slice(nth, None, self._m)
        if _is_dense(net, node):
            inputs = [node.inputs[0], *(net.cut(name, tag, channels) for name in node.inputs[1:])]
            return net.add("Conv", inputs, f"{node.output}.{tag}", self._fewer(node.output), **node.attributes)
        maps = _maps(net, node)
        if len(maps) == 1:
            return of_channels(net, node, maps[0], self.every(maps[0], nth), channels, tag)
        inputs = [self.every(name, nth) for name in node.inputs]
        return net.add(node.op, inputs, f"{node.output}.{tag}", self._fewer(node.output))

    def _cut(self, value: str, nth: int) -> str:
        self.copied.add(value)
        numbers = (nth, np.iinfo(np.int64).max, 1, self._m)  # from, to, axis, step
        limits = [self._net.constant(np.array([number], np.int64)) for number in numbers]
        return self._net.add("Slice", [value, *limits], f"{value}.{_tag(nth, self._m)}", self._fewer(value))

    def _fewer(self, value: str) -> Shape | None:
        shape = self._net.shape(value)
        return (shape[0] // self._m, *shape[1:]) if shape is not None else None


def _own_nodes(net: Network, conv: Node) -> set[Node]:
    """The nodes before a convolution that work for it alone and can be done for some channels.

    They end with convolutions over all channels, whose filters are dealt out: these read their own input whole.
    """
    readers, ends = {conv}, set()
    waiting = [conv.inputs[0]]
    while waiting:
        value = waiting.pop()
        node = net.producer(value)
        if node is None or node in readers or net.is_result(value) or not set(net.users(value)) <= readers:
            continue
        if _is_dense(net, node):
            ends.add(node)
        elif _can_be_done_for_some(net, node):
            readers.add(node)
            waiting += [name for reader in readers - {conv} for name in _maps(net, reader)]
    return readers - {conv} | ends


def _is_dense(net: Network, node: Node) -> bool:
    """Whether this is a convolution of one group, its filters and bias constants."""
    constant = all(net.array(name) is not None for name in node.inputs[1:])
    return node.op == "Conv" and node.attributes.get("group", 1) == 1 and constant


def _can_be_done_for_some(net: Network, node: Node) -> bool:
    shape, maps = net.shape(node.output), _maps(net, node)
    if shape is None or not maps:
        return False
    if len(maps) == 1:
        return is_channelwise(net, node, maps[0])
    return node.op in _JOINS and all((net.shape(name) or (0,))[0] == shape[0] for name in node.inputs)


def _maps(net: Network, node: Node) -> list[str]:
    """What a node reads besides initializers."""
    return [name for name in node.inputs if name and not net.is_array(name)]


def _tag(nth: int, m: int) -> str:
    return f"{nth + 1}of{m}"
