"""Each layer of the paper's nets by itself in ONNX Runtime: its own nodes, and the native operator.

    python device/native/bench/layers.py --json results/native-layers.json
    python device/native/bench/layers.py --quick --json -     # two layers, fewer rounds

Forms of a sparse layer (seed convolution of two inputs a map, norm, sines, batch norm, ReLU6): ``plain``, the published
arithmetic with the batch norm folded; ``rewritten``, two depthwise convolutions and an addition, the norm as a matrix
product and a power; ``native``, one ``groupnl.SparseExpand``; and ``depthwise``, what the layer replaces. Of a dense
layer (S seed maps of a 3x3 convolution): ``plain``, ``rewritten``, ``native`` with ``groupnl.Expand``, and ``conv``,
the convolution to all C maps that the layer replaces. Float32, batch 1; a 1x1 convolution before and behind each layer,
so that changes of the memory's layout are paid where they are in a net; ``ends`` is those alone.

Times are medians over rounds in which every form runs in turn, each after one run that is not timed. Before that, each
form must agree with ``plain``.
"""

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import groupnl_device_native
import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from groupnl_device.atomic import write_atomically
from groupnl_device.hardware import hardware

ROUNDS, QUICK_ROUNDS = 200, 10
TOLERANCE = 1e-4  # between two forms, relative to the largest value
OPSETS = [helper.make_opsetid("", 18), helper.make_opsetid("groupnl", 1)]
AROUND = 32  # channels outside of the layer's two 1x1 convolutions

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Case:
    """A layer from C to C channels."""

    net: str
    kind: str  # sparse or dense
    channels: int
    side: int  # pixels of the input, which is square
    kernel: int
    stride: int

    @property
    def seeds(self) -> int:
        """Seed maps."""
        return self.channels // 2

    @property
    def forms(self) -> tuple[str, ...]:
        """All forms, first the one that the others must agree with."""
        return ("plain", "rewritten", "native", "depthwise" if self.kind == "sparse" else "conv", "ends")


CASES = (
    Case("mobilenetv2", "sparse", 32, 112, 3, 1),
    Case("mobilenetv2", "sparse", 144, 56, 3, 1),
    Case("mobilenetv2", "sparse", 144, 56, 3, 2),
    Case("mobilenetv2", "sparse", 384, 14, 3, 1),
    Case("mobilenetv2", "sparse", 960, 7, 3, 1),
    Case("mobilenetv3_large", "sparse", 120, 28, 5, 1),
    Case("mobilenetv3_large", "sparse", 672, 14, 5, 2),
    Case("resnet50", "sparse", 64, 56, 3, 1),
    Case("resnet50", "sparse", 512, 7, 3, 1),
    Case("resnet18@32", "dense", 64, 32, 3, 1),
    Case("resnet18", "dense", 64, 56, 3, 1),
    Case("resnet18", "dense", 128, 28, 3, 1),
    Case("resnet18", "dense", 256, 14, 3, 1),
    Case("resnet18", "dense", 512, 7, 3, 1),
)
QUICK = (CASES[3], CASES[10])


def net_of(case: Case, form: str) -> onnx.ModelProto:
    """The layer in one form between two 1x1 convolutions."""
    rng = np.random.default_rng(0)  # the same weights in every form
    C, S, k = case.channels, case.seeds, case.kernel
    inputs = 2 if case.kind == "sparse" else C
    weights: dict[str, Any] = {
        "w_in": rng.standard_normal((C, AROUND, 1, 1)) / 6,
        "w": rng.standard_normal((S, inputs, k, k)) / (k * inputs**0.5),
        "b": rng.standard_normal(S),
        "w_out": rng.standard_normal((AROUND, C, 1, 1)) / C**0.5,
        "period": rng.uniform(1, 2, (S, 1, 1)),
        "shift": rng.uniform(1, 5, (S, 1, 1)),
        "scale": rng.uniform(1, 2, (C, 1, 1)),
        "offset": rng.standard_normal((C, 1, 1)),
        "w_all": rng.standard_normal((C, C if case.kind == "dense" else 1, k, k)) / k,
    }
    window: dict[str, Any] = {"pads": [k // 2] * 4, "strides": [case.stride] * 2}
    nodes = [helper.make_node("Conv", ["x", "w_in"], ["h"])]
    if form == "native":
        nodes += _native(case, window)
    elif form in ("plain", "rewritten"):
        more, nodes_of_seeds = _seeds(case, form, weights["w"], window)
        tail_weights, tail = _tail(case, form)
        weights |= more | tail_weights
        nodes += nodes_of_seeds + tail
    elif form == "ends":
        nodes.append(helper.make_node("Identity", ["h"], ["a"]))
    else:
        group: dict[str, Any] = {"group": C} if form == "depthwise" else {}
        nodes.append(helper.make_node("Conv", ["h", "w_all"], ["c"], **window, **group))
        nodes.append(helper.make_node("Clip", ["c", "zero", "six"], ["a"]))
    weights |= {"zero": np.float32(0), "six": np.float32(6)}
    nodes.append(helper.make_node("Conv", ["a", "w_out"], ["out"]))
    used = {name for node in nodes for name in node.input}
    initializers = [
        numpy_helper.from_array(v if (v := np.asarray(array)).dtype == np.int64 else v.astype(np.float32), name)
        for name, array in weights.items()
        if name in used
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", AROUND, case.side, case.side])
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "layer", [x], [out], initializers)
    return helper.make_model(graph, opset_imports=OPSETS, ir_version=10)


def _native(case: Case, window: dict[str, Any]) -> list[NodeProto]:
    tail = ["period", "shift", "", "scale", "offset"]
    settings = {"domain": "groupnl", "normalize": "l2", "activation": "relu6"}
    if case.kind == "sparse":
        return [helper.make_node("SparseExpand", ["h", "w", "b", *tail], ["a"], **window, **settings)]
    return [
        helper.make_node("Conv", ["h", "w", "b"], ["y"], **window),
        helper.make_node("Expand", ["y", *tail], ["a"], **settings),
    ]


def _seeds(
    case: Case, form: str, weight: NDArray[np.float64], window: dict[str, Any]
) -> tuple[dict[str, Any], list[NodeProto]]:
    """The seed maps ``y``; rewritten: a permutation before, which a net folds into the layer in front."""
    if case.kind == "dense":
        return {}, [helper.make_node("Conv", ["h", "w", "b"], ["y"], **window)]
    if form == "plain":
        return {}, [helper.make_node("Conv", ["h", "w", "b"], ["y"], group=case.seeds, **window)]
    S = case.seeds
    weight_in = np.random.default_rng(0).standard_normal((case.channels, AROUND, 1, 1)) / 6  # as in net_of
    weights = {"w_even": weight_in[0::2], "w_odd": weight_in[1::2], "w0": weight[:, :1], "w1": weight[:, 1:]}
    nodes = [
        helper.make_node("Conv", ["x", "w_even"], ["even"]),
        helper.make_node("Conv", ["x", "w_odd"], ["odd"]),
        helper.make_node("Conv", ["even", "w0", "b"], ["y0"], group=S, **window),
        helper.make_node("Conv", ["odd", "w1"], ["y1"], group=S, **window),
        helper.make_node("Add", ["y0", "y1"], ["y"]),
    ]
    return weights, nodes


def _tail(case: Case, form: str) -> tuple[dict[str, Any], list[NodeProto]]:
    """Norm, sines, batch norm and activation, from ``y`` to ``a``."""
    end = [
        helper.make_node("Sub", ["unit", "shift"], ["difference"]),
        helper.make_node("Mul", ["difference", "period"], ["argument"]),
        helper.make_node("Sin", ["argument"], ["sine"]),
        helper.make_node("Concat", ["unit", "sine"], ["both"], axis=1),
        helper.make_node("Mul", ["both", "scale"], ["scaled"]),
        helper.make_node("Add", ["scaled", "offset"], ["t"]),
        helper.make_node("Clip", ["t", "zero", "six"], ["a"]),
    ]
    if form == "plain":
        norm = [
            helper.make_node("ReduceL2", ["y", "axes"], ["norm"], keepdims=1),
            helper.make_node("Clip", ["norm", "eps"], ["safe"]),
            helper.make_node("Div", ["y", "safe"], ["unit"]),
        ]
        return {"axes": np.array([1]), "eps": np.float32(1e-12)}, norm + end
    norm = [
        helper.make_node("Mul", ["y", "y"], ["square"]),
        helper.make_node("Conv", ["square", "ones"], ["sum"]),
        helper.make_node("Add", ["sum", "eps"], ["positive"]),
        helper.make_node("Pow", ["positive", "power"], ["inverse"]),
        helper.make_node("Mul", ["y", "inverse"], ["unit"]),
    ]
    ones = np.ones((1, case.seeds, 1, 1))
    return {"ones": ones, "eps": np.float32(1e-24), "power": np.float32(-0.5)}, norm + end


def session(model: onnx.ModelProto, threads: int) -> onnxruntime.InferenceSession:
    """As groupnl-device makes it."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.add_session_config_entry("session.force_spinning_stop", "1")
    options.register_custom_ops_library(str(groupnl_device_native.library_path()))
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def measure(case: Case, threads: int, rounds: int) -> list[dict[str, Any]]:
    """One row a form.

    Raises:
        SystemExit: A form gives other values than the plain one.
    """
    sessions = {form: session(net_of(case, form), threads) for form in case.forms}
    feed = {"x": np.random.default_rng(1).standard_normal((1, AROUND, case.side, case.side)).astype(np.float32)}
    errors = _errors(case, {form: net.run(None, feed)[0] for form, net in sessions.items()})
    medians = medians_ms(sessions, feed, rounds)
    return [
        {
            **vars(case),
            "form": form,
            "threads": threads,
            "median_ms": round(medians[form], 4),
            "ratio_to_replaced": round(medians[form] / medians[case.forms[3]], 3),
            **({"error": errors[form]} if form in errors else {}),
        }
        for form in case.forms
    ]


def medians_ms(
    sessions: Mapping[str, onnxruntime.InferenceSession], feed: Mapping[str, Array], rounds: int
) -> dict[str, float]:
    """Of each form; they take turns, each after one run that is not timed."""
    times: dict[str, list[float]] = {form: [] for form in sessions}
    for _ in range(rounds):
        for form, net in sessions.items():
            net.run(None, feed)
            start = time.perf_counter()
            net.run(None, feed)
            times[form].append((time.perf_counter() - start) * 1e3)
    return {form: statistics.median(values) for form, values in times.items()}


def _errors(case: Case, outputs: dict[str, Array]) -> dict[str, float]:
    plain = outputs["plain"]
    errors = {}
    for form in ("rewritten", "native"):
        errors[form] = float(np.abs(outputs[form] - plain).max() / np.abs(plain).max())
        if not errors[form] <= TOLERANCE:
            raise SystemExit(f"{case}: {form} differs from plain by {errors[form]:.1e}, allowed is {TOLERANCE:.0e}")
    return errors


def header(quick: bool, script: str = "layers") -> dict[str, Any]:
    """Where, when and with what it was measured."""
    return {
        "command": f"python device/native/bench/{script}.py" + (" --quick" if quick else ""),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "hardware": hardware(),
        "versions": {
            "python": platform.python_version(),
            "onnxruntime": onnxruntime.__version__,
            "groupnl-device-native": groupnl_device_native.__version__,
        },
    }


def table(rows: list[dict[str, Any]]) -> str:
    """The same in Markdown."""
    lines = ["| net | layer | threads | form | ms | ratio to what it replaces |", "|---|---|---|---|---|---|"]
    for row in rows:
        layer = f"{row['kind']}, {row['channels']} x {row['side']}^2, k {row['kernel']}, stride {row['stride']}"
        figures = f"{row['median_ms']:.3f} | {row['ratio_to_replaced']:.2f}"
        lines.append(f"| {row['net']} | {layer} | {row['threads']} | {row['form']} | {figures} |")
    return "\n".join(lines)


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
    text = json.dumps(header(arguments.quick) | {"rows": rows}, indent=1, allow_nan=False)
    if arguments.json == "-":
        print(text)
        return
    print(table(rows))
    if arguments.json is not None:
        write_atomically(arguments.json, lambda file: file.write(text.encode() + b"\n"))


if __name__ == "__main__":
    main()
