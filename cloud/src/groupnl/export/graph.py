"""From a plain net to an ONNX graph without weights, the weights beside it."""

import warnings
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from groupnl.export.errors import ExportError
from groupnl.export.passes import NATIVE, Outcome, apply_passes
from groupnl.export.passes.native import DOMAIN, VERSION
from groupnl.export.passes.network import OPSET, Array
from groupnl_device.cuts import Cut, add_cuts

INPUT, OUTPUT = "input", "logits"
WEIGHTS = "weights.safetensors"
_LARGEST_INSIDE = 1024  # bytes: shapes, axes and scalars stay in the graph, where a runtime folds them


@dataclass(frozen=True, kw_only=True)
class Graph:
    """An exported net.

    Attributes:
        onnx: The graph, serialised; its weights are marked as external.
        tensors: By name, those which are to be shipped: each once, though nodes may share it.
        constants: By name, those which the device rebuilds.
        cuts: By name, those which the device cuts out of shipped ones.
        outcomes: By name, what each pass did.
    """

    onnx: bytes
    tensors: dict[str, Array]
    constants: dict[str, Array]
    cuts: dict[str, Cut]
    outcomes: dict[str, Outcome]

    def initializers(self) -> dict[str, Array]:
        """What a device fills the graph with."""
        model = onnx.ModelProto.FromString(self.onnx)
        external = {i.name for i in model.graph.initializer if i.data_location == onnx.TensorProto.EXTERNAL}
        held = add_cuts({**self.tensors, **self.constants}, self.cuts)
        return {name: array for name, array in held.items() if name in external}


@dataclass(frozen=True, kw_only=True)
class Traced:
    """A net as the exporter wrote it, weights inside.

    Attributes:
        model: The graph, in standard operators.
        state: Names of the net's parameters and buffers.
        rebuilt: Names of those that a device rebuilds.
    """

    model: onnx.ModelProto
    state: frozenset[str]
    rebuilt: frozenset[str]

    def finished(self, passes: Collection[str] = (), *, native: bool = False) -> Graph:
        """Rewrite a copy by passes, in their order, and take its weights out.

        Args:
            passes: Their names, see ``groupnl.export.passes``.
            native: Put GroupNL layers into native operators first.

        Raises:
            ExportError: A name is unknown.
        """
        model = onnx.ModelProto()
        model.CopyFrom(self.model)
        made = apply_passes(model.graph, passes, self.rebuilt, native=native)
        if made.outcomes.get(NATIVE, Outcome(changed=0)).changed:
            model.opset_import.append(onnx.helper.make_opsetid(DOMAIN, VERSION))
        tensors, constants = dict(made.whole), {}
        for initializer in model.graph.initializer:
            name = initializer.name
            array = onnx.numpy_helper.to_array(initializer)
            if name in self.rebuilt:
                constants[name] = array
            elif name in made.cuts:
                pass
            elif name in self.state or name in made.whole or array.nbytes > _LARGEST_INSIDE:
                tensors[name] = np.ascontiguousarray(array)
            else:
                continue
            _mark_external(initializer)
        serialised = model.SerializeToString(deterministic=True)
        return Graph(onnx=serialised, tensors=tensors, constants=constants, cuts=made.cuts, outcomes=made.outcomes)


def trace(module: nn.Module, example: Tensor, rebuilt: Mapping[str, Array]) -> Traced:
    """Trace a net with a free batch size.

    Args:
        module: In evaluation mode, float32, on the CPU.
        example: float32, shape (N, C, H, W).
        rebuilt: By name, the buffers that a device rebuilds.

    Raises:
        ExportError: The exporter does not manage this net.
    """
    model = _trace(module, example)
    _strip(model)
    _name_gathers(model.graph, rebuilt)
    return Traced(model=model, state=frozenset(module.state_dict(keep_vars=True)), rebuilt=frozenset(rebuilt))


def export_graph(
    module: nn.Module, example: Tensor, rebuilt: Mapping[str, Array], passes: Collection[str] = ()
) -> Graph:
    """Trace a net, rewrite it by passes and take its weights out: see :func:`trace` and :class:`Traced`.

    Raises:
        ExportError: The exporter does not manage this net, or a pass is unknown.
    """
    return trace(module, example, rebuilt).finished(passes)


def _trace(module: nn.Module, example: Tensor) -> onnx.ModelProto:
    if len(example) < 2:  # a batch of one would be taken for a constant
        example = torch.cat([example, example])
    batch = torch.export.Dim("batch", min=1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch about itself; what matters is checked afterwards
            program = torch.onnx.export(
                module,
                (example,),
                dynamo=True,
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_shapes=({0: batch},),
                opset_version=OPSET,
                external_data=False,
                verbose=False,
            )
    except Exception as error:  # the exporter's errors have no common base but Exception
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ExportError(f"{type(module).__name__} cannot be exported to ONNX: {reason}") from error
    if program is None:
        raise ExportError(f"{type(module).__name__} cannot be exported to ONNX: the exporter gave nothing")
    model: onnx.ModelProto = program.model_proto
    return model


def _strip(model: onnx.ModelProto) -> None:
    """Remove what a runtime does not need: notes with source paths of this machine, inferred shapes, dead weights."""
    model.doc_string = ""
    del model.metadata_props[:]
    if len(model.functions):
        raise ExportError("the exporter left functions in the graph; a net of standard operators is needed")
    graph = model.graph
    graph.doc_string = ""
    graph.name = "net"
    del graph.metadata_props[:]
    del graph.value_info[:]
    del graph.quantization_annotation[:]
    for node in _nodes(graph):
        node.doc_string = ""
        del node.metadata_props[:]
    for value in (*graph.input, *graph.output):
        value.doc_string = ""
        del value.metadata_props[:]
    used = {name for node in _nodes(graph) for name in node.input} | {value.name for value in graph.output}
    kept = [initializer for initializer in graph.initializer if initializer.name in used]
    del graph.initializer[:]
    for initializer in kept:
        initializer.doc_string = ""
        del initializer.metadata_props[:]
        graph.initializer.append(initializer)


def _name_gathers(graph: onnx.GraphProto, rebuilt: Mapping[str, Array]) -> None:
    """Give indices that the exporter folded into a nameless copy the name of the buffer they came from."""
    present = {initializer.name for initializer in graph.initializer}
    absent = {name: values for name, values in rebuilt.items() if name not in present and values.dtype == np.int64}
    uses = [(node, position) for node in _nodes(graph) for position in range(len(node.input))]
    for initializer in graph.initializer:
        places = [(node, position) for node, position in uses if node.input[position] == initializer.name]
        if not all(node.op_type == "Gather" and position == 1 for node, position in places):
            continue
        array = onnx.numpy_helper.to_array(initializer)
        name = next((name for name, values in absent.items() if np.array_equal(values, array)), None)
        if name is not None:
            del absent[name]
            initializer.name = name
            for node, position in places:
                node.input[position] = name


def _nodes(graph: onnx.GraphProto) -> Iterable[onnx.NodeProto]:
    """All nodes, those of branches and loops included."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from _nodes(inner)


def _mark_external(initializer: onnx.TensorProto) -> None:
    for content in ("raw_data", "float_data", "int32_data", "int64_data", "double_data", "uint64_data", "string_data"):
        initializer.ClearField(content)
    initializer.data_location = onnx.TensorProto.EXTERNAL
    del initializer.external_data[:]
    location = initializer.external_data.add()
    location.key, location.value = "location", WEIGHTS
