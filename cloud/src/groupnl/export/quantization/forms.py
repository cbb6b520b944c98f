"""The int8 forms for ONNX Runtime: native operators where the net has GroupNL layers, and standard ones alone."""

from dataclasses import replace

import onnx

from groupnl.export.forms import Form, Source
from groupnl.export.graph import Graph, Traced
from groupnl.export.lowering import lowered
from groupnl.export.onnxruntime_forms import check_constants, shared_weights
from groupnl.export.passes import NATIVE, Outcome, apply_passes
from groupnl.export.quantization.lowered_int8 import in_float
from groupnl.export.quantization.native_int8 import with_native_operators
from groupnl.export.quantization.qdq import quantized
from groupnl_device.manifest import Artifact

GRAPH, NATIVE_GRAPH = "graph_int8.onnx", "native_int8.onnx"
WEIGHTS, NATIVE_WEIGHTS = "weights_int8.safetensors", "native_weights_int8.safetensors"
_REQUIRES = {"onnxruntime": "1.18"}
_NATIVE_REQUIRES = {"onnxruntime": "1.22", "groupnl-device-native": "0.1"}
_SPARSE = "sparse"  # before the weights are rounded: grouped convolutions of few inputs have no fast 8-bit kernel
_IN_FLOAT = ("l2-norm", "pairs")  # what stays in float, as fast as it can be


def int8_forms(source: Source) -> list[Form]:
    """A net quantised from the source's calibration pictures: the native form, if it has layers for it, and the plain.

    Both share the weights, unless the plain form has split its sparse convolutions, which then have other ranges.

    Raises:
        ExportError: There are no pictures to calibrate with, or the net cannot be quantised.
    """
    whole = quantized(source.traced, source.calibration, source.preprocessing)
    split, outcomes = _split(source.traced)
    is_split = split is not source.traced
    plain_graph = (quantized(split, source.calibration, source.preprocessing) if is_split else whole).finished(
        _IN_FLOAT
    )
    plain_graph.outcomes.update(outcomes)
    native, outcome = with_native_operators(whole)
    if not outcome.changed:
        return [_form(source, plain_graph, WEIGHTS, plain_graph)]
    graph = native.finished()
    own = NATIVE_WEIGHTS if is_split else WEIGHTS
    both = [graph] if is_split else [graph, plain_graph]
    stand_in = _form(source, replace(graph, onnx=lowered(in_float(graph.onnx))), own, *both)
    fast = Form(
        artifact=replace(
            stand_in.artifact, form="native", files={"graph": NATIVE_GRAPH, "weights": own}, requires=_NATIVE_REQUIRES
        ),
        entries={NATIVE_GRAPH: graph.onnx, own: stand_in.entries[own]},
        rebuilt=stand_in.rebuilt,
        outcomes={NATIVE: outcome},
        stand_in=stand_in,
    )
    return [fast, _form(source, plain_graph, WEIGHTS, *([plain_graph] if is_split else both))]


def _split(traced: Traced) -> tuple[Traced, dict[str, Outcome]]:
    """The net with its sparse convolutions as depthwise ones; itself where it has none."""
    model = onnx.ModelProto()
    model.CopyFrom(traced.model)
    made = apply_passes(model.graph, [_SPARSE], traced.rebuilt)
    if not made.outcomes[_SPARSE].changed:
        return traced, made.outcomes
    return replace(traced, model=model, state=traced.state | frozenset(made.cuts)), made.outcomes


def _form(source: Source, graph: Graph, weights: str, *shared: Graph) -> Form:
    """A graph in standard operators, with a file of the weights that these graphs share."""
    for one in shared:
        check_constants(source, one)
    artifact = Artifact(
        runtime="onnxruntime",
        form="plain",
        precision="int8",
        files={"graph": GRAPH, "weights": weights},
        requires=_REQUIRES,
        agreement={},
    )
    return Form(
        artifact=artifact,
        entries={GRAPH: graph.onnx, weights: shared_weights(source, shared)},
        rebuilt=frozenset(graph.constants),
        outcomes=graph.outcomes,
    )
