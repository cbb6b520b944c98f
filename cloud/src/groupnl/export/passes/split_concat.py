"""What follows a GroupNL layer, done for its seed maps and its generated maps apart: nothing is concatenated."""

from groupnl.export.passes.channelwise import is_channelwise, of_channels
from groupnl.export.passes.network import Network, Node
from groupnl.export.passes.outcome import Outcome

_BY_ELEMENT = {"Abs", "BatchNormalization", "Exp", "Gather", "Mul", "Neg", "Pow", "Sign", "Sin", "Slice", "Sub"}
_JOINS = {"Add", "Mul"}
_TAGS = ("seeds", "generated")


def split_concats(net: Network) -> Outcome:
    """Push both halves of a GroupNL layer's result through norms and activations into the convolutions after.

    A convolution of the whole is the sum of two, each with its part of the filters. What comes to be added to the
    result (a shortcut) is added to the first of the two: then each addition is one of a convolution and something
    else, which ONNX Runtime does while it writes the convolution's result. Where anything else reads the maps the
    concatenation stays: a shortcut, or a gate (squeeze-and-excitation), where two halves cost ONNX Runtime more than
    they save.
    """
    changed, notes = 0, []
    for concat in [node for node in net.nodes if node.op == "Concat" and _is_expansion(net, node)]:
        region = _region(net, concat)
        if region is None:
            notes.append(f"{concat.output}: stays, a shortcut, a gate or the like reads its maps as a whole")
            continue
        _split(net, concat, region)
        changed += 1
    return Outcome(changed=changed, notes=tuple(notes))


def _is_expansion(net: Network, concat: Node) -> bool:
    """Whether this joins maps along channels with others that were made from them, element by element."""
    if concat.attributes.get("axis") != 1 or len(concat.inputs) != 2 or not all(map(net.shape, concat.inputs)):
        return False
    seeds, generated = concat.inputs
    values = [generated]
    while values:
        value = values.pop()
        if value == seeds:
            return True
        node = net.producer(value)
        values += node.inputs if node is not None and node.op in _BY_ELEMENT else []
    return False


def _region(net: Network, concat: Node) -> list[Node] | None:
    """The nodes to be done in parts, in an order in which they can be; None where not all of them can.

    They begin behind ``concat``; the last ones are convolutions over all channels.
    """
    shape = net.shape(concat.output)
    values, nodes = [concat.output], []
    for value in values:  # grows
        users = net.users(value)
        if shape is None or net.is_result(value) or not users:
            return None
        for node in users:
            if node in nodes:
                continue
            is_end = _is_dense(net, node, value)
            if not is_end and not is_channelwise(net, node, value) and not _is_join(net, node):
                return None
            nodes.append(node)
            if not is_end:
                values.append(node.output)
    joined = {name for node in nodes for name in node.inputs if node.op in _JOINS and not net.is_array(name)}
    return _in_order(nodes, set(values), concat) if joined <= set(values) else None


def _in_order(nodes: list[Node], values: set[str], concat: Node) -> list[Node]:
    """The nodes, each after those that make what it reads of ``values``."""
    known = {concat.output}
    ordered: list[Node] = []
    while nodes:
        ready = [node for node in nodes if all(name in known or name not in values for name in node.inputs)]
        known.update(node.output for node in ready)
        ordered += ready
        nodes = [node for node in nodes if node not in ready]
    return ordered


def _is_dense(net: Network, node: Node, maps: str) -> bool:
    """Whether this convolves maps over all channels."""
    shape, weight = net.shape(maps), net.weight(node)
    one_group = node.attributes.get("group", 1) == 1 and node.inputs[0] == maps
    return one_group and weight is not None and shape is not None and weight.shape[1] == shape[0] > 1


def _is_join(net: Network, node: Node) -> bool:
    """Whether this multiplies or adds maps of one shape, such as the two of SiLU."""
    shapes = {net.shape(name) for name in node.inputs}
    return node.op in _JOINS and len(shapes) == 1 and None not in shapes


def _split(net: Network, concat: Node, region: list[Node]) -> None:
    sizes = [shape[0] for name in concat.inputs if (shape := net.shape(name)) is not None]
    bounds = [slice(sum(sizes[:k]), sum(sizes[: k + 1])) for k in range(len(sizes))]
    parts = {concat.output: list(concat.inputs)}
    for node in region:
        value = next(name for name in node.inputs if name in parts)
        if _is_dense(net, node, value):
            replaced, total = _sum_of_parts(net, node, list(zip(parts[value], bounds, strict=True)))
            net.replace(replaced, total)
        elif is_channelwise(net, node, value):
            parts[node.output] = [
                of_channels(net, node, value, part, where, _TAGS[k])
                for k, (part, where) in enumerate(zip(parts[value], bounds, strict=True))
            ]
        else:
            shape = net.shape(node.output) or (0, 0, 0)
            parts[node.output] = [
                net.add(node.op, list(inputs), f"{node.output}.{tag}", (size, *shape[1:]))
                for *inputs, size, tag in zip(*(parts[name] for name in node.inputs), sizes, _TAGS, strict=True)
            ]


def _sum_of_parts(net: Network, conv: Node, parts: list[tuple[str, slice]]) -> tuple[str, str]:
    """Convolve each part and add; with the addition that follows, if one does.

    Returns:
        The value that is replaced, and the name of the sum.
    """
    shape, name = net.shape(conv.output), conv.inputs[1]
    following = net.sole_user(conv.output)
    addend = None
    if following is not None and following.op == "Add":
        (other,) = [value for value in following.inputs if value != conv.output] or [""]
        addend = other if shape is not None and net.shape(other) == shape and not net.is_array(other) else None
    total = addend or ""
    for k, ((part, where), tag) in enumerate(zip(parts, _TAGS, strict=True)):
        filters = net.cut(name, tag, slice(None), where)
        bias = conv.inputs[2:] if k == 0 else []
        maps = net.add("Conv", [part, filters, *bias], f"{conv.output}.{tag}", shape, **conv.attributes)
        total = net.add("Add", [maps, total], f"{conv.output}.sum", shape) if total else maps
    return (following.output if addend and following is not None else conv.output), total
