"""Nets: conversion of any net by a policy, the zoo of published ones, and checkpoints that rebuild their nets.

The zoo is registered with timm on import: ``timm.create_model("groupnl_resnet18", num_classes=10)``.
"""

from groupnl.models.architecture import Architecture, Conversion, architecture_of
from groupnl.models.baseline_policies import GhostPolicy, MonoPolicy, SineFMPolicy
from groupnl.models.checkpoint import CheckpointInfo, load_checkpoint, read_checkpoint, save_checkpoint
from groupnl.models.convert import ConversionReport, Init, Replaced, Skipped, convert_
from groupnl.models.edit import Edit, Policy
from groupnl.models.named_policies import POLICIES
from groupnl.models.policies import (
    LeanPolicy,
    PointwisePolicy,
    SparseBottleneckPolicy,
    SparseDepthwisePolicy,
    StandardPolicy,
)
from groupnl.models.published import load_published_
from groupnl.models.resnet8 import ResNet8
from groupnl.models.zoo import ZOO, ZooRow, create_model, zoo_names

__all__ = [
    "POLICIES",
    "ZOO",
    "Architecture",
    "CheckpointInfo",
    "Conversion",
    "ConversionReport",
    "Edit",
    "GhostPolicy",
    "Init",
    "LeanPolicy",
    "MonoPolicy",
    "PointwisePolicy",
    "Policy",
    "Replaced",
    "ResNet8",
    "SineFMPolicy",
    "Skipped",
    "SparseBottleneckPolicy",
    "SparseDepthwisePolicy",
    "StandardPolicy",
    "ZooRow",
    "architecture_of",
    "convert_",
    "create_model",
    "load_checkpoint",
    "load_published_",
    "read_checkpoint",
    "save_checkpoint",
    "zoo_names",
]
