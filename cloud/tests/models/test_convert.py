"""convert_(): what it exchanges, what it keeps, what it says and what it refuses."""

import copy

import pytest
import timm
import torch
from timm.layers import Conv2dSame
from torch import nn

import groupnl
from groupnl.models import Edit, convert_
from groupnl.nn import GroupNLConv2d


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.body = nn.Sequential(
            nn.Conv2d(8, 8, 3, padding=1),
            nn.Conv2d(8, 16, 3, stride=2, padding=1),
            nn.Conv2d(16, 16, 3, padding=2, dilation=2, bias=False, padding_mode="reflect"),
            nn.Conv2d(16, 16, 1),
            nn.Conv2d(16, 16, 3, padding=1, groups=16),
            nn.Conv2d(16, 6, 3, padding=1),
        )

    def forward(self, x):
        return self.body(self.stem(x))


def test_standard_replaces_what_it_should_and_says_why_not():
    model = Net()
    x = torch.randn(2, 3, 8, 6)
    shape = model(x).shape
    report = convert_(model, "standard", input_size=(3, 8, 6))
    assert [row.name for row in report.replaced] == ["body.0", "body.2"]
    assert {row.name: row.reason for row in report.skipped} == {
        "stem": "the net's first convolution (stem)",
        "body.1": "stride 2x2, not 1",
        "body.3": "kernel 1x1, not 3x3",
        "body.4": "already a grouped convolution",
        "body.5": "nl_groups=4: expected 1 to 3, the number of seed maps of out_channels=6 at reduction=2",
    }
    assert model(x).shape == shape
    layer = model.body[2]
    assert layer.key == "body.2"
    assert layer.seed_conv.bias is None
    assert (layer.seed_conv.dilation, layer.seed_conv.padding_mode) == ((2, 2), "reflect")


def test_the_report_counts_and_prints():
    model = Net()
    before = sum(p.numel() for p in model.parameters())
    report = convert_(model, input_size=(3, 8, 6))
    assert report.params_before == before
    assert report.params_after == sum(p.numel() for p in model.parameters())
    # body.0: 8 x 4 x 9 instead of 8 x 8 x 9 multiply-adds for 48 pixels; body.2: 16 x 8 x 9 instead of 16 x 16 x 9
    # for 12
    assert report.macs_before - report.macs_after == 8 * 4 * 9 * 48 + 16 * 8 * 9 * 12
    text = str(report)
    assert "replaced 2 convolutions, left 5" in text
    assert "Conv(8, 8) -> GroupNL(8, 4 + 4)" in text
    assert "left 1 x stride 2x2, not 1" in text
    assert report.to_dict()["replaced"][0]["name"] == "body.0"
    assert "not counted: give input_size=(C, H, W)" in str(convert_(Net()))


def test_a_net_that_takes_no_batch_of_images_is_converted_without_a_count():
    class OfTwo(Net):
        def forward(self, x, y):
            return super().forward(x + y)

    report = convert_(OfTwo(), input_size=(3, 8, 6))
    assert (len(report.replaced), report.macs_before, report.macs_after) == (2, None, None)
    assert "OfTwo does not run on a batch of images of (3, 8, 6) without values (TypeError: " in report.not_counted
    assert report.not_counted in str(report)


def test_dtype_mode_and_trainability_are_kept():
    model = Net().double().eval()
    model.body[0].requires_grad_(False)
    convert_(model)
    assert model.body[0].seed_conv.weight.dtype == torch.double
    assert not model.body[0].training
    assert not model.body[0].seed_conv.weight.requires_grad
    assert model.body[2].seed_conv.weight.requires_grad
    assert model(torch.randn(1, 3, 8, 8, dtype=torch.double)).dtype == torch.double


def test_seed_filters_start_as_the_first_filters():
    model = Net()
    weight, bias = model.body[0].weight.detach().clone(), model.body[0].bias.detach().clone()
    convert_(model)
    torch.testing.assert_close(model.body[0].seed_conv.weight, weight[:4], rtol=0, atol=0)
    torch.testing.assert_close(model.body[0].seed_conv.bias, bias[:4], rtol=0, atol=0)


def test_sparse_seed_filters_start_from_the_inputs_that_they_see():
    dense = nn.Sequential(nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 1))
    weight = dense[1].weight.detach().clone()
    convert_(dense, "sparse_bottleneck")
    for seed in range(4):
        torch.testing.assert_close(dense[1].seed_conv.weight[seed], weight[seed, 2 * seed : 2 * seed + 2])
    depthwise = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False))
    x = torch.randn(1, 8, 5, 5)
    before = depthwise(x)
    convert_(depthwise, "sparse_depthwise", normalize="none", nlf="identity")
    # each seed map is the sum of two of the old maps, and the other half copies the seeds
    seeds = before[:, 0::2] + before[:, 1::2]
    torch.testing.assert_close(depthwise(x), torch.cat([seeds, seeds], dim=1))


def test_timms_same_padding_is_kept():
    model = nn.Sequential(nn.Conv2d(3, 8, 1), Conv2dSame(8, 8, 3, stride=2, groups=8))
    shape = model(torch.randn(1, 3, 7, 10)).shape
    convert_(model, "sparse_depthwise")
    assert isinstance(model[1].seed_conv, Conv2dSame)
    assert model(torch.randn(1, 3, 7, 10)).shape == shape == (1, 8, 4, 5)


def test_a_selector_narrows_the_policy():
    model = Net()
    report = convert_(model, select=lambda name, module: name != "body.0")
    assert [row.name for row in report.replaced] == ["body.2"]
    assert next(row.reason for row in report.skipped if row.name == "body.0") == "not selected"


def test_a_policy_object_decides_itself():
    class OnlyTheStem:
        def plan(self, model):
            return [Edit(target="stem", modules={"stem": GroupNLConv2d(3, 8, 3, padding=1, key="stem")})]

    model = Net()
    report = convert_(model, OnlyTheStem())
    assert isinstance(model.stem, GroupNLConv2d)
    assert report.policy == "OnlyTheStem"
    with pytest.raises(ValueError, match=r"options \['reduction'\] with a policy object"):
        convert_(Net(), OnlyTheStem(), reduction=2)


def test_a_policy_object_that_names_an_unknown_module_changes_nothing():
    class Wrong:
        def plan(self, model):
            return [Edit(target="stem", modules={"stem": nn.Identity(), "nowhere": nn.Identity()})]

    model = Net()
    with pytest.raises(ValueError, match="names 'nowhere'"):
        convert_(model, Wrong())
    assert isinstance(model.stem, nn.Conv2d)


def test_a_shared_convolution_stays_shared():
    model = Net()
    model.again = model.body[0]
    report = convert_(model)
    assert model.again is model.body[0]
    assert isinstance(model.again, GroupNLConv2d)
    assert [row.name for row in report.replaced].count("body.0") == 1


def test_convolutions_with_an_arithmetic_of_their_own_stay():
    model = Net()
    model.body[0] = nn.utils.parametrizations.weight_norm(model.body[0])
    model.body[2].register_forward_hook(lambda *_: None)
    with pytest.raises(ValueError, match="arithmetic of its own"):
        convert_(model)


def test_converting_twice_is_refused():
    model = Net()
    convert_(model)
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(ValueError, match=r"it has 2 layers like 'body.0', a GroupNLConv2d; convert a fresh net"):
        convert_(model)
    assert model.state_dict().keys() == before.keys()


@pytest.mark.parametrize(
    ("model", "arguments", "message"),
    [
        (nn.Linear(2, 2), {}, "nothing in Linear can be replaced by this policy: it has no convolution"),
        (nn.Sequential(nn.Conv2d(3, 8, 3)), {}, r"1 x the net's first convolution \(stem\)"),
        (nn.Conv2d(3, 8, 3), {"policy": "best"}, "policy='best': expected one of standard, sparse_bottleneck"),
        (nn.Conv2d(3, 8, 3), {"ratio": 2}, "option 'ratio': policy 'standard' takes reduction, nl_groups"),
        (
            nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(1, 1, 3, groups=1)),
            {"policy": "sparse_depthwise"},
            "not depthwise",
        ),
        (Net(), {"input_size": (3, 8)}, r"input_size=\(3, 8\): expected \(channels, height, width\), positive"),
        (
            nn.Sequential(nn.Conv2d(3, 9, 1), nn.Conv2d(9, 9, 3, groups=9)),
            {"policy": "sparse_depthwise"},
            r"gcd\(9, 5\) = 1: nothing would be sparse",
        ),
    ],
)
def test_refusals(model, arguments, message):
    with pytest.raises(ValueError, match=message):
        convert_(model, **arguments)


def test_any_timm_net_converts_and_runs():
    model = timm.create_model("mobilenetv3_small_050", num_classes=5)
    report = groupnl.convert_(model, "sparse_depthwise", seed=3)
    assert report.input_size == (3, 224, 224)
    assert model(torch.randn(1, 3, 64, 64)).shape == (1, 5)
