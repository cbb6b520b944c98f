"""fuse_for_inference_(): the net before, in float64, is the reference; its statistics are none of the fresh ones."""

import copy
import warnings

import numpy as np
import pytest
import timm
import torch
import torchvision
from timm.layers import Conv2dSame, StdConv2d
from torch import nn
from torch.nn.utils import parametrizations, prune

import groupnl
from groupnl.models import zoo_names
from groupnl.nn import GhostConv2d, GroupNLConv2d, MonoConv2d, SineFMConv2d, fuse_for_inference_
from groupnl.nn.channel_norm import is_channel_norm
from groupnl.nn.fused import FoldedNorm, FusedLayer


@pytest.fixture(autouse=True)
def seeded():
    """The same weights in every run: some draws make nets whose answers move by 1e-9 with the last bit of a weight."""
    torch.manual_seed(2)


def lived_in(model, size=(3, 32, 32), dtype=torch.double):
    """Statistics of a batch, weights and biases drawn: as after some training."""
    generator = torch.Generator().manual_seed(1)
    model.to(dtype).eval()
    for norm in (module for module in model.modules() if is_channel_norm(module)):
        norm.momentum = 1.0
        with torch.no_grad():
            for name, low, high in (("weight", 0.5, 1.5), ("bias", -0.3, 0.3)):
                if getattr(norm, name, None) is not None:
                    getattr(norm, name).uniform_(low, high, generator=generator)
    with torch.no_grad():
        model.train()(torch.randn(8, *size, generator=generator, dtype=dtype))
    return model.eval()


def answers(model, x):
    with torch.no_grad():
        found = model(x)
    return found["out"] if isinstance(found, dict) else found


def assert_same_answers(model, size=(3, 32, 32)):
    """Fuse; the answers may differ by rounding alone.

    In float64 by 1e-9 of the largest answer; in float32 by 1e-5 of it, or by three times what float32 was off before.
    """
    x = torch.randn(3, *size, generator=torch.Generator().manual_seed(2), dtype=torch.double)
    expected = answers(model, x)
    single = copy.deepcopy(model).float()
    before = answers(single, x.float())
    report = fuse_for_inference_(model)
    fuse_for_inference_(single)
    largest = expected.abs().max()
    assert (answers(model, x) - expected).abs().max() <= 1e-9 * largest
    rounding = (before - expected).abs().max()
    assert (answers(single, x.float()) - before).abs().max() <= max(1e-5 * largest, 3 * rounding)
    assert not any(module.training for module in model.modules())
    return report


def assert_kept(model, reason, size=(3, 8, 8)):
    """Nothing is folded, and the report says why."""
    report = assert_same_answers(model, size)
    assert not report.folded
    assert any(reason in row.reason for row in report.kept), report
    return report


# The arithmetic


def test_numbers_worked_by_hand():
    net = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2, eps=0.0625)).eval()
    conv, norm = net
    with torch.no_grad():
        conv.weight.copy_(torch.tensor([2.0, -3.0]).reshape(2, 1, 1, 1))
        conv.bias.copy_(torch.tensor([1.0, 0.0]))
        norm.running_mean.copy_(torch.tensor([3.0, -1.0]))
        norm.running_var.copy_(torch.tensor([0.1875, 3.9375]))  # 0.25 and 4 with eps
        norm.weight.copy_(torch.tensor([5.0, -1.0]))
        norm.bias.copy_(torch.tensor([1.0, 0.5]))
    report = fuse_for_inference_(net)
    assert conv.weight.flatten().tolist() == [20.0, 1.5]  # 2 * 5 / 0.5, -3 * -1 / 2
    assert conv.bias.tolist() == [10.0 * (1 - 3) + 1, -0.5 * (0 + 1) + 0.5]
    assert isinstance(net[1], FoldedNorm)
    assert report.to_dict() == {
        "folded": ({"norm": "1", "into": "0", "form": "weights"},),
        "kept": (),
        "made_plain": (),
    }


@pytest.mark.parametrize(
    "conv",
    [
        nn.Conv2d(4, 6, 3, bias=False),
        nn.Conv2d(4, 6, (3, 2), stride=2, padding=1, dilation=2),
        nn.Conv2d(4, 6, 3, groups=2, padding=1, padding_mode="reflect"),
        nn.Conv2d(4, 8, 3, groups=4, bias=False),
        Conv2dSame(4, 6, 3, stride=2),
        GroupNLConv2d(4, 6, 3, reduction=1),
    ],
    ids=["no bias", "strided", "grouped", "depthwise", "same", "reduction 1"],
)
def test_every_plain_convolution_takes_a_norm_into_its_weights(conv):
    norm = nn.BatchNorm2d(conv.out_channels)
    report = assert_same_answers(lived_in(nn.Sequential(conv, norm), (4, 9, 11)), (4, 9, 11))
    assert [row.form for row in report.folded] == ["weights"]


@pytest.mark.parametrize(
    "norm",
    [
        nn.BatchNorm2d(6, affine=False),
        nn.SyncBatchNorm(6),
        torchvision.ops.FrozenBatchNorm2d(6),
        timm.layers.BatchNormAct2d(6, act_layer=nn.SiLU),
        timm.layers.FrozenBatchNormAct2d(6, act_layer=nn.Hardswish),
    ],
    ids=lambda norm: type(norm).__name__,
)
def test_norms_of_all_libraries(norm):
    model = nn.Sequential(nn.Conv2d(3, 6, 3), norm, nn.ReLU(inplace=True)).eval()
    with torch.no_grad():
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.2, 3)
    report = assert_same_answers(model.double())
    assert len(report.folded) == 1


@pytest.mark.parametrize("nlf", ["sine", "gaussian"])
def test_the_norm_of_seed_maps_goes_into_the_seed_convolution(nlf):
    model = nn.Sequential(GroupNLConv2d(3, 10, 3, bias=False, normalize="batch", nlf=nlf), nn.BatchNorm2d(10))
    unfused = copy.deepcopy(lived_in(model)).state_dict()
    report = assert_same_answers(model)
    assert [(row.norm, row.into, row.form) for row in report.folded] == [
        ("0.seed_norm", "0.seed_conv", "weights"),
        ("1", "0", "affine"),
    ]
    assert not report.kept
    with pytest.raises(RuntimeError, match="weights are of a net with batch norms"):
        model[0].layer.load_state_dict({name[2:]: value for name, value in unfused.items() if name[0] == "0"})


def test_a_norm_of_seed_maps_stays_where_it_cannot_be_folded():
    layer = GroupNLConv2d(3, 10, 3, normalize="batch")
    layer.seed_norm.register_forward_hook(lambda *_: None)
    assert_kept(nn.Sequential(layer).double().eval(), "has hooks")
    layer = GroupNLConv2d(3, 10, 3, normalize="batch")
    layer.seed_conv = StdConv2d(3, 5, 3)
    assert_kept(nn.Sequential(layer).double().eval(), "its seed convolution is a StdConv2d")


@pytest.mark.parametrize("layer", [GroupNLConv2d, GhostConv2d, SineFMConv2d, StdConv2d])
def test_other_layers_take_a_norm_as_a_scale_and_a_bias(layer):
    model = nn.Sequential(layer(3, 10, 3), nn.BatchNorm2d(10), nn.ReLU())
    report = assert_same_answers(lived_in(model))
    assert isinstance(model[0], FusedLayer)
    assert report.folded[0].form == "affine"
    assert not report.kept


def test_norms_inside_a_sinefm_layer_go_into_its_mixing_convolution():
    """Against numpy: output o of seed map i is the weighted sum of its batch-normalised sinusoids."""
    layer = lived_in(SineFMConv2d(3, 12, 3, reduction=4, sinusoids=3), (3, 6, 7))
    x = torch.randn(2, 3, 6, 7, dtype=torch.double)
    seeds = layer.seed_conv(x).detach().numpy()
    weight = layer.mix.weight.detach().numpy()[:, :, 0, 0]
    expected = [seeds[:, i] for i in range(3)]
    for o in range(9):
        total = np.zeros_like(seeds[:, 0])
        for k, norm in enumerate(layer.norms):
            i = o // 3
            wave = np.sin(float(layer.period[k]) * (seeds[:, i] - float(layer.shift[k])))
            mean, variance = norm.running_mean[i].item(), norm.running_var[i].item()
            normed = (wave - mean) / np.sqrt(variance + norm.eps) * norm.weight[i].item() + norm.bias[i].item()
            total += weight[o, k] * normed
        expected.append(total)
    report = fuse_for_inference_(layer)
    found = layer(x).detach().numpy()
    np.testing.assert_allclose(found, np.stack(expected, 1), rtol=1e-10, atol=1e-10)
    assert [(row.norm, row.into) for row in report.folded] == [(f"norms.{k}", "mix") for k in range(3)]


def test_mono_layers_become_plain_convolutions():
    model = nn.Sequential(MonoConv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(), MonoConv2d(8, 4, 3))
    report = assert_same_answers(lived_in(model))
    assert report.made_plain == ("0", "3")
    assert {type(model[0]), type(model[3])} == {nn.Conv2d}


# Whole nets


@pytest.mark.parametrize("name", ["resnet8", "groupnl_resnet8", "ghost_resnet8", "sinefm_resnet8", "mono_resnet8"])
def test_small_zoo_nets(name):
    report = assert_same_answers(lived_in(groupnl.create_model(name, num_classes=10)))
    assert not report.kept


def test_a_mobile_net_with_norms_that_hold_their_activation():
    model = lived_in(groupnl.create_model("groupnl_mobilenetv3_large_100", num_classes=10), (3, 64, 64))
    report = assert_same_answers(model, (3, 64, 64))
    assert not report.kept
    assert {row.form for row in report.folded} == {"weights", "affine"}
    assert str(report).splitlines() == [
        "folded 46 of 46 batch norms",
        "  31 into weights",
        "  15 into a scale and a bias with the layer's last step",
    ]


@pytest.mark.long
@pytest.mark.parametrize("name", zoo_names())
def test_every_zoo_net(name):
    model = lived_in(groupnl.create_model(name, num_classes=10), (3, 64, 64))
    assert not assert_same_answers(model, (3, 64, 64)).kept


@pytest.mark.long
@pytest.mark.parametrize("policy", ["pointwise", "lean", "sparse_depthwise"])
@pytest.mark.parametrize("name", ["mobilenetv2_100", "mobilenetv4_conv_small", "efficientnet_b0"])
def test_light_forms_of_mobile_nets(name, policy):
    model = groupnl.create_model(name, num_classes=10)
    groupnl.convert_(model, policy)
    assert not assert_same_answers(lived_in(model, (3, 64, 64)), (3, 64, 64)).kept


TIMM = {  # name: norms that stay
    "mobilenetv3_small_100": 0,
    "tf_efficientnet_b0": 0,
    "mobilenetv4_conv_small": 0,
    "regnety_002": 0,
    "repvit_m0_9": 25,  # some read a sum
    "mobilevit_xxs": 0,
    "efficientvit_b0": 0,
    "ghostnet_050": 0,
    "hrnet_w18_small": 0,
    "xception41": 0,
    "dla46_c": 0,
    "res2net50_14w_8s": 0,
    "densenet121": 62,  # they read what is gathered
    "levit_128s": 48,  # behind linear layers
}


@pytest.mark.long
@pytest.mark.parametrize(("name", "kept"), TIMM.items())
def test_nets_of_timm(name, kept):
    size = (3, 224, 224) if name.startswith("levit") else (3, 64, 64)
    report = assert_same_answers(lived_in(timm.create_model(name, num_classes=10), size), size)
    assert len(report.kept) == kept


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "kept"), {"resnet18": 0, "mobilenet_v2": 0, "googlenet": 0, "densenet121": 62, "vgg11_bn": 0}.items()
)
def test_nets_of_torchvision(name, kept):
    """They call ``F.relu`` and hold activations in containers."""
    options = {"aux_logits": False, "init_weights": False} if name == "googlenet" else {}
    model = getattr(torchvision.models, name)(weights=None, num_classes=10, **options)
    assert len(assert_same_answers(lived_in(model, (3, 64, 64)), (3, 64, 64)).kept) == kept


def test_a_segmentation_net_answers_with_a_dict():
    make = torchvision.models.segmentation.lraspp_mobilenet_v3_large
    model = lived_in(make(weights_backbone=None, num_classes=3), (3, 48, 48))
    assert not assert_same_answers(model, (3, 48, 48)).kept


# What must stay


class Between(nn.Module):
    """A convolution, a norm, and whatever a test makes of the two."""

    def __init__(self, forward, conv=None, norm=None):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1) if conv is None else conv
        self.norm = nn.BatchNorm2d(3) if norm is None else norm
        self.do = forward

    def forward(self, x):
        return self.do(self, x)


def behind(net, x):
    return torch.relu(net.norm(net.conv(x)))


def test_a_functional_activation_is_no_hindrance():
    assert len(assert_same_answers(lived_in(Between(behind))).folded) == 1


@pytest.mark.parametrize(
    "forward",
    [
        lambda net, x: (lambda y: net.norm(y) + y)(net.conv(x)),
        lambda net, x: net.norm(torch.relu(net.conv(x))),
        lambda net, x: net.norm(net.conv(x)) + net.norm(x),
        lambda net, x: net.conv(net.norm(net.conv(x))),
        lambda net, x: net.norm(net.conv(x)) * net.conv.weight.mean(),
        lambda net, x: net.norm(net.conv(x)) if x.mean() > 9 else net.conv(x),
    ],
    ids=["two readers", "activation first", "norm elsewhere too", "conv again", "weights read", "not traceable"],
)
def test_where_code_does_more_the_norm_stays(forward):
    assert_kept(lived_in(Between(forward)), "nothing shows that it alone reads one convolution")


def test_a_pair_in_several_places_stays():
    conv, norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)
    for pair in ((conv, nn.BatchNorm2d(3)), (nn.Conv2d(3, 3, 1), norm), (conv, norm)):
        model = nn.Sequential(nn.Sequential(conv, norm), nn.ReLU(), nn.Sequential(*pair))
        report = assert_same_answers(lived_in(model))
        assert not report.folded


def test_called_twice_together_is_folded():
    model = Between(lambda net, x: net.norm(net.conv(net.norm(net.conv(x)))))
    assert len(assert_same_answers(lived_in(model)).folded) == 1


def hooked(module):
    module.register_forward_hook(lambda *_: None)
    return module


def pruned(conv):
    prune.l1_unstructured(conv, "weight", amount=0.5)
    return conv


def weight_normed(conv):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return nn.utils.weight_norm(conv)


@pytest.mark.parametrize(
    ("conv", "norm", "reason"),
    [
        (hooked(nn.Conv2d(3, 3, 1)), nn.BatchNorm2d(3), "has hooks"),
        (nn.Conv2d(3, 3, 1), hooked(nn.BatchNorm2d(3)), "has hooks"),
        (pruned(nn.Conv2d(3, 3, 1)), nn.BatchNorm2d(3), "has hooks"),
        (weight_normed(nn.Conv2d(3, 3, 1)), nn.BatchNorm2d(3), "has hooks"),
        (parametrizations.weight_norm(nn.Conv2d(3, 3, 1)), nn.BatchNorm2d(3), "has parametrizations"),
        (nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3, track_running_stats=False), "no running statistics"),
    ],
    ids=["hook", "hook on the norm", "pruned", "weight norm", "parametrization", "no running statistics"],
)
def test_what_works_through_the_modules_keeps_working(conv, norm, reason):
    model = Between(behind, conv, norm).double().eval()
    norm.register_buffer("unused", None)
    report = fuse_for_inference_(model)
    assert not report.folded
    assert [reason in row.reason for row in report.kept] == [True]
    assert reason in str(report)
    assert model.conv is conv
    assert model.norm is norm


def test_a_hook_inside_a_layer_keeps_its_norms():
    ghost = GhostConv2d(3, 8, 3)
    hooked(ghost.primary_conv[0])
    sinefm, mono = SineFMConv2d(3, 8, 3), hooked(MonoConv2d(3, 8, 3))
    hooked(sinefm.mix)
    for layer, kept, folded in ((ghost, 2, 1), (sinefm, 3, 0), (mono, 1, 0)):
        report = assert_same_answers(lived_in(nn.Sequential(layer, nn.BatchNorm2d(8))))
        assert (len(report.kept), len(report.folded)) == (kept, folded)
        assert not report.made_plain


def test_a_norm_left_in_training_mode_stays():
    model = lived_in(Between(behind))
    model.norm.train()
    report = fuse_for_inference_(model)
    assert [row.reason for row in report.kept] == ["in training mode"]


# What else a user may do


def test_a_net_in_training_mode_is_refused_and_untouched():
    model = groupnl.create_model("mono_resnet8")
    before = {name: type(module) for name, module in model.named_modules()}
    with pytest.raises(ValueError, match=r"the net is in training mode: call model\.eval\(\) first"):
        fuse_for_inference_(model)
    assert {name: type(module) for name, module in model.named_modules()} == before
    assert model.training


def test_a_net_without_values_is_refused():
    with torch.device("meta"):
        model = groupnl.create_model("resnet8").eval()
    with pytest.raises(ValueError, match="tensors without values"):
        fuse_for_inference_(model)


def test_a_second_time_there_is_nothing_to_do():
    model = lived_in(groupnl.create_model("groupnl_resnet8"))
    fuse_for_inference_(model)
    report = assert_same_answers(model)
    assert (report.folded, report.kept) == ((), ())
    assert str(report) == "folded 0 of 0 batch norms"


def test_training_a_fused_net_is_refused():
    model = lived_in(groupnl.create_model("resnet8"))
    fuse_for_inference_(model)
    with pytest.raises(RuntimeError, match="fused for inference"):
        model.train()
    assert model.eval() is model


def test_weights_fit_nets_fused_alike_only():
    model, other = (lived_in(groupnl.create_model("groupnl_resnet8", seed=1)) for _ in range(2))
    trained = copy.deepcopy(model.state_dict())
    with torch.no_grad():
        other.conv1.weight.mul_(3)
    fuse_for_inference_(model)
    fuse_for_inference_(other)
    other.load_state_dict(model.state_dict())
    x = torch.randn(2, 3, 32, 32, dtype=torch.double)
    assert torch.equal(answers(model, x), answers(other, x))
    with pytest.raises(RuntimeError, match="bn1: these weights are of a net with batch norms"):
        other.load_state_dict(trained, strict=False)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_stays_as_close(dtype):
    """Errors against float64: at most twice those of the net before, whether it is fused or rounded first."""
    exact = lived_in(groupnl.create_model("groupnl_resnet8", num_classes=10))
    x = torch.randn(16, 3, 32, 32, dtype=torch.double)
    expected = answers(exact, x)
    rounded_first, fused_first = copy.deepcopy(exact).to(dtype), copy.deepcopy(exact)
    before = (answers(rounded_first, x.to(dtype)).double() - expected).abs()
    fuse_for_inference_(rounded_first)
    fuse_for_inference_(fused_first)
    for model in (rounded_first, fused_first.to(dtype)):
        after = answers(model, x.to(dtype))
        assert after.dtype == dtype
        assert (after.double() - expected).abs().mean() <= 2 * before.mean()


def test_memory_order_and_trainability_stay():
    model = lived_in(groupnl.create_model("resnet8")).to(memory_format=torch.channels_last)
    model.conv1.requires_grad_(False)
    fuse_for_inference_(model)
    assert model.layer1.conv1.weight.is_contiguous(memory_format=torch.channels_last)
    assert not model.conv1.weight.requires_grad
    assert model.layer1.conv1.weight.requires_grad
