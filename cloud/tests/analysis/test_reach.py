"""Reach and rank of channel graphs, against graphs drawn by hand."""

import numpy as np
import pytest
import torch
from torch import nn

import groupnl
from groupnl.analysis import channel_reach
from groupnl.models import convert_
from groupnl.models.planning import plan_convolutions, why_not_standard
from groupnl.models.policies import StandardPolicy
from groupnl.nn import GroupNLConv2d


class PlainSparse:
    """The sparse form where it fails: in basic blocks, without the cure."""

    def plan(self, model):
        policy = StandardPolicy()
        return plan_convolutions(model, why_not_standard, lambda conv, name: policy._layer(conv, name, sparse=True))


def resnet(policy=None):
    model = groupnl.create_model("resnet18", num_classes=4, cifar_stem=True, channels=(16, 32, 64, 128))
    if policy is not None:
        convert_(model, policy, input_size=(3, 16, 16))
    return model


def test_a_grouped_convolution_sees_its_group():
    reach = channel_reach(nn.Conv2d(12, 6, 3, padding=1, groups=3), (12, 4, 4))
    assert (reach.in_channels, reach.out_channels) == (12, 6)
    assert reach.inputs_seen == (4,) * 6
    assert reach.mean == pytest.approx(4 / 12)
    assert reach.rank == 6


def test_rank_of_a_bottleneck():
    narrow = nn.Sequential(nn.Conv2d(8, 3, 1, bias=False), nn.Conv2d(3, 8, 1, bias=False))
    reach = channel_reach(narrow, (8, 3, 3))
    assert reach.rank == 3
    assert reach.inputs_seen == (8,) * 8


def test_dead_zones_and_zero_weights_hide_no_path():
    block = nn.Sequential(nn.Conv2d(4, 4, 1), nn.ReLU(), nn.Conv2d(4, 4, 1), nn.ReLU6())
    nn.init.zeros_(block[2].weight)
    nn.init.constant_(block[0].bias, -100.0)
    assert channel_reach(block, (4, 2, 2)).inputs_seen == (4,) * 4
    assert block[2].weight.eq(0).all()  # the module itself is left alone


def test_two_sparse_layers_of_a_block_reach_as_the_channel_graph_says():
    """Boolean matrices: seed i sees inputs 2i and 2i + 1, the output holds the seeds twice."""
    channels = 16
    seeds = np.kron(np.eye(channels // 2), np.ones((1, 2)))
    layer = np.vstack([seeds, seeds])
    expected = ((layer @ layer + np.eye(channels)) > 0).sum(1)  # the shortcut adds the channel itself
    assert channel_reach(resnet(PlainSparse()).layer1[1], (16, 4, 4)).inputs_seen == tuple(expected)
    assert expected.max() == 5


def test_no_reordering_of_channels_gets_past_four():
    class Reordered(nn.Module):
        def __init__(self, order):
            super().__init__()
            self.order = order
            self.first, self.second = (GroupNLConv2d(16, 16, 3, padding=1, sparse=True) for _ in range(2))

        def forward(self, x):
            return self.second(self.first(x)[:, self.order])

    generator = torch.Generator().manual_seed(0)
    for _ in range(5):
        reach = channel_reach(Reordered(torch.randperm(16, generator=generator)), (16, 3, 3))
        assert max(reach.inputs_seen) <= 4


@pytest.mark.parametrize("policy", [None, "standard", "sparse_basic"])
def test_vanilla_standard_and_the_cure_reach_every_channel(policy):
    reach = channel_reach(resnet(policy).layer1[1], (16, 4, 4))
    assert reach.mean == 1.0
    assert reach.rank == 16


def test_what_gives_no_maps_is_refused():
    with pytest.raises(ValueError, match=r"the module gives \(1, 36\): expected maps of shape"):
        channel_reach(nn.Flatten(), (4, 3, 3))
