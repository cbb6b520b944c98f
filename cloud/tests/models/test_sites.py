"""What a warm start reads from a net before it touches anything."""

import pytest
import torch
from torch import nn

from groupnl.models import GhostPolicy, StandardPolicy
from groupnl.models.sites import find_sites


class Block(nn.Module):
    def __init__(self, middle, groups=1):
        super().__init__()
        self.conv1 = nn.Conv2d(4, 8, 1)
        self.conv2 = nn.Conv2d(8, 8, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(8)
        self.middle = middle
        self.conv3 = nn.Conv2d(8, 8, 1, groups=groups)

    def forward(self, x):
        return self.conv3(self.middle(self.bn2(self.conv2(self.conv1(x)))))


class SwapHalves(nn.Module):
    def forward(self, x):
        return torch.cat([x[:, 4:], x[:, :4]], dim=1)


def only_site(model, calls=None):
    (site,) = find_sites(model, StandardPolicy().plan(model), calls)
    return site


def test_norm_and_reader_are_found():
    site = only_site(Block(nn.Sequential(nn.ReLU(inplace=True), nn.Dropout(0.5))))
    assert (site.name, site.norm, site.reader) == ("conv2", "bn2", "conv3")


@pytest.mark.parametrize(
    "model",
    [
        Block(nn.PReLU(8)),  # has a value for each channel
        Block(SwapHalves()),
        Block(nn.LocalResponseNorm(3)),  # mixes neighbours
        Block(nn.ReLU(), groups=2),  # the reader tells channels apart
    ],
)
def test_where_the_order_is_not_free_nobody_reads(model):
    site = only_site(model)
    assert (site.norm, site.reader) == ("bn2", None)


def test_a_norm_without_statistics_or_called_more_often_is_left_alone():
    model = Block(nn.ReLU())
    model.bn2 = nn.BatchNorm2d(8, track_running_stats=False)
    assert only_site(model).norm is None
    assert only_site(model).reader is None  # its weights tell channels apart
    calls = {"conv2": 1, "bn2": 2, "middle": 1, "conv3": 1}
    site = only_site(Block(nn.ReLU()), calls)
    assert (site.norm, site.reader) == (None, None)
    assert only_site(Block(nn.ReLU()), {**calls, "bn2": 1, "conv3": 2}).reader is None


def test_a_norm_that_two_convolutions_go_through_is_left_alone():
    class Both(Block):
        def forward(self, x):
            return self.bn2(self.conv2(self.conv1(x))) + self.bn2(self.conv3(self.conv1(x)))

    assert only_site(Both(nn.ReLU())).norm is None


def test_other_layers_are_refused():
    model = Block(nn.ReLU())
    with pytest.raises(ValueError, match=r"'conv2' becomes a GhostConv2d; only the weights of a GroupNL layer"):
        find_sites(model, GhostPolicy().plan(model), None)
