"""One small net of every family that timm has: converted, it trains, and its weights load into the next one like it.

A family is one of timm's model files. Its member is the one with the smallest size word in its name, then the smallest
first number; its policy is the first that replaces anything when the named policies are tried in turn, beginning with
another one for every family; its image is the smallest at which the unconverted net runs.
"""

import re

import pytest
import timm
import torch
from timm.models import list_modules, model_entrypoint
from torch import nn

from groupnl.models import POLICIES, convert_
from groupnl.models.convert import apply_, plan
from groupnl.nn import GhostConv2d, SeededLayer

SIZE_WORDS = ("zepto", "atto", "femto", "pico", "xxtiny", "xxs", "nano", "xs", "micro", "mini", "tiny", "ti", "t")
SIZE_WORDS += ("small", "s")
IMAGE_SIZES = (64, 96, 128, 192, 224, 256)


def member(family):
    def size(name):
        parts = [part.rstrip("0123456789") for part in re.split(r"[_.]", name)]
        word = min((SIZE_WORDS.index(part) for part in parts if part in SIZE_WORDS), default=len(SIZE_WORDS))
        numbers = [int(number) for number in re.findall(r"\d+", name)]
        return word, min(numbers[:1], default=1000), len(name), name

    return min((name for name in timm.list_models(module=family) if not name.startswith("test_")), key=size)


def is_timms(family):
    return model_entrypoint(member(family)).__module__.startswith("timm.")  # ours are registered there too


# of different kinds, and quick
SAMPLE = (
    "convnext",
    "cpubone",
    "cspnet",
    "fasternet",
    "hardcorenas",
    "maxxvit",
    "metaformer",
    "mobilenetv3",
    "pvt_v2",
    "resnest",
    "resnet",
    "resnetv2",
)

# Exceptions, each with its reason, which is tested too.
NO_CONVOLUTION = "linear layers make its patches"
PATCHES = "its convolutions cut images into patches, halve maps or are 1x1 around attention: none is 3x3 at stride 1"
GROUPED = "its 3x3 convolutions at stride 1 are grouped already, with several channels a group"
STANDARDISED = "its convolutions standardise their weights as they run"
NOTHING_TO_REPLACE = {
    **dict.fromkeys(("beit", "byoanet", "cait", "convit", "crossvit", "deepseek_vit", "deit", "eva", "hiera"), PATCHES),
    **dict.fromkeys(("hieradet_sam2", "levit", "mlp_mixer", "pit", "qwen3_vit", "sequencer", "tnt"), PATCHES),
    **dict.fromkeys(("swin_transformer", "swin_transformer_v2", "swin_transformer_v2_cr"), PATCHES),
    **dict.fromkeys(("vision_transformer", "vision_transformer_relpos"), PATCHES),
    **dict.fromkeys(("gemma4_vit", "naflexvit"), NO_CONVOLUTION),
    **dict.fromkeys(("dpn", "regnet"), GROUPED),
    **dict.fromkeys(("nfnet", "vision_transformer_hybrid"), STANDARDISED),
}
MOST_PARAMETERS = 60e6  # a test on a small machine keeps two nets and their gradients
TOO_LARGE = ("mobilenetv5", "nasnet", "pnasnet", "vgg", "vision_transformer_sam")

TIMMS = [family for family in list_modules() if is_timms(family)]
FAMILIES = [family for family in TIMMS if family not in {*NOTHING_TO_REPLACE, *TOO_LARGE}]


def make(name, size):
    try:
        return timm.create_model(name, num_classes=3, img_size=size)
    except TypeError:  # takes images of any size
        return timm.create_model(name, num_classes=3)


def image_size(name):
    def runs(size):
        try:
            with torch.device("meta"):
                make(name, size)(torch.empty(2, 3, size, size))
        except (AssertionError, RuntimeError, TypeError, ValueError):
            return False
        return True

    return next(size for size in IMAGE_SIZES if runs(size))


def converted(family, model, size):
    names = list(POLICIES)
    first = TIMMS.index(family) % len(names)
    for policy in (*names[first:], *names[:first]):
        try:
            return policy, convert_(model, policy, input_size=(3, size, size))
        except ValueError:
            continue
    raise AssertionError(f"no policy replaces anything in {member(family)}")


def check(family):
    torch.manual_seed(0)
    name = member(family)
    size = image_size(name)
    model = make(name, size)
    policy, report = converted(family, model, size)
    assert report.not_counted == ""
    assert report.replaced

    out = model.train()(torch.randn(2, 3, size, size))
    nn.functional.cross_entropy(out, torch.tensor([0, 2])).backward()
    for layer in model.modules():
        if isinstance(layer, (SeededLayer, GhostConv2d)):
            assert all(parameter.grad is not None for parameter in layer.parameters())
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters() if parameter.grad is not None)

    twin = make(name, size)
    apply_(twin, plan(twin, POLICIES[policy]()))
    twin.load_state_dict(model.state_dict())
    x = torch.randn(1, 3, size, size)
    with torch.no_grad():
        assert torch.equal(twin.eval()(x), model.eval()(x))


@pytest.mark.parametrize("family", SAMPLE)
def test_a_family_converts_and_trains(family):
    check(family)


@pytest.mark.long
@pytest.mark.parametrize("family", [family for family in FAMILIES if family not in SAMPLE])
def test_every_other_family_converts_and_trains(family):
    check(family)


def test_the_sweep_is_as_wide_as_it_says():
    assert len(SAMPLE) == 12
    assert len(FAMILIES) >= 60
    assert set(SAMPLE) <= set(FAMILIES)


@pytest.mark.long
@pytest.mark.parametrize("family", NOTHING_TO_REPLACE)
def test_in_these_there_is_nothing_to_replace(family):
    with torch.device("meta"):
        model = timm.create_model(member(family))
    convolutions = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
    spatial = [conv for conv in convolutions if (conv.kernel_size, conv.stride) == ((3, 3), (1, 1))]
    holds = {
        NO_CONVOLUTION: not convolutions,
        PATCHES: bool(convolutions) and not spatial,
        GROUPED: bool(spatial) and all(1 < conv.groups < conv.in_channels for conv in spatial),
        STANDARDISED: any("StdConv" in type(conv).__name__ for conv in convolutions),
    }
    assert holds[NOTHING_TO_REPLACE[family]]
    for policy in POLICIES.values():
        with pytest.raises(ValueError, match=r"nothing in|on a net without bottleneck blocks"):
            plan(model, policy())


@pytest.mark.long
@pytest.mark.parametrize("family", TOO_LARGE)
def test_these_are_too_large(family):
    with torch.device("meta"):
        model = timm.create_model(member(family))
    assert sum(parameter.numel() for parameter in model.parameters()) > MOST_PARAMETERS
