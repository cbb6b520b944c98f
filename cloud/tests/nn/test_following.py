"""What follows each convolution, and which pairs stand alone: nets whose code is known, code that cannot be traced."""

import copy

import pytest
import timm
import torch
import torchvision
from torch import nn

from groupnl.models import convert_
from groupnl.nn.following import following, sole_norms


def empty(make, *arguments):
    with torch.device("meta"):  # no weights to fill
        return make(*arguments)


def test_a_timm_basic_block_goes_on_to_its_second_convolution_and_stops_at_the_addition():
    chains = following(empty(timm.create_model, "resnet18"))
    block = "layer1.0."
    expected = ("bn1", "drop_block", "act1", "aa", "conv2")
    assert chains[f"{block}conv1"] == tuple(block + name for name in expected)
    assert chains[f"{block}conv2"] == (f"{block}bn2",)
    assert chains["conv1"] == ("bn1", "act1", "maxpool")  # its output is a block's input and its shortcut
    assert len(chains) == 20


def test_a_torchvision_basic_block_calls_one_relu_twice():
    chains = following(empty(torchvision.models.resnet18))
    assert chains["layer1.0.conv1"] == ("layer1.0.bn1", "layer1.0.relu", "layer1.0.conv2")
    assert chains["layer1.0.conv2"] == ("layer1.0.bn2",)
    assert chains["layer2.0.downsample.0"] == ("layer2.0.downsample.1",)


def test_a_norm_with_an_activation_inside_is_one_module():
    chains = following(empty(timm.create_model, "mobilenetv2_100"))
    assert chains["blocks.1.0.conv_pw"] == ("blocks.1.0.bn1", "blocks.1.0.conv_dw")
    assert chains["blocks.1.0.conv_pwl"][0] == "blocks.1.0.bn3"
    assert len(chains) == 52  # every convolution


def test_a_convnext_block_stops_where_its_channels_are_moved():
    chains = following(empty(timm.create_model, "convnext_tiny"))
    assert chains["stages.0.blocks.0.conv_dw"] == ()  # permute
    chains = following(empty(timm.create_model, "convnext_atto"))  # 1x1 convolutions, channels stay where they are
    assert chains["stages.0.blocks.0.conv_dw"] == ("stages.0.blocks.0.norm", "stages.0.blocks.0.mlp.fc1")
    assert chains["stages.0.blocks.0.mlp.fc1"][-1] == "stages.0.blocks.0.mlp.fc2"


def test_inside_a_converted_net_the_layers_are_found_too():
    model = empty(timm.create_model, "resnet18")
    before = following(model)
    convert_(model)
    assert following(model) == before


class Sum(nn.Module):
    def forward(self, x, y):
        return x + y


class Added(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.sum, self.act = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4), Sum(), nn.ReLU()

    def forward(self, x):
        return self.act(self.sum(self.norm(self.conv(x)), x))


def test_a_module_with_another_input_ends_the_chain():
    assert following(Added()) == {"conv": ("norm",)}


class HardSwish(nn.Module):
    """As many write it: a module that holds modules and reads its input twice."""

    def __init__(self):
        super().__init__()
        self.relu = nn.ReLU6()

    def forward(self, x):
        return x * self.relu(x + 3) / 6


def test_an_activation_made_of_modules_is_one_module():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), HardSwish(), nn.Sequential(nn.Dropout(), nn.ReLU()))
    assert following(model) == {"0": ("1", "2", "3.0", "3.1")}


class Branching(nn.Module):
    """Cannot be traced: its path depends on values."""

    def __init__(self):
        super().__init__()
        self.block = nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
        self.conv, self.norm = nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4)

    def forward(self, x):
        return self.norm(self.conv(x)) if x.sum() > 0 else self.block(x)


def test_what_cannot_be_traced_is_left_out_as_narrowly_as_possible():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), Branching(), nn.Conv2d(4, 4, 1), nn.Identity())
    assert following(model) == {"0": ("1",), "2.block.0": ("2.block.1", "2.block.2"), "3": ("4",)}
    assert following(Branching().conv) == {}  # a convolution alone has no code around it
    assert following(nn.ModuleList([nn.Conv2d(3, 4, 3)])) == {}


class Shared(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.one, self.two = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.ReLU(), nn.Tanh()

    def forward(self, x, again=True):
        y = self.one(self.norm(self.conv(x)))
        return self.two(self.norm(self.conv(y))) if again else y


def test_a_convolution_that_is_called_twice_has_what_its_calls_share():
    assert following(Shared()) == {"conv": ("norm",)}


class Careless(nn.Module):
    """Writes to itself as it runs."""

    def __init__(self):
        super().__init__()
        self.conv, self.seen, self.last = nn.Conv2d(3, 3, 1), [], None
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        self.calls += 1
        self.last = self.conv(x)
        self.seen.append(self.last)
        return self.last


def test_the_net_and_the_random_numbers_stay_as_they_were():
    model = Careless()
    called = []
    model.register_forward_hook(lambda *_: called.append(1))
    state, before = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    assert following(nn.Sequential(model, nn.ReLU())) == {"0.conv": ("1",)}
    assert (model.last, model.seen, called) == (None, [], [])
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), before)
    assert all(parameter.device.type == "cpu" for parameter in model.parameters())


def test_pairs_that_can_be_made_one_in_known_nets():
    resnet = sole_norms(empty(timm.create_model, "resnet18"))
    assert resnet["layer1.0.conv1"] == "layer1.0.bn1"
    assert resnet["layer2.0.downsample.0"] == "layer2.0.downsample.1"
    assert len(resnet) == 20  # every norm
    assert len(sole_norms(empty(torchvision.models.mobilenet_v2))) == 52
    segmentation = empty(lambda: torchvision.models.segmentation.fcn_resnet50(weights_backbone=None))
    assert len(sole_norms(segmentation)) == 54
    dense = sole_norms(empty(torchvision.models.densenet121))
    assert dense["features.denseblock1.denselayer1.conv1"] == "features.denseblock1.denselayer1.norm2"
    assert "features.denseblock1.denselayer1.norm1" not in dense.values()  # reads what is gathered


def test_a_pair_that_is_called_twice_is_still_one():
    assert sole_norms(Shared()) == {"conv": "norm"}


class NormOfTwo(nn.Module):
    """One norm, behind two convolutions; another one behind a convolution and behind a pooling."""

    def __init__(self):
        super().__init__()
        self.one, self.two, self.norm = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)
        self.three, self.also = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

    def forward(self, x):
        x = self.norm(self.one(x)) + self.norm(self.two(x))
        return self.also(self.three(x)) + self.also(nn.functional.max_pool2d(x, 1))


class TwoReaders(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

    def forward(self, x):
        y = self.conv(x)
        return y + self.norm(y)


class SecondCallBare(TwoReaders):
    def forward(self, x):
        return self.conv(self.norm(self.conv(x)))


class ReadsWeights(TwoReaders):
    def forward(self, x):
        return self.norm(self.conv(x)) * self.conv.weight.sum()


@pytest.mark.parametrize("kind", [NormOfTwo, TwoReaders, SecondCallBare, ReadsWeights])
def test_nothing_else_may_read_the_convolution_or_feed_the_norm(kind):
    assert sole_norms(kind()) == {}


class GoesThrough(nn.Module):
    """Keeps what every module of a container gives, and cannot be traced."""

    def __init__(self):
        super().__init__()
        inner = nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4))
        self.layers = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), inner)

    def forward(self, x):
        kept = []
        for layer in self.layers:
            x = layer(x)
            kept.append(x)
        return kept if x.sum() > 0 else kept[:1]


def test_a_container_that_may_be_gone_through_gives_no_pair_of_its_own():
    assert sole_norms(GoesThrough()) == {"layers.2.0": "layers.2.1"}
    assert sole_norms(GoesThrough().layers) == {"0": "1", "2.0": "2.1"}  # alone, it is called as a whole
