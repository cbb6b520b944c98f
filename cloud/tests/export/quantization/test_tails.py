"""Which nodes of a traced net stay in float."""

from collections import Counter

import pytest
import torch
from torch import nn

from groupnl.export.graph import trace
from groupnl.export.passes.network import Network
from groupnl.export.plain_form import plain_form
from groupnl.export.quantization.tails import tail_nodes
from groupnl.nn import GroupNLConv2d


def tails(net: nn.Module) -> tuple[Counter[str], Counter[str]]:
    """Operators of the tails, and of all else."""
    plain = plain_form(net.eval())
    traced = trace(plain.module, torch.zeros(1, 3, 6, 7), plain.constants)
    network = Network(traced.model.graph, traced.rebuilt)
    inside = tail_nodes(network)
    return Counter(n.op for n in inside), Counter(n.op for n in network.nodes if n not in inside)


def head(channels: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(channels, 4, 1), nn.Flatten(), nn.Linear(4 * 6 * 7, 2))


def lived_in(net: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    net.train()(torch.randn(4, 3, 6, 7))
    return net


def test_norm_sine_batch_norm_and_activation_are_inside() -> None:
    net = lived_in(nn.Sequential(GroupNLConv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU6(), head(8)))
    inside, outside = tails(net)
    assert inside == Counter(ReduceL2=1, Clip=2, Div=1, Sub=1, Mul=1, Sin=1, Concat=1, BatchNormalization=1)
    assert outside == Counter(Conv=2, Reshape=1, Gemm=1)


@pytest.mark.parametrize("nlf", ["gaussian", "monomial", "legendre", "identity"])
def test_other_functions_too(nlf) -> None:
    net = lived_in(nn.Sequential(GroupNLConv2d(3, 9, 3, padding=1, reduction=3, nlf=nlf, nl_groups=2), head(9)))
    _, outside = tails(net)
    assert set(outside) <= {"Conv", "Reshape", "Gemm"}


def test_a_clamp_belongs_to_the_convolution() -> None:
    net = lived_in(nn.Sequential(GroupNLConv2d(3, 8, 3, padding=1, normalize="clamp"), nn.BatchNorm2d(8), head(8)))
    inside, outside = tails(net)
    assert inside == Counter(Sub=1, Mul=1, Sin=1, Concat=1, BatchNormalization=1)
    assert outside["Clip"] == 1


def test_a_concatenation_of_two_convolutions_is_no_layer() -> None:
    class Inception(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two, self.head = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 3, padding=1), head(8)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(torch.cat([self.one(x), torch.relu(self.two(x))], dim=1))

    inside, _ = tails(Inception())
    assert not inside
