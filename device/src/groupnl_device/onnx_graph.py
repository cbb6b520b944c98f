"""An ONNX model's nodes to read and to exchange, without the package onnx; everything else stays as it lies.

Field numbers are those of ONNX's ``onnx.proto``. Weights are never copied but once, when the model is written.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import cast

from groupnl_device.protobuf import Value, bytes_field, fields, number_field, pieces, signed, varints

_MODEL_GRAPH, _MODEL_IMPORT = 7, 8
_IMPORT_DOMAIN = 1
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_INPUT, _GRAPH_OUTPUT, _GRAPH_VALUE = 1, 5, 11, 12, 13
_NODE_INPUT, _NODE_OUTPUT, _NODE_NAME, _NODE_OP, _NODE_ATTRIBUTE, _NODE_DOMAIN = 1, 2, 3, 4, 5, 7
_ATTRIBUTE_NAME, _ATTRIBUTE_INT, _ATTRIBUTE_TEXT, _ATTRIBUTE_INTS, _ATTRIBUTE_TYPE = 1, 3, 4, 8, 20
_ATTRIBUTE_GRAPHS = (6, 11)
_TYPE_INT = 2
_TENSOR_DIMS, _TENSOR_KIND, _TENSOR_INT64, _TENSOR_NAME, _TENSOR_RAW = 1, 2, 7, 8, 9
_FLOAT, _INT64 = 1, 7
_VALUE_NAME, _VALUE_TYPE, _TYPE_TENSOR, _TENSOR_SHAPE, _SHAPE_DIM = 1, 2, 1, 2, 1
_TENSOR_ELEMENTS, _DIM_VALUE, _DIM_NAME = 1, 1, 2

Shape = tuple[int | str | None, ...]  # a text: a size that has a name and no number


@dataclass(kw_only=True)
class Node:
    """One node.

    Attributes:
        domain: "" for ONNX's own operators.
        attributes: Whole numbers, lists of them, and texts, by name; others are kept, but not seen here.
        holds_graphs: Whether an attribute is a graph of its own, which may read anything of the graph around it.
    """

    op: str
    domain: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, int | list[int] | str] = field(default_factory=dict)
    holds_graphs: bool = False
    kept: list[bytes] = field(default_factory=list)  # name, attributes and notes, as they lay

    def numbers(self, name: str, otherwise: list[int]) -> list[int]:
        """An attribute that is a list of whole numbers."""
        value = self.attributes.get(name, otherwise)
        return value if isinstance(value, list) else otherwise

    def number(self, name: str, otherwise: int) -> int:
        """An attribute that is a whole number."""
        value = self.attributes.get(name, otherwise)
        return value if isinstance(value, int) else otherwise


class OnnxGraph:
    """A serialised model, opened.

    Args:
        model: The model.

    Attributes:
        nodes: In the order of computation; a list to change.
        inputs: Names and shapes; None where a size is free.
        outputs: Names.
        shapes: What the graph says about results of its nodes.
        sizes: Shapes of the initializers.

    Raises:
        ProtobufError: It cannot be followed.
    """

    def __init__(self, model: bytes) -> None:
        self.nodes: list[Node] = []
        self.inputs: dict[str, Shape] = {}
        self.outputs: list[str] = []
        self.shapes: dict[str, Shape] = {}
        self.sizes: dict[str, tuple[int, ...]] = {}
        self._tensors: dict[str, memoryview] = {}
        self._around: list[memoryview] = []  # fields of the model but the graph
        self._rest: list[memoryview] = []  # fields of the graph but its nodes and what is known of their results
        self._values: dict[str, memoryview | bytes] = {}  # what it says, as it lay
        self._domains: set[str] = set()
        for number, value, whole in pieces(memoryview(model)):
            if number == _MODEL_GRAPH and isinstance(value, memoryview):
                self._open(value)
            else:
                self._around.append(whole)
                if number == _MODEL_IMPORT:
                    self._domains |= {_text(part) for key, part in fields(_bytes(value)) if key == _IMPORT_DOMAIN}

    def whole_numbers(self, name: str) -> list[int] | None:
        """The values of an initializer of int64; None where there is none."""
        tensor = self._tensors.get(name)
        if tensor is None:
            return None
        kind, found = 0, []
        for number, value in fields(tensor):
            if number == _TENSOR_KIND:
                kind = cast("int", value)
            elif number == _TENSOR_RAW:
                raw = _bytes(value)
                found += [int.from_bytes(raw[i : i + 8], "little", signed=True) for i in range(0, len(raw), 8)]
            elif number == _TENSOR_INT64:
                found += _whole_numbers(value)
        return found if kind == _INT64 else None

    def say(self, name: str, shape: Shape) -> None:
        """State the shape of a result of float32: without it a runtime plans no memory for what follows."""
        self.shapes[name] = shape
        self._values[name] = bytes_field(_GRAPH_VALUE, _described(name, shape))

    def serialized(self) -> bytes:
        """The model with the nodes as they are now, and what is known of their results."""
        graph: list[bytes | memoryview] = [_written(node) for node in self.nodes]
        made = {name for node in self.nodes for name in node.outputs}
        graph += [value for name, value in self._values.items() if name in made]
        return b"".join([*self._around, bytes_field(_MODEL_GRAPH, *graph, *self._rest)])

    def imports(self, domain: str) -> bool:
        """Whether the model says which version of a domain's operators it uses."""
        return domain in self._domains

    def _open(self, graph: memoryview) -> None:
        for number, value, whole in pieces(graph):
            if number == _GRAPH_NODE:
                self.nodes.append(_node(_bytes(value)))
                continue
            if number == _GRAPH_VALUE:
                name, shape = _value(_bytes(value))
                self.shapes[name], self._values[name] = shape, whole
                continue
            self._rest.append(whole)
            if number == _GRAPH_INITIALIZER:
                name, size = _tensor(_bytes(value))
                self._tensors[name], self.sizes[name] = _bytes(value), size
            elif number == _GRAPH_INPUT:
                name, shape = _value(_bytes(value))
                self.inputs[name] = shape
            elif number == _GRAPH_OUTPUT:
                self.outputs.append(_value(_bytes(value))[0])


def new_node(op: str, domain: str, inputs: Iterable[str], output: str, **attributes: int) -> Node:
    """A node with attributes that are whole numbers."""
    kept = [
        bytes_field(
            _NODE_ATTRIBUTE,
            bytes_field(_ATTRIBUTE_NAME, name.encode()),
            number_field(_ATTRIBUTE_INT, value),
            number_field(_ATTRIBUTE_TYPE, _TYPE_INT),
        )
        for name, value in attributes.items()
    ]
    return Node(op=op, domain=domain, inputs=list(inputs), outputs=[output], attributes={**attributes}, kept=kept)


def _node(message: memoryview) -> Node:
    node = Node(op="", domain="", inputs=[], outputs=[])
    for number, value, whole in pieces(message):
        if number == _NODE_INPUT:
            node.inputs.append(_text(value))
        elif number == _NODE_OUTPUT:
            node.outputs.append(_text(value))
        elif number == _NODE_OP:
            node.op = _text(value)
        elif number == _NODE_DOMAIN:
            node.domain = _text(value)
        else:
            node.kept.append(bytes(whole))
            if number == _NODE_ATTRIBUTE:
                _attribute(node, _bytes(value))
    return node


def _attribute(node: Node, message: memoryview) -> None:
    name, numbers = "", []
    found: int | str | None = None
    for number, value in fields(message):
        if number == _ATTRIBUTE_NAME:
            name = _text(value)
        elif number == _ATTRIBUTE_INT:
            found = signed(cast("int", value))
        elif number == _ATTRIBUTE_TEXT:
            found = _text(value)
        elif number == _ATTRIBUTE_INTS:
            numbers += _whole_numbers(value)
        elif number in _ATTRIBUTE_GRAPHS:
            node.holds_graphs = True
    if numbers:
        node.attributes[name] = numbers
    elif found is not None:
        node.attributes[name] = found


def _written(node: Node) -> bytes:
    texts = [(_NODE_INPUT, name) for name in node.inputs] + [(_NODE_OUTPUT, name) for name in node.outputs]
    texts += [(_NODE_OP, node.op), *([(_NODE_DOMAIN, node.domain)] if node.domain else [])]
    written = [bytes_field(number, text.encode()) for number, text in texts]
    return bytes_field(_GRAPH_NODE, *written, *node.kept)


def _tensor(message: memoryview) -> tuple[str, tuple[int, ...]]:
    """Name and shape."""
    name, dims = "", []
    for number, value in fields(message):
        if number == _TENSOR_NAME:
            name = _text(value)
        elif number == _TENSOR_DIMS:
            dims += _whole_numbers(value)
    return name, tuple(dims)


def _value(message: memoryview) -> tuple[str, Shape]:
    """Name and shape of an input, an output or a result; no sizes where it is no tensor of known rank."""
    name, dims = "", []
    for number, value in fields(message):
        if number == _VALUE_NAME:
            name = _text(value)
        elif number == _VALUE_TYPE:
            dims = [_bytes(value)]
            for wanted in (_TYPE_TENSOR, _TENSOR_SHAPE, _SHAPE_DIM):
                dims = [_bytes(part) for outer in dims for key, part in fields(outer) if key == wanted]
    return name, tuple(_size(dim) for dim in dims)


def _size(dim: memoryview) -> int | str | None:
    for number, value in fields(dim):
        if number == _DIM_VALUE:
            return signed(cast("int", value))
        if number == _DIM_NAME:
            return _text(value)
    return None


def _described(name: str, shape: Shape) -> bytes:
    """The reverse of ``_value``, float32."""
    dims = []
    for size in shape:
        named = b"" if size is None else bytes_field(_DIM_NAME, str(size).encode())
        dims.append(bytes_field(_SHAPE_DIM, number_field(_DIM_VALUE, size) if isinstance(size, int) else named))
    tensor = number_field(_TENSOR_ELEMENTS, _FLOAT) + bytes_field(_TENSOR_SHAPE, *dims)
    return bytes_field(_VALUE_NAME, name.encode()) + bytes_field(_VALUE_TYPE, bytes_field(_TYPE_TENSOR, tensor))


def _whole_numbers(value: Value) -> list[int]:
    """A repeated field's part: one number, or many that are packed."""
    return [signed(value)] if isinstance(value, int) else varints(value)


def _bytes(value: Value) -> memoryview:
    """A message's bytes; nothing where the field is a number, which no ONNX model has there."""
    return value if isinstance(value, memoryview) else memoryview(b"")


def _text(value: Value) -> str:
    return bytes(_bytes(value)).decode("utf-8", errors="replace")
