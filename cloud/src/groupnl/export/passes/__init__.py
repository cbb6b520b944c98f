"""Rewrites of a traced net that change no answer and make a runtime faster: one idea a file, chosen by name.

Each is a function from a :class:`Network`, which it edits, to an :class:`Outcome`, which says what it did.
"""

from groupnl.export.passes.network import Network, Node
from groupnl.export.passes.outcome import Outcome, Pass
from groupnl.export.passes.selection import NATIVE, PASSES, Rewritten, apply_passes, check_passes, passes_for

__all__ = [
    "NATIVE",
    "PASSES",
    "Network",
    "Node",
    "Outcome",
    "Pass",
    "Rewritten",
    "apply_passes",
    "check_passes",
    "passes_for",
]
