"""The bound on lean nets: its nets have the shape of lean ones, and its words are right."""

import pytest
import torch
from benchmarks.lean_bound import FUNCTIONS, bounded_net, lean_net, sentence
from torch import nn

from groupnl.nn import GroupNLConv2d


@pytest.mark.parametrize("form", FUNCTIONS)
def test_nets_of_the_same_shape(form):
    lean, bounded = lean_net("mobilenetv2_100"), bounded_net("mobilenetv2_100", FUNCTIONS[form])
    assert not any(isinstance(module, GroupNLConv2d) for module in bounded.modules())

    def seeds(net):
        return [m for m in net.modules() if isinstance(m, nn.Conv2d) and m.groups > 1 and m.kernel_size > (1, 1)]

    assert [tuple(m.weight.shape) for m in seeds(lean)] == [tuple(m.weight.shape) for m in seeds(bounded)]
    with torch.no_grad():
        assert bounded(torch.zeros(1, 3, 64, 64)).shape == (1, 1000)


def test_words():
    rows = [
        {"net": "a", "form": form, "median_ms": 1.0, "ratio_to_vanilla": ratio}
        for form, ratio in (("vanilla", 1.0), ("lean", 1.25), ("copies", 0.755))
    ]
    assert sentence(rows) == "- a, ratio to vanilla: lean 1.25, copies 0.76."
