"""The layers: GroupNLConv2d, its nonlinear functions (NLFs) and reference, and the baselines it is measured against.

Shapes are (N, C, H, W) throughout; S stands for the number of seed maps, G for the number of generated maps.
"""

from groupnl.nn.expand import expand, normalize_maps
from groupnl.nn.functions import apply_nlf
from groupnl.nn.ghost_conv import GhostConv2d
from groupnl.nn.groupnl_conv import GroupNLConv2d
from groupnl.nn.hadamard import HadamardMix
from groupnl.nn.mono_conv import MonoConv2d
from groupnl.nn.reference import expand_reference
from groupnl.nn.seeded import SeededLayer
from groupnl.nn.sinefm_conv import SineFMConv2d

__all__ = [
    "GhostConv2d",
    "GroupNLConv2d",
    "HadamardMix",
    "MonoConv2d",
    "SeededLayer",
    "SineFMConv2d",
    "apply_nlf",
    "expand",
    "expand_reference",
    "normalize_maps",
]
