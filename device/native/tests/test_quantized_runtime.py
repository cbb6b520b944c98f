"""The int8 operators in an int8 net: ONNX Runtime's own nodes agree, and no Transpose is left around them."""

from collections import Counter
from pathlib import Path
from typing import Any

import graphs
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import NodeProto, TensorProto, helper, numpy_helper

CHANNELS, SEEDS, SIDE = 48, 24, 20
TAIL = ("period", "shift", "source", "scale", "offset")


def constants_of(kind: str) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    inputs = 2 if kind == "sparse" else CHANNELS
    generated = CHANNELS - SEEDS
    return {
        "x_scale": np.float32(0.03),
        "x_zero": np.uint8(120),
        "w0": rng.integers(-127, 128, (CHANNELS, 3, 3, 3), dtype=np.int8),
        "w0_scale": np.full(CHANNELS, 0.003, np.float32),
        "w0_zero": np.zeros(CHANNELS, np.int8),
        "h_scale": np.float32(0.02),
        "h_zero": np.uint8(131),
        "w1": rng.integers(-127, 128, (SEEDS, inputs, 3, 3), dtype=np.int8),
        "w1_scale": np.full(SEEDS, 0.004, np.float32),
        "w1_zero": np.zeros(SEEDS, np.int8),
        "b1": rng.standard_normal(SEEDS).astype(np.float32),
        "y_scale": np.float32(0.05),
        "y_zero": np.uint8(128),
        "period": rng.uniform(1, 2, (generated, 1, 1)).astype(np.float32),
        "shift": rng.uniform(1, 5, (generated, 1, 1)).astype(np.float32),
        "source": np.arange(generated),
        "scale": rng.uniform(0.5, 2, (CHANNELS, 1, 1)).astype(np.float32),
        "offset": rng.standard_normal((CHANNELS, 1, 1)).astype(np.float32),
        "a_scale": np.float32(0.02),
        "a_zero": np.uint8(0),
        "w2": rng.integers(-127, 128, (8, CHANNELS, 1, 1), dtype=np.int8),
        "w2_scale": np.full(8, 0.002, np.float32),
        "w2_zero": np.zeros(8, np.int8),
        "o_scale": np.float32(0.05),
        "o_zero": np.uint8(128),
        "eps": np.float32(1e-12),
        "axes": np.array([1]),
        "zero": np.float32(0),
    }


def node(op: str, inputs: str, output: str, **attributes: Any) -> NodeProto:
    return helper.make_node(op, inputs.split(), [output], **attributes)


def quantized_conv(x: str, weight: str, out: str, **attributes: Any) -> list[NodeProto]:
    """DequantizeLinear, Conv, QuantizeLinear: of x named ``x_q``, ``x_scale``, ``x_zero``, to ``out`` likewise."""
    return [
        node("DequantizeLinear", f"{x}_q {x}_scale {x}_zero", f"{weight}_x"),
        node("DequantizeLinear", f"{weight} {weight}_scale {weight}_zero", f"{weight}_real", axis=0),
        node("Conv", f"{weight}_x {weight}_real", f"{weight}_out", **attributes),
        node("QuantizeLinear", f"{weight}_out {out}_scale {out}_zero", f"{out}_q"),
    ]


def layer_of(kind: str, native: bool) -> list[NodeProto]:
    """From ``h_q`` to ``a_q``."""
    tail = "period shift source scale offset"
    if native:
        around = [
            node("Transpose", "h_q", "h_last", perm=[0, 2, 3, 1]),
            node("Transpose", "a_last", "a_q", perm=[0, 3, 1, 2]),
        ]
        settings: dict[str, Any] = {"activation": "relu", "domain": "groupnl"}
        if kind == "sparse":
            inputs = f"h_last h_scale h_zero w1 w1_scale b1 a_scale a_zero {tail}"
            op = node("QuantizedSparseExpand", inputs, "a_last", pads=[1, 1, 1, 1], **settings)
            return [around[0], op, around[1]]
        around[0] = node("Transpose", "y_q", "y_last", perm=[0, 2, 3, 1])
        op = node("QuantizedExpand", f"y_last y_scale y_zero a_scale a_zero {tail}", "a_last", **settings)
        return [*quantized_conv("h", "w1", "y", pads=[1, 1, 1, 1]), around[0], op, around[1]]
    if kind == "sparse":
        start = [
            node("DequantizeLinear", "h_q h_scale h_zero", "h"),
            node("DequantizeLinear", "w1 w1_scale w1_zero", "w1_real", axis=0),
            node("Conv", "h w1_real b1", "y", group=SEEDS, pads=[1, 1, 1, 1]),
        ]
    else:
        start = [
            *quantized_conv("h", "w1", "y", pads=[1, 1, 1, 1]),
            node("DequantizeLinear", "y_q y_scale y_zero", "y"),
        ]
    return [
        *start,
        node("ReduceL2", "y axes", "norm", keepdims=1),
        node("Max", "norm eps", "safe"),
        node("Div", "y safe", "unit"),
        node("Sub", "unit shift", "difference"),
        node("Mul", "difference period", "argument"),
        node("Sin", "argument", "sine"),
        node("Concat", "unit sine", "both", axis=1),
        node("Mul", "both scale", "scaled"),
        node("Add", "scaled offset", "sum"),
        node("Relu", "sum", "a"),
        node("QuantizeLinear", "a a_scale a_zero", "a_q"),
    ]


def net_of(kind: str, *, native: bool, show: str) -> onnx.ModelProto:
    """A convolution, the layer, a 1x1 convolution; ``show``: the output."""
    nodes = [
        node("QuantizeLinear", "x x_scale x_zero", "x_q"),
        *quantized_conv("x", "w0", "h", pads=[1, 1, 1, 1]),
        *layer_of(kind, native),
        *quantized_conv("a", "w2", "o"),
        node("DequantizeLinear", "o_q o_scale o_zero", "out"),
    ]
    used = {name for one in nodes for name in one.input}
    held = [numpy_helper.from_array(np.asarray(v), name) for name, v in constants_of(kind).items() if name in used]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, SIDE, SIDE])
    out = helper.make_tensor_value_info(show, TensorProto.FLOAT if show == "out" else TensorProto.UINT8, None)
    graph = helper.make_graph(nodes, "net", [x], [out], held)
    if native:
        shape = [1, SIDE, SIDE, CHANNELS]
        graph.value_info.append(helper.make_tensor_value_info("a_last", TensorProto.UINT8, shape))
    return helper.make_model(graph, opset_imports=graphs.OPSETS, ir_version=10)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("kind", ["sparse", "dense"])
def test_layers_agree_with_the_runtimes_own_nodes(kind: str, threads: int) -> None:
    """Float32 nodes round values in the middle of two steps their own way: rarely, and by one step."""
    x = np.random.default_rng(1).standard_normal((1, 3, SIDE, SIDE)).astype(np.float32)
    found, expected = (
        graphs.session(net_of(kind, native=native, show="a_q").SerializeToString(), threads=threads, native=native)
        .run(None, {"x": x})[0]
        .astype(int)
        for native in (True, False)
    )
    assert len(np.unique(expected)) > 100
    assert np.abs(found - expected).max() <= 1
    assert (found != expected).mean() < 0.001


@pytest.mark.parametrize("kind", ["sparse", "dense"])
def test_no_transpose_is_left_inside_the_net(kind: str, tmp_path: Path) -> None:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.register_custom_ops_library(str(graphs.library()))
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    model = net_of(kind, native=True, show="out").SerializeToString()
    onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    nodes = onnx.load(tmp_path / "optimised.onnx").graph.node
    convolutions = [one for one in nodes if one.op_type == "QLinearConv"]
    assert len(convolutions) == (2 if kind == "sparse" else 3)
    if any(one.domain == "" for one in convolutions):
        pytest.skip("here the runtime computes int8 convolutions in the plain layout")
    assert Counter(one.op_type for one in nodes)["Transpose"] == 2  # at the net's ends
