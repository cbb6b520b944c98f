"""A traced net as nodes and arrays that passes edit: who makes a value, who reads it, what a name holds."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from groupnl_device.cuts import Cut

Array = NDArray[Any]
Shape = tuple[int, int, int]  # C, H, W
OPSET = 18  # what torch's exporter is written in: nothing has to be converted, and every runtime of today reads it
_ONNX_DOMAINS = ("", "ai.onnx")


@dataclass(eq=False, kw_only=True)
class Node:
    """One operator. Compared by identity; change it through its :class:`Network`, which keeps count of the uses."""

    op: str
    inputs: list[str]  # "" where an optional one is left out
    outputs: list[str]
    attributes: dict[str, Any] = field(default_factory=dict)
    domain: str = ""

    @property
    def output(self) -> str:
        """The first result."""
        return self.outputs[0]


class Network:
    """An ONNX graph that can be edited.

    Args:
        graph: Without branches and loops; see :func:`is_plain`.
        rebuilt: Names of initializers that a device makes itself: they may be read by nodes, never changed.
    """

    def __init__(self, graph: onnx.GraphProto, rebuilt: Iterable[str]) -> None:
        self.nodes = [
            Node(
                op=node.op_type,
                inputs=list(node.input),
                outputs=list(node.output),
                attributes={a.name: onnx.helper.get_attribute_value(a) for a in node.attribute},
                domain=node.domain,
            )
            for node in graph.node
        ]
        self.rebuilt = frozenset(rebuilt)
        self.cuts: dict[str, Cut] = {}  # by the name of an array: which part of which other one it is
        self._batch = _batch_of(graph)
        self._arrays = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
        self._results = [value.name for value in graph.output]
        self._names = {value.name for value in (*graph.input, *graph.output)} | set(self._arrays)
        self._names.update(name for node in self.nodes for name in node.outputs)
        self._producers = {name: node for node in self.nodes for name in node.outputs}
        self._users: dict[str, list[Node]] = {}
        for node in self.nodes:
            self._count(node)
        self._shapes = _shapes(graph)

    def producer(self, value: str) -> Node | None:
        """The node that makes a value; None for inputs and initializers."""
        return self._producers.get(value)

    def users(self, value: str) -> list[Node]:
        """The nodes that read a value, in order; one that reads it twice is there twice."""
        return list(self._users.get(value, ()))

    def sole_user(self, value: str) -> Node | None:
        """The node that alone reads a value, once; None where others do, or the net's caller."""
        users = self.users(value)
        return users[0] if len(users) == 1 and value not in self._results else None

    def is_result(self, value: str) -> bool:
        """Whether the net's caller gets this value."""
        return value in self._results

    def is_array(self, value: str) -> bool:
        """Whether a name is an initializer, rebuilt by the device or not."""
        return value in self._arrays

    def array(self, value: str) -> Array | None:
        """The values of an initializer; None for all other names, and for what a device rebuilds."""
        return None if value in self.rebuilt else self._arrays.get(value)

    def shape(self, value: str) -> Shape | None:
        """(C, H, W) of maps (N, C, H, W); None where it is not known."""
        return self._shapes.get(value)

    def weight(self, node: Node) -> Array | None:
        """The filters of a convolution, shape (C_out, C_in / groups, kH, kW); None for all else."""
        found = self.array(node.inputs[1]) if node.op == "Conv" else None
        return found if found is not None and found.ndim == 4 else None

    def add(
        self,
        op: str,
        inputs: Sequence[str],
        like: str,
        shape: Shape | None = None,
        *,
        domain: str = "",
        **attributes: Any,
    ) -> str:
        """Add a node with one result.

        Args:
            op: Name of the operator.
            inputs: Names.
            like: The result's name starts with this.
            shape: (C, H, W) of the result, where it is maps.
            domain: The operator's, by default the standard one.
            **attributes: Of the operator.

        Returns:
            The name of the result.
        """
        output = self._new_name(like)
        node = Node(op=op, inputs=list(inputs), outputs=[output], attributes=attributes, domain=domain)
        self.nodes.append(node)
        self._producers[output] = node
        self._count(node)
        if shape is not None:
            self._shapes[output] = shape
        return output

    def cut(self, value: str, tag: str, *parts: slice) -> str:
        """Part of an initializer: a device that has the whole makes it, so it is not shipped again.

        Args:
            value: The name of an array; one that was cut already is cut further.
            tag: Ends the part's name.
            *parts: Of the leading axes; of the others all.

        Returns:
            The name of the part.

        Raises:
            ValueError: ``value`` is no array that can be cut.
        """
        array = self.array(value)
        if array is None:
            raise ValueError(f"{value}: expected the name of an initializer that no device rebuilds")
        before = self.cuts.get(value)
        whole = before.of if before is not None else value
        sizes = self._arrays[whole].shape
        held = [range(*bounds) for bounds in before.ranges] if before is not None else []
        held += [range(size) for size in sizes[len(held) :]]
        wanted = [*parts, *[slice(None)] * (len(held) - len(parts))]
        kept = [indices[part] for indices, part in zip(held, wanted, strict=True)]
        while kept and kept[-1] == range(sizes[len(kept) - 1]):
            kept.pop()
        if not kept:
            return whole
        cut = Cut(of=whole, ranges=tuple((k.start, k[-1] + 1 if k else k.start, k.step) for k in kept))
        like = f"{value}.{tag}"
        name, number = like, 1
        while name in self._names:
            if self.cuts.get(name) == cut:
                return name
            name, number = f"{like}.{number}", number + 1
        self._names.add(name)
        self.cuts[name] = cut
        self._arrays[name] = np.ascontiguousarray(array[parts])
        return name

    def constant(self, array: Array) -> str:
        """A small array that stays in the graph: axes, limits, indices. Equal ones are kept once."""
        kind = "x".join(map(str, array.shape)) or "scalar"
        like = f"constant.{array.dtype.name}.{kind}"
        name, number = like, 1
        while name in self._names:
            held = self._arrays.get(name)
            if held is not None and held.dtype == array.dtype and np.array_equal(held, array):
                return name
            name, number = f"{like}.{number}", number + 1
        self._names.add(name)
        self._arrays[name] = array
        return name

    def replace(self, old: str, new: str) -> None:
        """Let everything that reads one value read another. What nobody needs any more goes.

        Args:
            old: The value of a node; a result of the net keeps its name.
            new: A value of the same shape that a pass has added.
        """
        if old in self._results:
            old, new = self._rename(new, old), old
        for node in self.users(old):
            self._read(node, old, new)
        self._drop(self._producers.get(old))

    def _read(self, node: Node, old: str, new: str) -> None:
        for position, name in enumerate(node.inputs):
            if name == old:
                node.inputs[position] = new
                self._users[old].remove(node)
                self._users.setdefault(new, []).append(node)

    def _rename(self, value: str, result: str) -> str:
        """Give the name of a result to another value; the one that had it gets a new name, which is returned."""
        spare = self._new_name(result)
        for old, new in ((result, spare), (value, result)):
            node = self._producers.pop(old)
            node.outputs[node.outputs.index(old)] = new
            self._producers[new] = node
            for user in self.users(old):
                self._read(user, old, new)
            if old in self._shapes:
                self._shapes[new] = self._shapes[old]
        return spare

    def _drop(self, node: Node | None) -> None:
        """Remove a node that nobody reads, and those that were there for it alone."""
        unread = [node] if node is not None else []
        while unread:
            node = unread.pop()
            is_gone = self._producers.get(node.output) is not node
            if is_gone or any(self._users.get(name) or name in self._results for name in node.outputs):
                continue
            self.nodes.remove(node)
            for name in node.outputs:
                del self._producers[name]
            for name in node.inputs:
                self._users[name].remove(node)
                if name in self._producers:
                    unread.append(self._producers[name])

    def write_to(self, graph: onnx.GraphProto) -> None:
        """Put the edited net into the graph that it came from: what nobody reads is left out, the order is valid."""
        nodes = self._living()
        read = {name for node in nodes for name in node.inputs} | set(self._results)
        del graph.node[:]
        for number, node in enumerate(nodes):
            named = {"name": f"node_{number}", "domain": node.domain, **node.attributes}
            graph.node.append(onnx.helper.make_node(node.op, node.inputs, node.outputs, **named))
        self._say_shapes(graph, nodes)
        del graph.initializer[:]
        for name, array in self._arrays.items():
            if name in read:
                graph.initializer.append(onnx.numpy_helper.from_array(np.ascontiguousarray(array), name))

    def _say_shapes(self, graph: onnx.GraphProto, nodes: list[Node]) -> None:
        """Give the shapes that no runtime can infer: of results of operators that are not standard ones."""
        for name in [node.output for node in nodes if node.domain not in _ONNX_DOMAINS]:
            shape = [self._batch, *self._shapes[name]]
            graph.value_info.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape))

    def _living(self) -> list[Node]:
        """The nodes that a result needs, each after those that it reads."""
        ordered: list[Node] = []
        done: set[Node] = set()
        stack = [(self._producers.get(name), False) for name in reversed(self._results)]
        while stack:  # depth first, without recursion: deep nets are deep
            node, inputs_done = stack.pop()
            if node is None or node in done:
                continue
            if inputs_done:
                done.add(node)
                ordered.append(node)
                continue
            stack.append((node, True))
            stack += [(self._producers.get(name), False) for name in reversed(node.inputs)]
        return ordered

    def _count(self, node: Node) -> None:
        for name in node.inputs:
            self._users.setdefault(name, []).append(node)

    def _new_name(self, like: str) -> str:
        name, number = like, 1
        while name in self._names:
            name, number = f"{like}.{number}", number + 1
        self._names.add(name)
        return name


def _batch_of(graph: onnx.GraphProto) -> str | int:
    """The number of pictures, or what the graph calls it where it is free."""
    dims = [value.type.tensor_type.shape.dim for value in graph.input]
    batch = next((dim[0] for dim in dims if len(dim) == 4), None)
    return "batch" if batch is None else batch.dim_param or batch.dim_value


def is_plain(graph: onnx.GraphProto) -> bool:
    """Whether a graph has standard operators alone, no branches, no loops: what a :class:`Network` can hold."""
    return all(
        node.domain in _ONNX_DOMAINS and not any(a.HasField("g") or a.graphs for a in node.attribute)
        for node in graph.node
    )


def _shapes(graph: onnx.GraphProto) -> dict[str, Shape]:
    """(C, H, W) of every value that is maps, as shape inference finds it."""
    version = onnx.helper.make_opsetid("", OPSET)
    inferred = onnx.shape_inference.infer_shapes(onnx.helper.make_model(graph, opset_imports=[version])).graph
    found = {}
    for value in (*inferred.input, *inferred.value_info, *inferred.output):
        dims = value.type.tensor_type.shape.dim
        if len(dims) == 4 and all(dim.HasField("dim_value") for dim in dims[1:]):
            found[value.name] = dims[1].dim_value, dims[2].dim_value, dims[3].dim_value
    return found
