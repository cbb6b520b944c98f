"""Each layer of the paper's nets by itself in int8 in ONNX Runtime: its own nodes, and the native operator.

    python device/native/bench/quantized_layers.py --json results/native-quantized-layers.json
    python device/native/bench/quantized_layers.py --quick --json -     # two layers, fewer rounds

The layers are those of ``layers.py``, quantised as ONNX Runtime likes it: uint8 activations, int8 weights with a scale
for each channel, a ``QuantizeLinear`` and a ``DequantizeLinear`` around each node. Forms: ``plain``, the seed
convolution in int8, norm, sines, batch norm and ReLU6 in float32; ``native``, one ``groupnl.QuantizedSparseExpand``,
or a convolution and ``groupnl.QuantizedExpand``; ``replaced``, what the layer replaces, a depthwise or a dense
convolution in int8; and ``ends``, the 1x1 convolutions before and behind each layer alone. Batch 1.

Times are medians over rounds in which every form runs in turn, each after one run that is not timed. Before that,
``native`` must agree with ``plain``.
"""

import argparse
import json
import sys
from typing import Any

import numpy as np
import onnx
from layers import AROUND, CASES, OPSETS, QUICK, QUICK_ROUNDS, ROUNDS, Case, header, medians_ms, session, table
from onnx import NodeProto, TensorProto, helper, numpy_helper

from groupnl_device.atomic import write_atomically

FORMS = ("plain", "native", "replaced", "ends")
TOLERANCE = 0.02  # between native and plain, relative to the largest value: some steps of int8, in a sum over channels
TAIL = ["period", "shift", "", "scale", "offset"]


class Net:
    """The nodes of a net in one form, and what they read."""

    def __init__(self, case: Case) -> None:
        """Start empty."""
        self.rng = np.random.default_rng(0)  # the same weights in every form
        self.case = case
        self.nodes: list[NodeProto] = []
        self.held: dict[str, Any] = {}

    def node(self, op: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """Add a node."""
        self.nodes.append(helper.make_node(op, inputs, [output], **attributes))
        return output

    def scale(self, name: str, scale: float, zero_point: int = 128) -> list[str]:
        """Scale and zero point of a uint8 tensor of this name."""
        self.held |= {f"{name}_scale": np.float32(scale), f"{name}_zero": np.uint8(zero_point)}
        return [f"{name}_scale", f"{name}_zero"]

    def real(self, name: str) -> str:
        """A uint8 tensor as real numbers."""
        return self.node("DequantizeLinear", [f"{name}_q", f"{name}_scale", f"{name}_zero"], f"{name}_real")

    def quantized(self, name: str, value: str) -> str:
        """Real numbers as the uint8 tensor of this name."""
        return self.node("QuantizeLinear", [value, f"{name}_scale", f"{name}_zero"], f"{name}_q")

    def weight(self, name: str, shape: tuple[int, ...]) -> str:
        """An int8 weight for outputs about as large as the inputs."""
        values = self.rng.integers(-127, 128, shape, dtype=np.int8)
        deviation = 73.0 * float(np.prod(shape[1:])) ** 0.5
        scales = np.full(shape[0], 1.0 / deviation, np.float32)
        self.held |= {f"{name}_q": values, f"{name}_scale": scales, f"{name}_zero": np.zeros(shape[0], np.int8)}
        return name

    def conv(self, x: str, weight: str, out: str, **attributes: Any) -> None:
        """A convolution from one uint8 tensor to another."""
        real_weight = self.node(
            "DequantizeLinear", [f"{weight}_q", f"{weight}_scale", f"{weight}_zero"], f"{weight}_real", axis=0
        )
        self.quantized(out, self.node("Conv", [self.real(x), real_weight], f"{out}_sum", **attributes))


def net_of(case: Case, form: str) -> onnx.ModelProto:
    """The layer in one form between two 1x1 convolutions."""
    net = Net(case)
    C, S, k = case.channels, case.seeds, case.kernel
    inputs = 2 if case.kind == "sparse" else C
    for name, scale, zero in (
        ("x", 0.03, 128),
        ("h", 0.03, 128),
        ("y", 0.03, 128),
        ("a", 6 / 255, 0),
        ("o", 0.03, 128),
    ):
        net.scale(name, scale, zero)
    net.weight("w_in", (C, AROUND, 1, 1))
    net.weight("w", (S, inputs, k, k))
    net.weight("w_out", (AROUND, C, 1, 1))
    net.weight("w_all", (C, C if case.kind == "dense" else 1, k, k))
    net.held |= {
        "period": net.rng.uniform(1, 2, (S, 1, 1)).astype(np.float32),
        "shift": net.rng.uniform(1, 5, (S, 1, 1)).astype(np.float32),
        "scale": net.rng.uniform(1, 2, (C, 1, 1)).astype(np.float32),
        "offset": net.rng.standard_normal((C, 1, 1)).astype(np.float32),
        "axes": np.array([1]),
        "eps": np.float32(1e-12),
        "zero": np.float32(0),
        "six": np.float32(6),
    }
    net.quantized("x", "x")
    net.conv("x", "w_in", "h")
    window: dict[str, Any] = {"pads": [k // 2] * 4, "strides": [case.stride] * 2}
    if form == "plain":
        _plain(net, window)
    elif form == "native":
        _native(net, window)
    elif form == "replaced":
        net.conv("h", "w_all", "a", group=C if case.kind == "sparse" else 1, **window)
    else:
        net.quantized("a", net.real("h"))
    net.conv("a", "w_out", "o")
    net.real("o")
    used = {name for node in net.nodes for name in node.input}
    initializers = [numpy_helper.from_array(np.asarray(v), name) for name, v in net.held.items() if name in used]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, AROUND, case.side, case.side])
    out = helper.make_tensor_value_info("o_real", TensorProto.FLOAT, None)
    graph = helper.make_graph(net.nodes, "layer", [x], [out], initializers)
    side = (case.side + 2 * (k // 2) - k) // case.stride + 1
    if form == "native":
        graph.value_info.append(helper.make_tensor_value_info("a_last", TensorProto.UINT8, [1, side, side, C]))
    return helper.make_model(graph, opset_imports=OPSETS, ir_version=10)


def _native(net: Net, window: dict[str, Any]) -> None:
    settings = {"domain": "groupnl", "normalize": "l2", "activation": "relu6"}
    if net.case.kind == "sparse":
        x = net.node("Transpose", ["h_q"], "h_last", perm=[0, 2, 3, 1])
        inputs = [x, "h_scale", "h_zero", "w_q", "w_scale", "", "a_scale", "a_zero", *TAIL]
        net.node("QuantizedSparseExpand", inputs, "a_last", **window, **settings)
    else:
        net.conv("h", "w", "y", **window)
        y = net.node("Transpose", ["y_q"], "y_last", perm=[0, 2, 3, 1])
        net.node("QuantizedExpand", [y, "y_scale", "y_zero", "a_scale", "a_zero", *TAIL], "a_last", **settings)
    net.node("Transpose", ["a_last"], "a_q", perm=[0, 3, 1, 2])


def _plain(net: Net, window: dict[str, Any]) -> None:
    net.conv("h", "w", "y", group=net.case.seeds if net.case.kind == "sparse" else 1, **window)
    y = net.real("y")
    norm = net.node("Max", [net.node("ReduceL2", [y, "axes"], "norm", keepdims=1), "eps"], "safe")
    unit = net.node("Div", [y, norm], "unit")
    argument = net.node("Mul", [net.node("Sub", [unit, "shift"], "difference"), "period"], "argument")
    both = net.node("Concat", [unit, net.node("Sin", [argument], "sine")], "both", axis=1)
    total = net.node("Add", [net.node("Mul", [both, "scale"], "scaled"), "offset"], "total")
    net.quantized("a", net.node("Clip", [total, "zero", "six"], "a"))


def measure(case: Case, threads: int, rounds: int) -> list[dict[str, Any]]:
    """One row a form.

    Raises:
        SystemExit: ``native`` gives other values than ``plain``.
    """
    sessions = {form: session(net_of(case, form), threads) for form in FORMS}
    feed = {"x": np.random.default_rng(1).standard_normal((1, AROUND, case.side, case.side)).astype(np.float32)}
    plain, native = (sessions[form].run(None, feed)[0] for form in ("plain", "native"))
    error = float(np.abs(native - plain).max() / np.abs(plain).max())
    if not error <= TOLERANCE:
        raise SystemExit(f"{case}: native differs from plain by {error:.1e}, allowed is {TOLERANCE:.0e}")
    medians = medians_ms(sessions, feed, rounds)
    return [
        {
            **vars(case),
            "form": form,
            "threads": threads,
            "median_ms": round(medians[form], 4),
            "ratio_to_replaced": round(medians[form] / medians["replaced"], 3),
            **({"error": error} if form == "native" else {}),
        }
        for form in FORMS
    ]


def main() -> None:
    """Measure and give the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two layers, few rounds")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], metavar="N", help="of the runtime")
    parser.add_argument("--json", metavar="FILE", help="for the figures; - is standard output, then nothing else")
    arguments = parser.parse_args()
    rows = []
    for case in QUICK if arguments.quick else CASES:
        for threads in arguments.threads:
            rows += measure(case, threads, QUICK_ROUNDS if arguments.quick else ROUNDS)
            print(f"{case} {threads} threads", file=sys.stderr)
    facts = header(arguments.quick, "quantized_layers")
    text = json.dumps(facts | {"rows": rows}, indent=1, allow_nan=False)
    if arguments.json == "-":
        print(text)
        return
    print(table(rows))
    if arguments.json is not None:
        write_atomically(arguments.json, lambda file: file.write(text.encode() + b"\n"))


if __name__ == "__main__":
    main()
