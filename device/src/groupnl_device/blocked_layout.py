"""GroupNL layers in ONNX Runtime's own layout for convolutions: channels in blocks of 8 or 16, NCHWc.

When ONNX Runtime optimises a graph for a processor, its convolutions read and write maps in blocks of channels. Around
operators that it does not know it puts nodes that reorder the maps, one before and one after. For light nets that costs
a quarter of the time. ``to_blocks`` takes a graph that ONNX Runtime has optimised and saved, lets the operators of
``groupnl-device-native`` work on the blocks themselves, and the few standard operators between them as well
(activations, sums, the squeeze-and-excitation gate), and leaves out every reorder that nobody needs any more.

The walk goes once through the nodes. For each result it knows whether it is at hand in blocks, and it makes the plain
form only when a node asks for it.
"""

from collections.abc import Sequence

from groupnl_device.onnx_graph import Node, OnnxGraph, new_node

BLOCKS = (8, 16)  # channels
_NCHWC = "com.microsoft.nchwc"
_GROUPNL = "groupnl"
_POOLS = ("MaxPool", "AveragePool")
# One number in, one number out, none of them infinite at zero: what fills up a last block may pass through.
_ONE_BY_ONE = ("Relu", "Clip", "Sigmoid", "HardSigmoid", "HardSwish", "LeakyRelu", "Tanh", "Elu", "Identity")
_TOGETHER = ("Add", "Mul")
_FULL, _SPARSE = "Expand", "SparseExpand"
_TAIL_AT = {_FULL: 1, _SPARSE: 3}  # the input period
_MOST_INPUTS = 2  # of a seed map, for which there are kernels

Sides = tuple[int, int] | None  # height and width of maps, where they are known


def to_blocks(model: bytes, block: int) -> bytes | None:
    """The model with its GroupNL layers in blocks of channels.

    Args:
        model: As ONNX Runtime has optimised and saved it.
        block: Channels of a block in this ONNX Runtime's convolutions, 8 or 16.

    Returns:
        The new model, to be loaded without further optimisation; None where it has no layer to change.

    Raises:
        ValueError: ``block`` is another number, or the bytes are no ONNX model.
    """
    if block not in BLOCKS:
        raise ValueError(f"block={block}: expected 8 or 16 channels")
    graph = OnnxGraph(model)
    if any(node.holds_graphs for node in graph.nodes) or not graph.imports(_NCHWC):
        return None
    walk = _Walk(graph, block)
    for node in graph.nodes:
        walk.take(node)
    for name in graph.outputs:
        walk.plain(name)
    if walk.changed == 0:
        return None
    graph.nodes = walk.nodes
    return graph.serialized()


class _Walk:
    """The nodes made so far, and what is at hand."""

    def __init__(self, graph: OnnxGraph, block: int) -> None:
        self.nodes: list[Node] = []
        self.changed = 0  # GroupNL layers
        self._graph = graph
        self._block = block
        self._blocked: dict[str, str] = {}  # by plain name: the same maps in blocks
        self._same: dict[str, str] = {}  # results in blocks that are left out: what takes their place
        self._channels: dict[str, int] = {}  # by plain name, of maps in blocks
        self._waiting: set[str] = set()  # plain names of maps that are at hand in blocks only
        self._sides: dict[str, Sides] = {}  # by any name
        self._batch = next((shape[0] for shape in graph.inputs.values() if len(shape) == 4), None)
        for name, shape in (graph.shapes | graph.inputs).items():
            if len(shape) == 4 and isinstance(shape[2], int) and isinstance(shape[3], int):
                self._sides[name] = shape[2], shape[3]

    def take(self, node: Node) -> None:
        """Go on by one node of the old graph."""
        steps = {
            (_NCHWC, "ReorderOutput"): self._reorder_output,
            (_NCHWC, "ReorderInput"): self._reorder_input,
            (_GROUPNL, _FULL): self._layer,
            (_GROUPNL, _SPARSE): self._layer,
            ("", "ReduceMean"): self._mean,
            ("", "GlobalAveragePool"): self._mean,
        }
        step = steps.get((node.domain, node.op))
        if step is None and node.domain == "" and node.op in _ONE_BY_ONE:
            step = self._one_by_one
        if step is None and node.domain == "" and node.op in _TOGETHER:
            step = self._together
        if len(node.outputs) != 1 or step is None or not step(node):
            self._as_it_was(node)

    def plain(self, name: str) -> None:
        """See to it that maps are at hand channel by channel."""
        if name in self._waiting:
            self._waiting.remove(name)
            channels = self._channels[name]
            self.nodes.append(new_node("ReorderOutput", _NCHWC, [self._blocked[name]], name, channels=channels))

    def _as_it_was(self, node: Node) -> None:
        for name in node.inputs:
            self.plain(name)
        node.inputs = [self._same.get(name, name) for name in node.inputs]
        self.nodes.append(node)
        if node.domain == _NCHWC:
            self._sides[node.outputs[0]] = _sides_after(node, self._sides_of(node.inputs[0]), self._graph)

    def _add(self, node: Node, plain: str, channels: int, sides: Sides) -> None:
        """A node whose result are the maps ``plain`` in blocks."""
        self.nodes.append(node)
        self._at_hand(plain, node.outputs[0], channels, sides)
        if node.domain == _GROUPNL and sides is not None:  # of the others the runtime knows the shapes itself
            filled = -(-channels // self._block) * self._block
            self._graph.say(node.outputs[0], (self._batch, filled, *sides))

    def _at_hand(self, plain: str, blocked: str, channels: int, sides: Sides) -> None:
        self._blocked[plain], self._channels[plain] = blocked, channels
        self._waiting.add(plain)
        self._sides[plain] = self._sides[blocked] = sides

    def _sides_of(self, name: str) -> Sides:
        return self._sides.get(name)

    def _reorder_output(self, node: Node) -> bool:
        channels = node.number("channels", 0)
        if node.number("channels_last", 0) != 0 or channels < 1:
            return False
        source = self._same.get(node.inputs[0], node.inputs[0])
        known = self._sides_of(node.outputs[0]) or self._sides_of(source)
        self._at_hand(node.outputs[0], source, channels, known)
        return True

    def _reorder_input(self, node: Node) -> bool:
        if node.number("channels_last", 0) != 0:
            return False
        source, made = node.inputs[0], node.outputs[0]
        self._sides[made] = self._sides_of(source)
        if source not in self._blocked:
            return False
        self._same[made] = self._blocked[source]
        return True

    def _layer(self, node: Node) -> bool:
        source = node.inputs[0]
        tail = self._graph.sizes.get(node.inputs[_TAIL_AT[node.op]])
        if source not in self._blocked or tail is None:
            return False
        generated = 1
        for size in tail:
            generated *= size
        attributes = {"block": self._block}
        if node.op == _SPARSE:
            weight = self._graph.sizes.get(node.inputs[1], ())
            if len(weight) != 4 or not 1 <= weight[1] <= _MOST_INPUTS:
                return False
            seeds = weight[0]
        else:
            seeds = attributes["seed_channels"] = self._channels[source]
        made = new_node(f"Blocked{node.op}", _GROUPNL, node.inputs, _name(node), **attributes)
        made.inputs[0] = self._blocked[source]
        made.kept += node.kept
        self._add(made, node.outputs[0], seeds + generated, self._sides_of(node.outputs[0]))
        self.changed += 1
        return True

    def _one_by_one(self, node: Node) -> bool:
        source = node.inputs[0]
        if source not in self._blocked:
            return False
        made = Node(op=node.op, domain="", inputs=list(node.inputs), outputs=[_name(node)], kept=node.kept)
        made.inputs[0] = self._blocked[source]
        self._add(made, node.outputs[0], self._channels[source], self._sides_of(source))
        return True

    def _together(self, node: Node) -> bool:
        if any(name not in self._blocked or name not in self._channels for name in node.inputs):
            return False
        one, other = node.inputs
        sides = [self._sides_of(name) for name in (one, other)]
        channels = self._channels[one]
        if channels != self._channels[other] or None in sides:
            return False
        blocked = [self._blocked[one], self._blocked[other]]
        if sides[0] == sides[1]:
            made = Node(op=node.op, domain="", inputs=blocked, outputs=[_name(node)], kept=node.kept)
        elif node.op == "Mul" and (1, 1) in sides:
            if sides[0] == (1, 1):
                blocked, sides = blocked[::-1], sides[::-1]
            made = new_node("BlockedGate", _GROUPNL, blocked, _name(node), block=self._block)
        else:
            return False
        self._add(made, node.outputs[0], channels, sides[0])
        return True

    def _mean(self, node: Node) -> bool:
        source = node.inputs[0]
        if source not in self._blocked or (node.op == "ReduceMean" and not self._is_over_the_picture(node)):
            return False
        made = new_node("GlobalAveragePool", _NCHWC, [self._blocked[source]], _name(node))
        self._add(made, node.outputs[0], self._channels[source], (1, 1))
        return True

    def _is_over_the_picture(self, node: Node) -> bool:
        if node.number("keepdims", 1) != 1:
            return False
        axes = node.numbers("axes", [])
        if len(node.inputs) > 1 and node.inputs[1]:
            axes = self._graph.whole_numbers(node.inputs[1]) or []
        return sorted(axis % 4 for axis in axes) == [2, 3]


def _name(node: Node) -> str:
    return f"{node.outputs[0]}/blocked"


def _sides_after(node: Node, sides: Sides, graph: OnnxGraph) -> Sides:
    """Height and width of what a convolution or pooling node makes of maps with these."""
    if node.op == "GlobalAveragePool":
        return 1, 1
    if sides is None or node.op not in ("Conv", *_POOLS) or node.number("ceil_mode", 0) != 0:
        return None
    if node.attributes.get("auto_pad", "NOTSET") != "NOTSET":
        return None
    size: Sequence[int] = graph.sizes.get(node.inputs[1], ())[2:] if node.op == "Conv" else ()
    kernel = node.numbers("kernel_shape", list(size))
    strides, dilations = node.numbers("strides", [1, 1]), node.numbers("dilations", [1, 1])
    pads = node.numbers("pads", [0, 0, 0, 0])
    if (len(kernel), len(strides), len(dilations), len(pads)) != (2, 2, 2, 4):
        return None
    height, width = (
        (sides[i] + pads[i] + pads[i + 2] - (kernel[i] - 1) * dilations[i] - 1) // strides[i] + 1 for i in (0, 1)
    )
    return height, width
