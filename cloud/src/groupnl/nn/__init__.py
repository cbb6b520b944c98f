"""The layers: GroupNLConv2d, its nonlinear functions (NLFs) and reference, and the baselines it is measured against.

Shapes are (N, C, H, W) throughout; S stands for the number of seed maps, G for the number of generated maps.
"""

from groupnl.nn.backend import (
    BACKENDS,
    chosen_backend,
    get_backend,
    set_backend,
    using_backend,
    why_no_triton,
)
from groupnl.nn.composite import expand_composite, normalize_maps
from groupnl.nn.expand import expand
from groupnl.nn.functions import apply_nlf
from groupnl.nn.fuse import FusionReport, fuse_for_inference_
from groupnl.nn.ghost_conv import GhostConv2d
from groupnl.nn.groupnl_conv import GroupNLConv2d
from groupnl.nn.hadamard import HadamardMix
from groupnl.nn.mono_conv import MonoConv2d
from groupnl.nn.reference import expand_reference
from groupnl.nn.seeded import SeededLayer
from groupnl.nn.sinefm_conv import SineFMConv2d
from groupnl.nn.sparse_conv import SparseConv2d

__all__ = [
    "BACKENDS",
    "FusionReport",
    "GhostConv2d",
    "GroupNLConv2d",
    "HadamardMix",
    "MonoConv2d",
    "SeededLayer",
    "SineFMConv2d",
    "SparseConv2d",
    "apply_nlf",
    "chosen_backend",
    "expand",
    "expand_composite",
    "expand_reference",
    "fuse_for_inference_",
    "get_backend",
    "normalize_maps",
    "set_backend",
    "using_backend",
    "why_no_triton",
]
