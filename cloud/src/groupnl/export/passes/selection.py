"""Which passes a runtime is given, and their order."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import onnx

from groupnl.export.errors import ExportError
from groupnl.export.passes.l2_norm import rewrite_l2_norms
from groupnl.export.passes.native import fuse_layers
from groupnl.export.passes.network import Array, Network, is_plain
from groupnl.export.passes.outcome import Outcome, Pass
from groupnl.export.passes.pairs import fold_pairs
from groupnl.export.passes.sparse_terms import split_sparse_convolutions
from groupnl.export.passes.split_concat import split_concats
from groupnl_device.cuts import Cut

PASSES: Mapping[str, Pass] = MappingProxyType(
    {  # in the order in which they run: a later one works on what an earlier one left
        "l2-norm": rewrite_l2_norms,
        "pairs": fold_pairs,
        "split-concat": split_concats,
        "sparse": split_sparse_convolutions,
    }
)
NATIVE = "native"  # what the outcome of the rewrite to native operators is called
_FOR: Mapping[str, tuple[str, ...]] = MappingProxyType({"onnxruntime": tuple(PASSES)})


def passes_for(runtime: str) -> tuple[str, ...]:
    """The names of the passes that make a net fast in a runtime, in order.

    Raises:
        ExportError: Bundles are not made for this runtime.
    """
    if runtime not in _FOR:
        raise ExportError(f"no bundle for {runtime!r}: expected one of {', '.join(_FOR)}")
    return _FOR[runtime]


def check_passes(names: Iterable[str]) -> tuple[str, ...]:
    """The passes in the order in which they run.

    Raises:
        ExportError: A name is unknown.
    """
    wanted = set(names)
    if unknown := sorted(wanted - set(PASSES)):
        raise ExportError(f"no pass {unknown[0]!r}: expected some of {', '.join(PASSES)}")
    return tuple(name for name in PASSES if name in wanted)


@dataclass(frozen=True, kw_only=True)
class Rewritten:
    """What passes did to a graph.

    Attributes:
        outcomes: By name of the pass.
        cuts: By name, the parts of other initializers that the graph now reads.
        whole: By name, the arrays that these are parts of.
    """

    outcomes: dict[str, Outcome]
    cuts: dict[str, Cut]
    whole: dict[str, Array]


def apply_passes(
    graph: onnx.GraphProto, names: Iterable[str], rebuilt: Iterable[str], *, native: bool = False
) -> Rewritten:
    """Rewrite a graph in place, changing no answer but for rounding.

    Args:
        graph: Its weights are inside.
        names: Of passes.
        rebuilt: Names of initializers that a device rebuilds; they stay as they are.
        native: Put GroupNL layers into native operators first.

    Raises:
        ExportError: A name is unknown.
    """
    chosen = {name: PASSES[name] for name in check_passes(names)}
    if native:
        chosen = {NATIVE: fuse_layers, **chosen}
    if not chosen:
        return Rewritten(outcomes={}, cuts={}, whole={})
    if not is_plain(graph):
        note = "the net has branches, loops or operators of its own: left as it is"
        return Rewritten(outcomes={name: Outcome(changed=0, notes=(note,)) for name in chosen}, cuts={}, whole={})
    net = Network(graph, rebuilt)
    outcomes = {name: edit(net) for name, edit in chosen.items()}
    net.write_to(graph)
    read = {initializer.name for initializer in graph.initializer}
    cuts = {name: cut for name, cut in net.cuts.items() if name in read}
    whole = {cut.of: array for cut in cuts.values() if (array := net.array(cut.of)) is not None}
    return Rewritten(outcomes=outcomes, cuts=cuts, whole=whole)
