"""A traced net for a runtime that has a format of its own: every value inside, one picture at a time."""

from collections.abc import Mapping
from dataclasses import dataclass

import onnx

from groupnl.export.errors import ExportError
from groupnl.export.forms import Source
from groupnl.export.passes import Network, Outcome, Pass
from groupnl.export.passes.network import is_plain


@dataclass(frozen=True, kw_only=True)
class StaticGraph:
    """A net that is ready to be converted.

    Attributes:
        model: Input (1, 3, H, W), output (1, K).
        outcomes: By name, what each rewrite did.
    """

    model: onnx.ModelProto
    outcomes: dict[str, Outcome]


def static_graph(source: Source, passes: Mapping[str, Pass]) -> StaticGraph:
    """Rewrite a copy of a traced net.

    Nothing is left for a device to rebuild, so passes may read the pairs and fold them. One picture, because runtimes
    plan memory and fuse operators best where they know all sizes.

    Args:
        source: The net.
        passes: By name, in their order.

    Raises:
        ExportError: The exporter does not manage this net.
    """
    model = onnx.ModelProto()
    model.CopyFrom(source.traced.model)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].Clear()
        value.type.tensor_type.shape.dim[0].dim_value = 1
    if not is_plain(model.graph):
        note = "the net has branches, loops or operators of its own: left as it is"
        return StaticGraph(model=model, outcomes={name: Outcome(changed=0, notes=(note,)) for name in passes})
    net = Network(model.graph, ())
    outcomes = {name: edit(net) for name, edit in passes.items()}
    net.write_to(model.graph)
    return StaticGraph(model=model, outcomes=outcomes)


def check_precision(source: Source) -> None:
    """Refuse all but float32, for runtimes that are given nothing else.

    Raises:
        ExportError: Another precision is wanted.
    """
    if source.precision != "float32":
        raise ExportError(f"precision {source.precision!r}: expected float32; only onnxruntime is given others")
