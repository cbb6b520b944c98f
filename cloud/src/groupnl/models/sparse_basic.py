"""The sparse form for basic blocks: its inputs are mixed first, by additions alone."""

from collections import OrderedDict
from dataclasses import dataclass

from torch import nn

from groupnl.models.edit import Edit
from groupnl.models.planning import plan_convolutions, why_not_standard
from groupnl.models.policies import StandardPolicy, bottleneck_middles
from groupnl.nn import HadamardMix


@dataclass(frozen=True, kw_only=True)
class SparseBasicPolicy(StandardPolicy):
    """The convolutions of ``standard``, sparse, each behind a Hadamard transform of its inputs. Beyond the paper.

    A sparse seed filter sees two channels, so that an output of a basic block of two sparse layers depends on four of
    the block's inputs (``groupnl.analysis.channel_reach``), and no reordering of channels can make it more: paths
    through L layers of two inputs each end at 2^L channels at most. In a bottleneck block the 1x1 convolutions mix;
    in a basic block nothing does. :class:`groupnl.nn.HadamardMix` lets every filter hear of all channels.
    """

    def plan(self, model: nn.Module) -> list[Edit]:
        """See :class:`groupnl.models.edit.Policy`."""
        middles = bottleneck_middles(model)

        def why_not(name: str, conv: nn.Conv2d, is_first: bool) -> str:
            if name in middles:
                return "between two 1x1 convolutions, which mix already: see policy 'sparse_bottleneck'"
            return why_not_standard(name, conv, is_first)

        def replace(conv: nn.Conv2d, name: str) -> nn.Module:
            mix = HadamardMix(conv.in_channels)
            layer = self._layer(conv, f"{name}.conv", sparse=True)
            return nn.Sequential(OrderedDict(mix=mix, conv=layer)).train(conv.training)

        return plan_convolutions(model, why_not, replace)
