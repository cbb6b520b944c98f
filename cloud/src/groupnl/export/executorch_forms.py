"""The form for ExecuTorch: one program, in which XNNPACK runs what it can."""

import logging
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import MappingProxyType
from typing import Any

import torch
from torch import nn

from groupnl.export.errors import ExportError
from groupnl.export.forms import Form, Source
from groupnl.export.passes import PASSES, Outcome
from groupnl.export.passes.chosen_channels import select_by_convolution
from groupnl.export.passes.known_pairs import fold_known_pairs
from groupnl.export.passes.runtime_norms import sum_by_convolution
from groupnl.export.static_graph import check_precision, static_graph
from groupnl.export.torch_graph import TorchGraph, unknown_operators
from groupnl_device.manifest import Artifact

PROGRAM = "executorch.pte"
REWRITES = MappingProxyType(
    {
        "split-concat": PASSES["split-concat"],
        "known-pairs": fold_known_pairs,
        "sparse": PASSES["sparse"],
        "chosen-channels": select_by_convolution,
        "sum-by-convolution": sum_by_convolution,
    }
)
_LEAST = "1.5"
_DELEGATE = "executorch_call_delegate"


def forms_of(source: Source) -> list[Form]:
    """One form, in float32; the outcome ``executorch: delegated`` says what XNNPACK does not run.

    Raises:
        ExportError: ExecuTorch is not installed, or does not manage this net.
    """
    check_precision(source)
    graph = static_graph(source, REWRITES)
    outcomes = {f"executorch: {name}": outcome for name, outcome in graph.outcomes.items()}
    module: nn.Module = source.plain.module
    if unknown := unknown_operators(graph.model.graph):
        note = f"the graph has {', '.join(unknown)}: ExecuTorch is given the net as it was traced"
        outcomes = {"executorch: rewrites": Outcome(changed=0, notes=(note,))}
    else:
        module = TorchGraph(graph.model.graph)
    program, outside = lowered(module.eval(), source.example[:1])
    artifact = Artifact(
        runtime="executorch",
        form="plain",
        precision="float32",
        files={"program": PROGRAM},
        requires={"executorch": _LEAST},
        agreement={},
    )
    notes = tuple(f"{count} x {name}: XNNPACK does not run it" for name, count in sorted(outside.items()))
    outcomes["executorch: delegated"] = Outcome(changed=1, notes=notes)
    return [Form(artifact=artifact, entries={PROGRAM: program}, outcomes=outcomes)]


def lowered(module: nn.Module, example: torch.Tensor) -> tuple[bytes, dict[str, int]]:
    """A net as a program, and the operators of it that XNNPACK does not run, with how often they occur.

    Args:
        module: In evaluation mode.
        example: float32, shape (1, 3, H, W).

    Raises:
        ExportError: ExecuTorch is not installed, or does not manage this net.
    """
    try:
        with _quiet():
            exir: Any = import_module("executorch.exir")
            xnnpack: Any = import_module("executorch.backends.xnnpack.partition.xnnpack_partitioner")
    except ImportError as error:
        raise ExportError('the package executorch is not installed; pip install "groupnl[executorch]"') from error
    try:
        with _quiet(), torch.no_grad():
            traced = torch.export.export(module, (example,))
            edge = exir.to_edge_transform_and_lower(traced, partitioner=[xnnpack.XnnpackPartitioner()])
            outside = undelegated(edge.exported_program().graph)
            program = bytes(edge.to_executorch().buffer)
    except Exception as error:  # the converter's errors have no family
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ExportError(f"ExecuTorch cannot take this net: {reason}") from error
    return program, outside


def undelegated(graph: torch.fx.Graph) -> dict[str, int]:
    """Operators outside of delegates, with how often they occur."""
    names = (getattr(node.target, "__name__", str(node.target)) for node in graph.nodes if node.op == "call_function")
    return dict(Counter(name for name in names if name not in (_DELEGATE, "getitem")))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what the converter says about itself off the terminal."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
