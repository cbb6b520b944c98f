"""What a net costs (counted from a pass of shapes alone), and how new its generated maps are.

Cost: parameters, multiply-adds, elementwise work, activations; what data-parallel training sends and how long a step
takes. Diversity: measured on images, and in closed form, from which ``design_nlf`` chooses the pairs of the sine NLF.
"""

from groupnl.analysis.complexity import Complexity, LayerCost, complexity, multiply_adds
from groupnl.analysis.covariance import sine_covariance
from groupnl.analysis.design import DesignedLayer, design_nlf, design_pairs_, log_determinant
from groupnl.analysis.diversity import LayerDiversity, diversity
from groupnl.analysis.maps import GroupMaps, group_maps
from groupnl.analysis.reach import ChannelReach, channel_reach
from groupnl.analysis.step_time import StepTime, step_time
from groupnl.analysis.traffic import Bucket, Traffic, traffic

__all__ = [
    "Bucket",
    "ChannelReach",
    "Complexity",
    "DesignedLayer",
    "GroupMaps",
    "LayerCost",
    "LayerDiversity",
    "StepTime",
    "Traffic",
    "channel_reach",
    "complexity",
    "design_nlf",
    "design_pairs_",
    "diversity",
    "group_maps",
    "log_determinant",
    "multiply_adds",
    "sine_covariance",
    "step_time",
    "traffic",
]
