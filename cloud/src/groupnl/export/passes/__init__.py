"""Rewrites of a traced net that change no answer and make a runtime faster: one idea a file, chosen by name.

Each is a function from a :class:`Network`, which it edits, to an :class:`Outcome`, which says what it did.
"""

from groupnl.export.passes.network import Network, Node
from groupnl.export.passes.outcome import Outcome, Pass
from groupnl.export.passes.selection import PASSES, apply_passes, check_passes, passes_for

__all__ = [
    "PASSES",
    "Network",
    "Node",
    "Outcome",
    "Pass",
    "apply_passes",
    "check_passes",
    "passes_for",
]
