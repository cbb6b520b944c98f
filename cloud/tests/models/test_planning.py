"""Going through a net's convolutions, and taking one's place."""

import torch
from timm.layers import Conv2dSame
from torch import nn

from groupnl.models.planning import arguments_of, follow, own_convolutions, plan_convolutions


def test_every_convolution_gets_one_edit_under_all_its_names():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3))
    model.again = model[1]
    edits = plan_convolutions(
        model,
        lambda _name, _conv, is_first: "first" if is_first else "",
        lambda conv, _name: nn.Conv2d(**arguments_of(conv)),
    )
    assert [(edit.target, edit.reason, sorted(edit.modules)) for edit in edits] == [
        ("0", "first", []),
        ("1", "", ["1", "again"]),
    ]
    assert edits[1].modules["1"] is edits[1].modules["again"]


def test_a_layer_that_cannot_be_built_gives_its_reason():
    def refuse(_conv, _name):
        raise ValueError("too small")

    (edit,) = plan_convolutions(nn.Sequential(nn.Conv2d(3, 4, 3)), lambda *_: "", refuse)
    assert (edit.reason, dict(edit.modules)) == ("too small", {})


def test_following_a_same_padded_convolution_keeps_its_padding_and_weights():
    conv = Conv2dSame(4, 6, 3, stride=2).eval()
    layer = nn.Module()
    layer, seed_conv = follow(conv, layer, nn.Conv2d(4, 3, 3, stride=2))
    assert isinstance(seed_conv, Conv2dSame)
    torch.testing.assert_close(seed_conv.weight, conv.weight[:3])
    x = torch.randn(1, 4, 7, 6)
    torch.testing.assert_close(seed_conv(x), conv(x)[:, :3])
    assert not seed_conv.training


def test_own_convolutions_are_a_blocks_direct_children():
    model = nn.Sequential(nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Conv2d(4, 4, 3)))
    assert [[name for name, _ in convs] for convs in own_convolutions(model)] == [["0.0", "0.2"]]
