"""Whole nets in blocks of channels as a device loads them: edited, compared, kept, loaded again."""

from pathlib import Path
from typing import Any

import graphs
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

blocked_session = pytest.importorskip("groupnl_device.blocked_session", reason="groupnl-device is not installed")
model_cache = pytest.importorskip("groupnl_device.model_cache")
blocked_layout = pytest.importorskip("groupnl_device.blocked_layout")


def options(threads: int = 1) -> Any:
    made = onnxruntime.SessionOptions()
    made.intra_op_num_threads, made.inter_op_num_threads = threads, 1
    made.log_severity_level = 4
    made.register_custom_ops_library(str(graphs.library()))
    return made


class Net:
    """Writes nets of GroupNL layers as an exporter does; weights are kept outside of the graph."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.nodes: list[Any] = []
        self.tensors: dict[str, Any] = {}
        self.shapes: list[Any] = []

    def constant(self, *shape: int) -> str:
        name = f"c{len(self.tensors)}"
        self.tensors[name] = (self.rng.standard_normal(shape) / max(1, np.prod(shape[1:])) ** 0.5).astype(np.float32)
        return name

    def node(self, op: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [name], domain=domain, **attributes))
        return name

    def conv(self, x: str, out: int, channels: int, kernel: int = 1, activation: str = "") -> str:
        weight, bias = self.constant(out, channels, kernel, kernel), self.constant(out)
        made = self.node("Conv", x, weight, bias, pads=[kernel // 2] * 4)
        return self.node(activation, made) if activation else made

    def layer(
        self, x: str, channels: int, side: int, *, sparse: bool, activation: str = "relu", stride: int = 1
    ) -> str:
        """A layer of as many channels as it reads, or of twice as many."""
        seeds = channels // 2 if sparse else channels
        period, shift = f"p{len(self.tensors)}", f"s{len(self.tensors)}"
        self.tensors[period] = self.rng.uniform(1, 2, (seeds, 1, 1)).astype(np.float32)
        self.tensors[shift] = self.rng.uniform(1, 5, (seeds, 1, 1)).astype(np.float32)
        tail = [period, shift, "", self.constant(2 * seeds), self.constant(2 * seeds)]
        if sparse:
            window = {"pads": [1] * 4, "strides": [stride] * 2}
            leading = [x, self.constant(seeds, 2, 3, 3), ""]
            made = self.node("SparseExpand", *leading, *tail, domain="groupnl", activation=activation, **window)
        else:
            made = self.node("Expand", x, *tail, domain="groupnl", activation=activation)
        shape = ["batch", 2 * seeds, side // stride, side // stride]
        self.shapes.append(helper.make_tensor_value_info(made, TensorProto.FLOAT, shape))
        return made

    def gate(self, x: str, channels: int) -> str:
        mean = self.node("ReduceMean", x, "axes", keepdims=1)
        inner = self.conv(mean, 16, channels, activation="Relu")
        return self.node("Mul", x, self.conv(inner, channels, 16, activation="HardSigmoid"))

    def graph(self, out: str, side: int) -> bytes:
        self.nodes.append(helper.make_node("ReduceMean", [out, "axes"], ["logits"], keepdims=0))
        external = []
        for name, array in self.tensors.items():
            tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=array.shape)
            tensor.data_location = TensorProto.EXTERNAL
            tensor.external_data.add(key="location", value="weights")
            external.append(tensor)
        ends = [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, side, side]),
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 10]),
        ]
        axes = numpy_helper.from_array(np.array([2, 3]), "axes")
        graph = helper.make_graph(self.nodes, "net", ends[:1], ends[1:], [*external, axes], value_info=self.shapes)
        return bytes(helper.make_model(graph, opset_imports=graphs.OPSETS, ir_version=10).SerializeToString())


def light_net(channels: int, side: int, activation: str) -> tuple[bytes, dict[str, Any]]:
    """Inverted residual blocks, one of them with a gate."""
    net = Net(channels)
    start = net.conv("x", 16, 3, 3, "Relu")
    wide = net.conv(start, channels, 16, activation="Relu")
    narrow = net.conv(net.layer(wide, channels, side, sparse=True, activation=activation), 16, channels)
    both = net.node("Add", narrow, start)
    gated = net.layer(net.conv(both, channels, 16), channels, side, sparse=True, activation=activation, stride=2)
    return net.graph(net.conv(net.gate(gated, channels), 10, channels), side), net.tensors


def residual_net(channels: int, side: int) -> tuple[bytes, dict[str, Any]]:
    """A basic block of dense layers, and what changes its width."""
    net = Net(channels)
    start = net.layer(net.conv("x", channels, 3, 3), channels, side, sparse=False)
    first = net.layer(net.conv(start, channels, 2 * channels, 3), channels, side, sparse=False)
    second = net.layer(net.conv(first, channels, 2 * channels, 3), channels, side, sparse=False, activation="none")
    return net.graph(net.conv(net.node("Relu", net.node("Add", second, start)), 10, 2 * channels), side), net.tensors


NETS = {
    f"light {c} {a}": (light_net, c, 14, a) for c, a in ((32, "relu6"), (72, "hardswish"), (24, "none"), (40, "relu"))
}
NETS |= {f"residual {c}": (residual_net, c, 9) for c in (16, 20)}


@pytest.fixture
def block() -> int:
    graphs.library()  # skips where there is none
    try:
        return blocked_session.block_of_this_runtime()
    except Exception as error:
        pytest.skip(f"this ONNX Runtime has no blocked layout: {error}")


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("threads", [1, 3])
def test_nets(name: str, threads: int, tmp_path: Path, block: int) -> None:
    make, *arguments = NETS[name]
    graph, tensors = make(*arguments)
    cache = model_cache.ModelCache(tmp_path)
    sessions = [
        blocked_session.open_session(graph, tensors, lambda: options(threads), versions="these", cache=cache)
        for _ in range(2)
    ]
    assert [opened.blocked for opened in sessions] == [True, True]
    plain = blocked_session.plain_session(graph, tensors, options(threads))
    for batch in (1, 2):
        x = np.random.default_rng(batch).standard_normal((batch, 3, arguments[1], arguments[1])).astype(np.float32)
        expected = plain.session.run(None, {"x": x})[0]
        for opened in sessions:
            found = opened.session.run(None, {"x": x})[0]
            assert np.abs(found - expected).max() <= 2e-5 * np.abs(expected).max()


def test_all_reorders_around_the_layers_are_gone(block: int) -> None:
    graph, tensors = light_net(72, 14, "relu6")
    _, saved = blocked_session._saved(graph, tensors, options)
    operators = [node.op_type for node in onnx.load_from_string(saved).graph.node]
    assert operators.count("ReorderInput") + operators.count("ReorderOutput") == 7
    edited = [node.op_type for node in onnx.load_from_string(blocked_layout.to_blocks(saved, block)).graph.node]
    assert edited.count("BlockedSparseExpand") == 2
    assert edited.count("BlockedGate") == 1
    assert edited.count("ReorderInput") + edited.count("ReorderOutput") <= 1


def test_a_library_without_these_operators_keeps_the_plain_layout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    edit = blocked_session.to_blocks
    monkeypatch.setattr(
        blocked_session, "to_blocks", lambda model, size: edit(model, size).replace(b"BlockedSparse", b"UnknownSparse")
    )
    graph, tensors = light_net(32, 14, "relu6")
    cache = model_cache.ModelCache(tmp_path)
    for _ in range(2):
        opened = blocked_session.open_session(graph, tensors, options, versions="these", cache=cache)
        assert not opened.blocked
        assert np.isfinite(opened.session.run(None, {"x": np.ones((1, 3, 14, 14), np.float32)})[0]).all()
