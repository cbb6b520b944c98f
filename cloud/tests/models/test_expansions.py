"""Where nets of different libraries expand."""

import timm
import torch
import torchvision
from torch import nn

from groupnl.models.expansions import Expansion, expansions


def found(make):
    with torch.device("meta"):
        return expansions(make())


def test_children_of_one_block_and_nested_blocks_give_the_same_expansions():
    timms = found(lambda: timm.create_model("mobilenetv2_100"))
    torchvisions = found(torchvision.models.mobilenet_v2)
    assert len(timms) == len(torchvisions) == 16
    assert timms[0] == Expansion(
        name="blocks.1.0.conv_pw", between=("blocks.1.0.bn1",), end="blocks.1.0.conv_dw", shared=()
    )
    block = "features.2.conv."
    assert torchvisions[0] == Expansion(
        name=f"{block}0.0", between=(f"{block}0.1", f"{block}0.2"), end=f"{block}1.0", shared=()
    )


def test_a_net_whose_depthwise_convolution_comes_first_expands_before_its_projection():
    convnext = found(lambda: timm.create_model("convnext_atto"))
    assert len(convnext) == 12
    assert (convnext[0].name, convnext[0].end) == ("stages.0.blocks.0.mlp.fc1", "stages.0.blocks.0.mlp.fc2")
    repvit = found(lambda: timm.create_model("repvit_m0_9"))
    assert len(repvit) == 26
    assert {row.name.rpartition(".")[0].rpartition(".")[2] for row in repvit} == {"conv1"}


def test_what_is_no_expansion():
    def chain(*sizes):
        return nn.Sequential(*(nn.Conv2d(a, b, k, groups=g) for a, b, k, g in sizes))

    assert expansions(chain((8, 16, 3, 1), (16, 16, 3, 16))) == []  # not 1x1
    assert expansions(chain((16, 16, 1, 1), (16, 16, 3, 16))) == []  # widens nothing
    assert expansions(chain((8, 16, 1, 2), (16, 16, 3, 16))) == []  # grouped
    assert expansions(chain((8, 16, 1, 1), (16, 32, 1, 1))) == []  # before a convolution that widens again
    assert expansions(chain((8, 16, 1, 1), (16, 16, 3, 1))) == []  # before a dense 3x3 one
    assert expansions(nn.Sequential(chain((8, 16, 1, 1)), nn.Flatten(), nn.Linear(16, 4))) == []
    assert [row.name for row in expansions(chain((8, 16, 1, 1), (16, 16, 3, 16)))] == ["0"]


class TwoPaths(nn.Module):
    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Conv2d(4, 8, 1), nn.Conv2d(4, 8, 1)
        self.norm, self.act, self.depthwise = nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3, groups=8)

    def forward(self, x):
        return self.depthwise(self.act(self.norm(self.left(x)))) + self.depthwise(self.act(self.norm(self.right(x))))


def test_modules_that_two_convolutions_go_through_are_named():
    left, right = expansions(TwoPaths())
    assert (left.name, right.name) == ("left", "right")
    assert left.shared == right.shared == ("norm", "act", "depthwise")
