"""What a GroupNL layer does after its seed convolution, found in a graph: it stays in float between 8-bit maps."""

from groupnl.export.passes.network import Network, Node

_STEPS = {  # of the plain form, between seed maps and concatenation
    *("Abs", "Clip", "Concat", "Div", "Exp", "Gather", "Mul", "Neg", "Pow", "ReduceL2", "Sign", "Sin", "Slice", "Sub"),
}
_ACTIVATIONS = {"Clip", "HardSwish", "Relu"}


def tail_nodes(net: Network) -> list[Node]:
    """The nodes of all tails: norm, functions, concatenation, and the batch norm and activation behind it.

    8-bit steps inside would round every intermediate result, and cost more than they save: each operator here sweeps
    over the maps once.
    """
    found: list[Node] = []
    for concat in [node for node in net.nodes if node.op == "Concat" and node.attributes.get("axis") == 1]:
        steps = _steps(net, concat)
        if steps is None:
            continue
        found += [node for node in (*steps, concat) if node not in found]
        last = concat
        for ops in ({"BatchNormalization"}, _ACTIVATIONS):
            following = net.sole_user(last.output)
            if following is not None and following.op in ops:
                found.append(following)
                last = following
    return found


def _steps(net: Network, concat: Node) -> list[Node] | None:
    """What lies between the seed maps and their concatenation with maps made of them; None where that is no layer."""
    nodes: list[Node] = []
    origins: set[str] = set()
    values = list(concat.inputs)
    for value in values:  # grows
        node = net.producer(value)
        if node is None:
            origins.update([] if net.is_array(value) else [value])
        elif node.op in _STEPS and not _is_bound(net, node):
            nodes += [] if node in nodes else [node]
            values += [name for name in node.inputs if name and name not in values]
        else:
            origins.add(value)
    return nodes if nodes and len(origins) == 1 else None


def _is_bound(net: Network, node: Node) -> bool:
    """Whether this clamps a convolution's maps before anything else reads them: 8-bit maps do that by their range."""
    conv = net.producer(node.inputs[0])
    return node.op == "Clip" and conv is not None and conv.op == "Conv" and net.sole_user(conv.output) is node
