"""What a net costs: parameters, multiply-adds, elementwise work, activations and gradient traffic.

Counted from one forward pass of shapes alone, so that a large net takes no arithmetic and no memory.
"""

from groupnl.analysis.complexity import Complexity, LayerCost, complexity

__all__ = ["Complexity", "LayerCost", "complexity"]
