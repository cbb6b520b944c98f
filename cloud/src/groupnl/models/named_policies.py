"""The policies that have a name, for ``convert_(model, "name")`` and the command line."""

from collections.abc import Callable

from groupnl.models.baseline_policies import GhostPolicy, MonoPolicy, SineFMPolicy
from groupnl.models.edit import Policy
from groupnl.models.policies import (
    LeanPolicy,
    PointwisePolicy,
    SparseBottleneckPolicy,
    SparseDepthwisePolicy,
    StandardPolicy,
)
from groupnl.models.sparse_basic import SparseBasicPolicy

POLICIES: dict[str, Callable[..., Policy]] = {
    "standard": StandardPolicy,
    "sparse_bottleneck": SparseBottleneckPolicy,
    "sparse_depthwise": SparseDepthwisePolicy,
    "sparse_basic": SparseBasicPolicy,
    "pointwise": PointwisePolicy,
    "lean": LeanPolicy,
    "ghost": GhostPolicy,
    "sinefm": SineFMPolicy,
    "mono": MonoPolicy,
}
