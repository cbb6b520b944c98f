"""The layers: GroupNLConv2d, the nonlinear functions (NLFs) that make its maps, and the plain reference of both.

Shapes are (N, C, H, W) throughout; S stands for the number of seed maps, G for the number of generated maps.
"""

from groupnl.nn.expand import expand, normalize_maps
from groupnl.nn.functions import apply_nlf
from groupnl.nn.groupnl_conv import GroupNLConv2d
from groupnl.nn.reference import expand_reference

__all__ = ["GroupNLConv2d", "apply_nlf", "expand", "expand_reference", "normalize_maps"]
