"""Operators that work on each channel alone: on some channels they give what they would give among all."""

from groupnl.export.passes.network import Array, Network, Node

_UNARY = {
    *("Abs", "Cast", "Ceil", "Celu", "Clip", "Elu", "Erf", "Exp", "Floor", "Gelu", "HardSigmoid", "HardSwish"),
    *("Identity", "LeakyRelu", "Mish", "Neg", "Reciprocal", "Relu", "Selu", "Sigmoid", "Softplus", "Sqrt", "Tanh"),
    *("ThresholdedRelu",),
}
_POOLING = {"AveragePool", "GlobalAveragePool", "GlobalMaxPool", "MaxPool"}
_BINARY = {"Add", "Div", "Mul", "Sub"}
_WITH_CONSTANTS = {*_BINARY, "BatchNormalization", "Conv"}  # a value for each channel


def is_channelwise(net: Network, node: Node, maps: str) -> bool:
    """Whether a node reads maps (N, C, H, W) and constants alone, and makes of each channel one channel."""
    shape = net.shape(maps)
    if shape is None or len(node.outputs) != 1 or net.shape(node.output) is None:
        return False
    others = [name for name in node.inputs[1:] if name]
    if node.op in _UNARY:
        return node.inputs[0] == maps and all(_is_single(net, name) for name in others)
    if node.op in _POOLING:
        return True
    if node.op == "ReduceMean":
        axes = net.array(node.inputs[1]) if len(node.inputs) > 1 else None
        over_pixels = axes is not None and sorted(axes.tolist()) in ([2, 3], [-2, -1])
        return over_pixels and bool(node.attributes.get("keepdims", 1))
    if node.op == "BatchNormalization":
        return node.inputs[0] == maps and all(net.array(name) is not None for name in others)
    if node.op == "Conv":
        weight = net.weight(node)
        return node.inputs[0] == maps and weight is not None and is_depthwise(node, weight, shape[0])
    if node.op in _BINARY:
        (other,) = [name for name in node.inputs if name != maps] or [maps]
        return _is_for_channels(net, other, shape[0])
    return False


def is_depthwise(node: Node, weight: Array, channels: int) -> bool:
    """Whether a convolution makes each channel from the same one."""
    return bool(node.attributes.get("group", 1) == channels == len(weight))


def of_channels(net: Network, node: Node, maps: str, part: str, channels: slice, tag: str) -> str:
    """Do what a channelwise node does, with some of its channels.

    Args:
        net: Where the new node goes.
        node: See :func:`is_channelwise`.
        maps: What the node reads.
        part: What the new node reads: those channels of ``maps``.
        channels: Which these are.
        tag: Ends the names of what is made.

    Returns:
        The name of the result.
    """
    whole, shape = net.shape(maps), net.shape(node.output)
    if whole is None or shape is None:
        raise ValueError(f"{maps} or {node.output}: expected maps of known shape")
    count = len(range(*channels.indices(whole[0])))
    inputs = [part if name == maps else _of_constant(net, node, name, channels, tag) for name in node.inputs]
    attributes = dict(node.attributes)
    if node.op == "Conv":
        attributes["group"] = count
    return net.add(node.op, inputs, f"{node.output}.{tag}", (count, *shape[1:]), **attributes)


def _of_constant(net: Network, node: Node, name: str, channels: slice, tag: str) -> str:
    """The name of the same constant for some channels; itself where it holds for all."""
    array = net.array(name) if name else None
    if array is None or array.size == 1 or node.op not in _WITH_CONSTANTS:
        return name
    before = (slice(None),) if array.ndim == 4 and node.op != "Conv" else ()
    return net.cut(name, tag, *before, channels)


def _is_single(net: Network, name: str) -> bool:
    array = net.array(name)
    return array is not None and array.size == 1


def _is_for_channels(net: Network, name: str, channels: int) -> bool:
    """Whether a constant broadcasts as one value for each channel, or one for all."""
    array = net.array(name)
    return array is not None and (array.size == 1 or array.shape in ((channels, 1, 1), (1, channels, 1, 1)))
