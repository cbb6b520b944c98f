"""The sparse seed convolution against torch's grouped one."""

import copy

import pytest
import torch
from torch import fx, nn

import groupnl
from groupnl.nn import SparseConv2d

CASES = [
    {"in_channels": 12, "out_channels": 6, "kernel_size": 3, "padding": 1, "groups": 6},
    {"in_channels": 12, "out_channels": 3, "kernel_size": (5, 3), "stride": (2, 1), "groups": 3, "bias": False},
    {"in_channels": 8, "out_channels": 4, "kernel_size": 3, "padding": "same", "dilation": 2, "groups": 4},
    {"in_channels": 8, "out_channels": 4, "kernel_size": 3, "padding": (2, 1), "padding_mode": "reflect", "groups": 4},
]


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_equals_the_grouped_convolution(case, channels_last):
    torch.manual_seed(0)
    sparse, plain = SparseConv2d(**case).double(), nn.Conv2d(**case).double()
    plain.load_state_dict(sparse.state_dict())
    images = torch.randn(2, case["in_channels"], 9, 7, dtype=torch.double)
    if channels_last:
        images = images.to(memory_format=torch.channels_last)
    grads = []
    for conv in (sparse, plain):
        held = images.clone().requires_grad_()
        out = conv(held)
        grads.append([out.detach(), *torch.autograd.grad(out.square().sum(), [held, *conv.parameters()])])
    for ours, torchs in zip(*grads, strict=True):
        torch.testing.assert_close(ours, torchs)
    assert grads[0][0].is_contiguous(memory_format=torch.channels_last if channels_last else torch.contiguous_format)


def test_is_taken_where_a_group_has_one_output():
    def kind(*channels, **options):
        return type(groupnl.GroupNLConv2d(*channels, 3, **options).seed_conv)

    assert kind(16, 16, sparse=True) is SparseConv2d
    assert kind(16, 16, reduction=4, sparse=True, nl_groups=2) is SparseConv2d
    assert kind(16, 24, sparse=True) is nn.Conv2d  # 4 groups of 3 outputs
    assert kind(8, 16, sparse=True) is nn.Conv2d  # depthwise already
    assert kind(16, 16) is nn.Conv2d


def test_exporters_see_one_grouped_convolution():
    layer, images = groupnl.GroupNLConv2d(16, 16, 3, sparse=True).eval(), torch.randn(1, 16, 6, 6)
    program = torch.export.export(layer, (images,))
    assert [str(node.target) for node in program.graph.nodes].count("aten.conv2d.default") == 1
    assert "aten.add.Tensor" not in {str(node.target) for node in program.graph.nodes}
    torch.testing.assert_close(program.module()(images), layer(images))


def test_torch_fx_and_the_compiler_follow():
    layer, images = groupnl.GroupNLConv2d(16, 16, 3, sparse=True), torch.randn(2, 16, 6, 6)
    torch.testing.assert_close(fx.symbolic_trace(layer)(images), layer(images))
    compiled = torch.compile(copy.deepcopy(layer), backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(images), layer(images))
