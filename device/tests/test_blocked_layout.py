"""Edited graphs compute what they computed: they are run by a small interpreter, in which blocks are real blocks.

The graphs are written as ONNX Runtime saves them: its convolutions in blocks of channels, reorders around all the rest.
Neither ONNX Runtime nor the native operators are needed here.
"""

from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from groupnl_device.blocked_layout import to_blocks

NCHWC, GROUPNL = "com.microsoft.nchwc", "groupnl"
SIDE = 6
Array = np.ndarray[Any, Any]


def filled(channels: int, block: int) -> int:
    return -(-channels // block) * block


def in_blocks(maps: Array, block: int) -> Array:
    n, channels, height, width = maps.shape
    padded = np.zeros((n, filled(channels, block), height, width))
    padded[:, :channels] = maps
    moved = padded.reshape(n, -1, block, height, width).transpose(0, 1, 3, 4, 2)
    return moved.reshape(padded.shape)


def out_of_blocks(maps: Array, block: int) -> Array:
    n, _, height, width = maps.shape
    return maps.reshape(n, -1, height, width, block).transpose(0, 1, 4, 2, 3).reshape(maps.shape)


class Interpreter:
    """Runs a graph node by node. Operators of ours are stand-ins that see every channel and pixel differently."""

    def __init__(self, raw: bytes, block: int) -> None:
        self.graph = onnx.ModelProto.FromString(raw).graph
        self.block = block
        self.constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in self.graph.initializer}

    def run(self, x: Array) -> list[Array]:
        values: dict[str, Array] = {**self.constants, self.graph.input[0].name: x}
        for node in self.graph.node:
            attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
            inputs = [values[name] if name else None for name in node.input]
            values[node.output[0]] = getattr(self, f"on_{node.op_type.lower()}")(attributes, *inputs)
        return [values[output.name] for output in self.graph.output]

    def on_reorderinput(self, _: Any, maps: Array) -> Array:
        return in_blocks(maps, self.block)

    def on_reorderoutput(self, attributes: Any, maps: Array) -> Array:
        return out_of_blocks(maps, self.block)[:, : attributes["channels"]]

    def on_conv(
        self, attributes: Any, maps: Array, weight: Array, _bias: Any = None, plus: Array | None = None
    ) -> Array:
        """In blocks, 1x1 only; the weight's padded channels are zeros, as ONNX Runtime's are."""
        plain = out_of_blocks(maps, self.block)[:, :, :: attributes["strides"][0], :: attributes["strides"][0]]
        made = in_blocks(np.einsum("nchw,oc->nohw", plain, weight[:, :, 0, 0].astype(float)), self.block)
        return made if plus is None else made + plus

    def on_sparseexpand(self, _: Any, x: Array, weight: Array, _bias: Any, period: Array, *_tail: Any) -> Array:
        assert x.shape[1] == weight.shape[0] * weight.shape[1]
        y = x.reshape(x.shape[0], weight.shape[0], weight.shape[1], *x.shape[2:]).sum(axis=2)
        return self.on_expand(_, y, period)

    def on_expand(self, _: Any, y: Array, period: Array, *_tail: Any) -> Array:
        generated = np.sin(period.reshape(-1, 1, 1) * y[:, : period.size])
        ramp = np.arange(y.shape[2] * y.shape[3]).reshape(1, 1, *y.shape[2:])
        return np.concatenate([y, generated], axis=1) + 0.01 * ramp + 0.25

    def on_blockedsparseexpand(self, attributes: Any, x: Array, weight: Array, *rest: Any) -> Array:
        assert attributes["block"] == self.block
        plain = out_of_blocks(x, self.block)[:, : weight.shape[0] * weight.shape[1]]
        assert x.shape[1] == filled(plain.shape[1], self.block)
        return in_blocks(self.on_sparseexpand(attributes, plain, weight, *rest), self.block)

    def on_blockedexpand(self, attributes: Any, y: Array, *rest: Any) -> Array:
        plain = out_of_blocks(y, self.block)[:, : attributes["seed_channels"]]
        return in_blocks(self.on_expand(attributes, plain, *rest), self.block)

    def on_blockedgate(self, _: Any, x: Array, gate: Array) -> Array:
        assert gate.shape[2:] == (1, 1)
        return in_blocks(out_of_blocks(x, self.block) * out_of_blocks(gate, self.block), self.block)

    def on_globalaveragepool(self, _: Any, x: Array) -> Array:
        return in_blocks(out_of_blocks(x, self.block).mean(axis=(2, 3), keepdims=True), self.block)

    def on_reducemean(self, attributes: Any, x: Array, axes: Array | None = None) -> Array:
        chosen = attributes["axes"] if axes is None else axes
        return x.mean(axis=tuple(chosen), keepdims=attributes.get("keepdims", 1) == 1)

    def on_relu(self, _: Any, x: Array) -> Array:
        return np.maximum(x, 0)

    def on_hardsigmoid(self, _: Any, x: Array) -> Array:
        return np.clip(0.2 * x + 0.5, 0, 1)

    def on_add(self, _: Any, a: Array, b: Array) -> Array:
        return a + b

    def on_mul(self, _: Any, a: Array, b: Array) -> Array:
        return a * b

    def on_softmax(self, _: Any, x: Array) -> Array:  # mixes pixels: no operator for blocks
        return np.exp(x - x.max()) / np.exp(x - x.max()).sum(axis=-1, keepdims=True)


class Writer:
    """Writes graphs as ONNX Runtime saves them: plain results are ``t0``, ``t1``, ..., in blocks ``t0.b``."""

    def __init__(self, block: int, channels: int, seed: int = 0) -> None:
        self.block, self.rng = block, np.random.default_rng(seed)
        self.nodes: list[Any] = []
        self.constants: dict[str, Array] = {"axes": np.array([2, 3])}
        self.channels = {"x": channels}
        self.sides = {"x": SIDE}
        self.known: list[str] = []  # plain results whose shape the graph states
        self.outputs: list[str] = []

    def constant(self, *shape: int) -> str:
        name = f"c{len(self.constants)}"
        self.constants[name] = self.rng.uniform(-1, 1, shape).astype(np.float32)
        return name

    def node(self, op: str, inputs: list[str], domain: str = "", suffix: str = "", **attributes: Any) -> str:
        name = f"t{len(self.nodes)}{suffix}"
        self.nodes.append(helper.make_node(op, inputs, [name], domain=domain, **attributes))
        return name

    def same(self, op: str, *inputs: str) -> str:
        made = self.node(op, list(inputs))
        self.channels[made] = self.channels[inputs[0]]
        self.sides[made] = max(self.sides[name] for name in inputs)
        return made

    def conv(self, source: str, out: int, stride: int = 1, plus: str | None = None) -> str:
        """A 1x1 convolution between two reorders."""
        into = self.node("ReorderInput", [source], NCHWC, ".b", channels_last=0)
        weight = self.constant(filled(out, self.block), filled(self.channels[source], self.block), 1, 1)
        self.constants[weight][out:] = 0
        self.constants[weight][:, self.channels[source] :] = 0
        inputs = [into, weight]
        if plus is not None:
            inputs += ["", self.node("ReorderInput", [plus], NCHWC, ".b")]
        made = self.node("Conv", inputs, NCHWC, ".b", strides=[stride] * 2, kernel_shape=[1, 1])
        plain = self.node("ReorderOutput", [made], NCHWC, channels=out, channels_last=0)
        self.channels[plain], self.sides[plain] = out, -(-self.sides[source] // stride)
        return plain

    def sparse(self, source: str) -> str:
        inputs = 2 if self.channels[source] % 2 == 0 else 1
        seeds = self.channels[source] // inputs
        tail = ["", self.constant(seeds, 1, 1), self.constant(seeds, 1, 1)]
        return self._layer("SparseExpand", [source, self.constant(seeds, inputs, 1, 1), *tail], seeds)

    def dense(self, source: str) -> str:
        seeds = self.channels[source]
        return self._layer("Expand", [source, self.constant(seeds, 1, 1), self.constant(seeds, 1, 1)], seeds)

    def _layer(self, op: str, inputs: list[str], seeds: int) -> str:
        made = self.node(op, inputs, GROUPNL, normalize="l2")
        self.channels[made], self.sides[made] = 2 * seeds, self.sides[inputs[0]]
        self.known.append(made)
        return made

    def mean(self, source: str) -> str:
        made = self.node("ReduceMean", [source, "axes"], keepdims=1)
        self.channels[made], self.sides[made] = self.channels[source], 1
        return made

    def model(self) -> bytes:
        def info(name: str) -> Any:
            side = self.sides[name]
            return helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, self.channels[name], side, side])

        constants = [numpy_helper.from_array(array, name) for name, array in self.constants.items()]
        outputs = [info(name) for name in self.outputs]
        known = [info(name) for name in self.known if name not in self.outputs]
        graph = helper.make_graph(self.nodes, "g", [info("x")], outputs, constants, value_info=known)
        imports = [helper.make_opsetid(domain, 1) for domain in (NCHWC, GROUPNL)] + [helper.make_opsetid("", 18)]
        return helper.make_model(graph, opset_imports=imports).SerializeToString()

    def check(self) -> list[str]:
        """Edits the graph, runs both; the operators of the edited one."""
        raw = self.model()
        edited = to_blocks(raw, self.block)
        assert edited is not None
        x = self.rng.uniform(-1, 1, (1, self.channels["x"], SIDE, SIDE))
        found, expected = (Interpreter(one, self.block).run(x) for one in (edited, raw))
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)
        return [node.op_type for node in onnx.ModelProto.FromString(edited).graph.node]


@pytest.mark.parametrize("block", [8, 16])
@pytest.mark.parametrize("channels", [16, 24, 32, 72, 6])
def test_a_light_nets_block_loses_all_reorders_inside(channels: int, block: int) -> None:
    net = Writer(block, 3)
    net.outputs = [net.conv(net.sparse(net.conv("x", channels)), 10)]
    assert net.check() == ["ReorderInput", "Conv", "BlockedSparseExpand", "Conv", "ReorderOutput"]


def test_the_shapes_of_new_results_are_stated() -> None:
    net = Writer(16, 3)
    maps = net.sparse(net.conv("x", 24))
    net.outputs = [net.same("Softmax", maps), net.conv(maps, 4)]
    edited = onnx.ModelProto.FromString(to_blocks(net.model(), 16) or b"")
    shapes = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in edited.graph.value_info}
    assert shapes == {maps: [1, 24, SIDE, SIDE], f"{maps}/blocked": [1, 32, SIDE, SIDE]}


def test_a_gate() -> None:
    net = Writer(16, 3)
    maps = net.same("Relu", net.sparse(net.conv("x", 24)))
    gate = net.same("HardSigmoid", net.conv(net.same("Relu", net.conv(net.mean(maps), 6)), 24))
    net.outputs = [net.conv(net.same("Mul", maps, gate), 5)]
    operators = net.check()
    assert operators.count("ReorderInput") == operators.count("ReorderOutput") == 1
    assert "BlockedGate" in operators
    assert "ReduceMean" not in operators
    net.outputs = [net.conv(net.same("Mul", gate, maps), 5)]  # the other way round
    assert "BlockedGate" in net.check()


@pytest.mark.parametrize("known", [True, False])
def test_residual_sums_of_dense_layers(known: bool) -> None:
    net = Writer(16, 3)
    start = net.same("Relu", net.dense(net.conv("x", 12)))
    both = net.same("Relu", net.same("Add", net.dense(net.conv(start, 20, 2)), net.dense(net.conv(start, 20, 2))))
    net.outputs = [net.conv(both, 10)]
    if not known:
        net.known = []
    operators = net.check()
    # Sides follow from the convolutions where the graph does not state them, but not through operators of ours.
    assert operators.count("ReorderOutput") == (1 if known else 3)


def test_maps_that_others_need_are_made_plain_once() -> None:
    net = Writer(8, 3)
    maps = net.sparse(net.conv("x", 16))
    net.outputs = [net.same("Softmax", maps), net.same("Softmax", maps), net.conv(maps, 4), maps]
    operators = net.check()
    assert operators.count("ReorderOutput") == 2  # maps, and the convolution's
    assert operators.count("ReorderInput") == 1


def test_sums_in_a_convolution() -> None:
    net = Writer(8, 3)
    start = net.conv("x", 12)
    net.outputs = [net.conv(net.sparse(net.conv(start, 16)), 12, plus=start)]
    operators = net.check()
    assert operators.count("ReorderOutput") == 1


def test_layers_that_cannot_be_changed_stay() -> None:
    net = Writer(16, 6)
    first = net.sparse("x")  # plain maps come in
    wide = net.conv(first, 12)
    three = net.node("SparseExpand", [wide, net.constant(4, 3, 1, 1), "", net.constant(4), net.constant(4)], GROUPNL)
    net.channels[three], net.sides[three] = 8, SIDE
    net.outputs = [net.conv(net.sparse(net.conv(three, 8)), 4)]
    operators = net.check()
    assert operators.count("SparseExpand") == 2
    assert operators.count("BlockedSparseExpand") == 1


def test_means_over_other_axes_stay() -> None:
    for axes, keep in (([2], 1), ([2, 3], 0), ([1, 2], 1)):
        net = Writer(16, 3)
        maps = net.sparse(net.conv("x", 16))
        net.constants["other"] = np.array(axes)
        net.outputs = [net.node("ReduceMean", [maps, "other"], keepdims=keep)]
        net.channels[net.outputs[0]], net.sides[net.outputs[0]] = 16, SIDE
        assert "ReduceMean" in net.check()


def test_nothing_to_change() -> None:
    net = Writer(16, 3)
    net.outputs = [net.conv("x", 4)]
    assert to_blocks(net.model(), 16) is None
    net = Writer(16, 4)
    net.outputs = [net.sparse("x")]
    assert to_blocks(net.model(), 16) is None


def test_graphs_within_graphs_are_left_alone() -> None:
    net = Writer(16, 3)
    net.outputs = [net.conv(net.sparse(net.conv("x", 8)), 4)]
    inner = helper.make_graph([], "inner", [], [])
    net.nodes.append(helper.make_node("If", ["c"], ["unused"], then_branch=inner, else_branch=inner))
    assert to_blocks(net.model(), 16) is None


def test_refusals() -> None:
    with pytest.raises(ValueError, match="block=4: expected 8 or 16 channels"):
        to_blocks(b"", 4)
    with pytest.raises(ValueError, match="ends early"):
        to_blocks(b"\x3a\x7f", 16)


STEPS = ["conv", "stride", "sparse", "dense", "relu", "gate", "add", "mul", "softmax", "mean", "output", "plus"]


@settings(deadline=None, max_examples=60)
@given(
    block=st.sampled_from([8, 16]),
    steps=st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 99), st.integers(0, 99)), max_size=14),
    channels=st.integers(1, 40),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_net(block: int, steps: list[tuple[str, int, int]], channels: int, seed: int) -> None:
    net = Writer(block, 3, seed)
    made = [net.sparse(net.conv("x", channels))]
    for step, which, other in steps:
        one = made[which % len(made)]
        partners = [m for m in made if (net.channels[m], net.sides[m]) == (net.channels[one], net.sides[one])]
        two = partners[other % len(partners)]
        if step in ("conv", "stride"):
            made.append(net.conv(one, 1 + other % 40, 2 if step == "stride" else 1))
        elif step == "plus":
            made.append(net.conv(one, net.channels[two], plus=two))
        elif step == "sparse":
            made.append(net.sparse(one))
        elif step == "dense" and net.channels[one] < 60:
            made.append(net.dense(one))
        elif step in ("relu", "softmax"):
            made.append(net.same(step.capitalize(), one))
        elif step == "gate":
            made.append(net.same("Mul", one, net.same("HardSigmoid", net.conv(net.mean(one), net.channels[one]))))
        elif step in ("add", "mul"):
            made.append(net.same(step.capitalize(), one, two))
        elif step == "mean":
            made.append(net.mean(one))
        elif step == "output":
            net.outputs.append(one)
    net.outputs = sorted({*net.outputs, made[-1]})
    net.check()
