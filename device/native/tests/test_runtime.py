"""The operators among ONNX Runtime's own: its plain nodes agree, its threads serve, every instruction set passes."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import graphs
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import NodeProto, TensorProto, helper, numpy_helper

HERE = Path(__file__).parent
EPS = np.float32(1e-12)


def random_net(seed: int, *, native: bool, **sizes: int) -> bytes:
    """A convolution, a sparse and a dense GroupNL layer, a 1x1 convolution; the layers native or as plain nodes."""
    rng = np.random.default_rng(seed)
    channels, kernel, stride = sizes["channels"], sizes["kernel"], sizes["stride"]
    seeds, pads, half = channels // 2, [kernel // 2] * 4, channels // 2
    constants: dict[str, Any] = {
        "w0": 0.3 * rng.standard_normal((channels, 3, 3, 3)),
        "w1": 0.3 * rng.standard_normal((seeds, 2, kernel, kernel)),
        "b1": rng.standard_normal(seeds),
        "w2": 0.1 * rng.standard_normal((half, channels, 1, 1)),
        "w3": 0.1 * rng.standard_normal((5, channels, 1, 1)),
    }
    for layer in ("1", "2"):
        constants |= {
            f"period{layer}": rng.uniform(1, 2, (half, 1, 1)),
            f"shift{layer}": rng.uniform(1, 5, (half, 1, 1)),
            f"scale{layer}": rng.uniform(0.5, 2, (channels, 1, 1)),
            f"offset{layer}": rng.standard_normal((channels, 1, 1)),
        }
    constants = {name: array.astype(np.float32) for name, array in constants.items()}
    nodes = [helper.make_node("Conv", ["x", "w0"], ["h"], pads=[1, 1, 1, 1])]
    window: dict[str, Any] = {"strides": [stride, stride], "pads": pads}
    tail: dict[str, Any] = {"normalize": "l2", "domain": "groupnl"}
    if native:
        ends = [["period", "shift", "", "scale", "offset"]] * 2
        one, two = ([end and end + layer for end in names] for layer, names in zip("12", ends, strict=True))
        nodes += [
            helper.make_node("SparseExpand", ["h", "w1", "b1", *one], ["a1"], activation="relu6", **window, **tail),
            helper.make_node("Conv", ["a1", "w2"], ["y2"]),
            helper.make_node("Expand", ["y2", *two], ["a2"], activation="hardswish", **tail),
        ]
    else:
        constants |= {"zero": np.float32(0), "six": np.float32(6), "eps": EPS, "axes": np.array([1])}
        nodes += [helper.make_node("Conv", ["h", "w1", "b1"], ["y1"], group=seeds, **window)]
        nodes += [*plain_tail("1"), helper.make_node("Clip", ["t1", "zero", "six"], ["a1"])]
        nodes += [helper.make_node("Conv", ["a1", "w2"], ["y2"])]
        nodes += [*plain_tail("2"), helper.make_node("HardSwish", ["t2"], ["a2"])]
    nodes.append(helper.make_node("Conv", ["a2", "w3"], ["out"]))
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 3, None, None])]
    outputs = [helper.make_tensor_value_info("out", TensorProto.FLOAT, [None, 5, None, None])]
    initializers = [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "net", inputs, outputs, initializers)
    return bytes(helper.make_model(graph, opset_imports=graphs.OPSETS, ir_version=10).SerializeToString())


def plain_tail(layer: str) -> list[NodeProto]:
    """``t = scale * [y, sin(period (y - shift))] + offset`` as an exporter writes it."""

    def node(op: str, inputs: str, output: str, **attributes: Any) -> NodeProto:
        names = [name if name in ("axes", "eps") else name + layer for name in inputs.split()]
        return helper.make_node(op, names, [output + layer], **attributes)

    return [
        node("ReduceL2", "y axes", "norm", keepdims=1),
        helper.make_node("Max", ["norm" + layer, "eps"], ["safe" + layer]),
        node("Div", "y safe", "unit"),
        node("Sub", "unit shift", "difference"),
        node("Mul", "difference period", "argument"),
        node("Sin", "argument", "sine"),
        node("Concat", "unit sine", "both", axis=1),
        node("Mul", "both scale", "scaled"),
        node("Add", "scaled offset", "t"),
    ]


@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (5, 1), (5, 2)])
@pytest.mark.parametrize("seed", range(4))
def test_nets_agree_with_the_runtimes_own_nodes(kernel: int, stride: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    sizes = {"channels": 2 * int(rng.integers(2, 40)), "kernel": kernel, "stride": stride}
    native = graphs.session(random_net(seed, native=True, **sizes), threads=2)
    plain = graphs.session(random_net(seed, native=False, **sizes), native=False)
    for batch, height, width in ((1, 24, 31), (2, 7, 9)):
        x = rng.standard_normal((batch, 3, height, width)).astype(np.float32)
        found, expected = (net.run(None, {"x": x})[0] for net in (native, plain))
        assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


def test_any_number_of_threads_gives_the_same_bits() -> None:
    model = random_net(0, native=True, channels=64, kernel=3, stride=1)
    x = np.random.default_rng(0).standard_normal((2, 3, 65, 67)).astype(np.float32)
    first, *others = (graphs.session(model, threads=threads).run(None, {"x": x})[0] for threads in (1, 2, 3, 16))
    for other in others:
        np.testing.assert_array_equal(other, first)


def test_one_session_serves_many_callers_at_once() -> None:
    net = graphs.session(random_net(0, native=True, channels=16, kernel=3, stride=1), threads=3)
    rng = np.random.default_rng(0)
    pictures = [rng.standard_normal((1, 3, 8 + i, 40 - i)).astype(np.float32) for i in range(24)]
    alone = [net.run(None, {"x": x})[0] for x in pictures]
    with ThreadPoolExecutor(8) as callers:
        for _ in range(5):
            together = list(callers.map(lambda x: net.run(None, {"x": x})[0], pictures))
            for one, other in zip(alone, together, strict=True):
                np.testing.assert_array_equal(one, other)


def test_constants_may_be_joined_in_memory_as_a_device_does() -> None:
    plain = random_net(0, native=True, channels=8, kernel=3, stride=1)
    model = onnx.load_from_string(plain)
    tensors = {initializer.name: numpy_helper.to_array(initializer) for initializer in model.graph.initializer}
    for initializer in model.graph.initializer:
        initializer.ClearField("raw_data")
        initializer.data_location = TensorProto.EXTERNAL
        location = initializer.external_data.add()
        location.key, location.value = "location", "weights"
    options = onnxruntime.SessionOptions()
    options.register_custom_ops_library(str(graphs.library()))
    values = [onnxruntime.OrtValue.ortvalue_from_numpy(tensor) for tensor in tensors.values()]
    options.add_external_initializers(list(tensors), values)
    net = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    x = np.random.default_rng(0).standard_normal((1, 3, 9, 8)).astype(np.float32)
    expected = graphs.session(plain).run(None, {"x": x})[0]
    for _ in range(2):
        np.testing.assert_array_equal(net.run(None, {"x": x})[0], expected)


def test_sessions_come_and_go() -> None:
    model = random_net(0, native=True, channels=8, kernel=3, stride=1)
    x = np.ones((1, 3, 9, 9), np.float32)
    results = [graphs.session(model).run(None, {"x": x})[0] for _ in range(10)]
    np.testing.assert_array_equal(results[0], results[-1])


def test_a_runtime_without_the_library_names_the_operator_it_lacks() -> None:
    with pytest.raises(Exception, match="SparseExpand"):
        graphs.session(random_net(0, native=True, channels=8, kernel=3, stride=1), native=False)


@pytest.mark.parametrize("isa", ["baseline", "avx2", "avx512"])
def test_every_instruction_set_passes(isa: str) -> None:
    graphs.library()  # skips where there is none
    files = [str(file) for file in HERE.glob("test_*expand.py")]
    command = [sys.executable, "-m", "pytest", "-x", "-p", "no:cacheprovider", *files]
    done = subprocess.run(command, env=os.environ | {"GROUPNL_NATIVE_ISA": isa}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]
