"""Which passes a runtime is given, and their order."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

import onnx

from groupnl.export.errors import ExportError
from groupnl.export.passes.l2_norm import rewrite_l2_norms
from groupnl.export.passes.network import Network, is_plain
from groupnl.export.passes.outcome import Outcome, Pass
from groupnl.export.passes.pairs import fold_pairs
from groupnl.export.passes.sparse_terms import split_sparse_convolutions
from groupnl.export.passes.split_concat import split_concats

PASSES: Mapping[str, Pass] = MappingProxyType(
    {  # in the order in which they run: a later one works on what an earlier one left
        "l2-norm": rewrite_l2_norms,
        "pairs": fold_pairs,
        "split-concat": split_concats,
        "sparse": split_sparse_convolutions,
    }
)
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


def apply_passes(
    graph: onnx.GraphProto, names: Iterable[str], rebuilt: Iterable[str]
) -> tuple[dict[str, Outcome], set[str]]:
    """Rewrite a graph in place, changing no answer but for rounding.

    Args:
        graph: Its weights are inside.
        names: Of passes.
        rebuilt: Names of initializers that a device rebuilds; they stay as they are.

    Returns:
        What each pass did; and the names of the arrays that they made from weights.

    Raises:
        ExportError: A name is unknown.
    """
    chosen = check_passes(names)
    if not chosen:
        return {}, set()
    if not is_plain(graph):
        note = "the net has branches, loops or operators of its own: left as it is"
        return {name: Outcome(changed=0, notes=(note,)) for name in chosen}, set()
    net = Network(graph, rebuilt)
    outcomes = {name: PASSES[name](net) for name in chosen}
    net.write_to(graph)
    return outcomes, net.learned
