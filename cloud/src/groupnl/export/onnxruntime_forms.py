"""The forms for ONNX Runtime: native operators where the net has GroupNL layers, and standard operators alone."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import safetensors.numpy

from groupnl.export.errors import ExportError
from groupnl.export.forms import Form, Source
from groupnl.export.graph import WEIGHTS, Graph
from groupnl.export.half_weights import in_half
from groupnl.export.lowering import lowered
from groupnl.export.passes import NATIVE, passes_for
from groupnl.export.passes.network import Array
from groupnl_device.manifest import Artifact
from groupnl_device.onnxruntime_adapter import HALF

GRAPH, NATIVE_GRAPH = "graph.onnx", "native.onnx"
LEAST_ONNXRUNTIME = "1.18"  # the first that reads the IR version (10) which the exporter writes
_NATIVE_REQUIRES = {"onnxruntime": "1.22", "groupnl-device-native": "0.1"}


def forms_of(source: Source) -> list[Form]:
    """The native form, if the net has a layer for it, and the plain one; they share the weights.

    Raises:
        ExportError: The exporter does not manage this net, or not in this precision.
    """
    if source.precision == "int8":
        from groupnl.export.quantization import int8_forms  # the quantiser takes long to import

        return int8_forms(source)
    if source.precision == HALF:
        return [in_half(form, WEIGHTS, source.plain.explicit) for form in _float_forms(source)]
    if source.precision != "float32":
        raise ExportError(f"precision {source.precision!r}: expected float32, float16 or int8")
    return _float_forms(source)


def _float_forms(source: Source) -> list[Form]:
    passes = passes_for("onnxruntime")
    plain, native = source.traced.finished(passes), source.traced.finished(passes, native=True)
    if not native.outcomes[NATIVE].changed:
        return [plain_of(source, plain)]
    weights = shared_weights(source, [native, plain])
    return [_native_form(source, native, weights), _plain_form(source, plain, weights)]


def plain_of(source: Source, graph: Graph) -> Form:
    """A graph in standard operators, with the weights that it alone needs."""
    return _plain_form(source, graph, shared_weights(source, [graph]))


def _plain_form(source: Source, graph: Graph, weights: bytes) -> Form:
    check_constants(source, graph)
    artifact = Artifact(
        runtime="onnxruntime",
        form="plain",
        precision="float32",
        files={"graph": GRAPH, "weights": WEIGHTS},
        requires={"onnxruntime": LEAST_ONNXRUNTIME},
        agreement={},
        cuts=graph.cuts,
    )
    entries = {GRAPH: graph.onnx, WEIGHTS: weights}
    return Form(artifact=artifact, entries=entries, rebuilt=frozenset(graph.constants), outcomes=graph.outcomes)


def _native_form(source: Source, graph: Graph, weights: bytes) -> Form:
    stand_in = _plain_form(source, replace(graph, onnx=lowered(graph.onnx)), weights)
    files = {"graph": NATIVE_GRAPH, "weights": WEIGHTS}
    return Form(
        artifact=replace(stand_in.artifact, form="native", files=files, requires=_NATIVE_REQUIRES),
        entries={NATIVE_GRAPH: graph.onnx, WEIGHTS: weights},
        rebuilt=stand_in.rebuilt,
        outcomes={NATIVE: graph.outcomes[NATIVE]},
        stand_in=stand_in,
    )


def shared_weights(source: Source, graphs: Sequence[Graph]) -> bytes:
    """Everything that these graphs are to be shipped, each tensor once, as a safetensors file.

    Raises:
        ExportError: Two of them hold different values under one name.
    """
    tensors: dict[str, Array] = dict(source.plain.explicit)
    for graph in graphs:
        for name, array in graph.tensors.items():
            if name in tensors and not np.array_equal(tensors[name], array):
                raise ExportError(f"{name}: two graphs of one net hold different values")
            tensors[name] = array
    serialised: bytes = safetensors.numpy.save(tensors)
    return serialised


def check_constants(source: Source, graph: Graph) -> None:
    """Refuse a graph that was traced with other bits than a device would rebuild.

    Raises:
        ExportError: See above.
    """
    rebuilt = source.plain.constants
    for name, constant in graph.constants.items():
        if not np.array_equal(constant, rebuilt[name]):
            raise ExportError(f"{name}: the graph holds other values than a device would rebuild")
