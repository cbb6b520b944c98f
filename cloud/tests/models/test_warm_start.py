"""convert_(init="pretrained"): what it keeps exactly, what it keeps nearly, what it refuses."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import groupnl
from groupnl.models import convert_, load_checkpoint, save_checkpoint

PLAIN = {"nlf": "identity", "normalize": "none", "nl_groups": 2}  # generated maps are exact copies


class Net(nn.Module):
    """A stem, a basic block and a head, as small as they come."""

    def __init__(self, channels=8, classes=4):
        super().__init__()
        self.stem = nn.Conv2d(3, channels, 3, padding=1)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.act1 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(channels)
        self.fc = nn.Linear(channels, classes)

    def forward(self, x):
        x = F.relu(self.stem(x))
        y = self.bn2(self.conv2(self.act1(self.bn1(self.conv1(x)))))
        return self.fc(F.relu(x + y).mean(dim=(2, 3)))


def settled(model, x):
    """Norms with the statistics of these images and weights of both signs; eval mode."""
    model.train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the mean over all batches
            nn.init.uniform_(module.weight, -1.5, 1.5)
            nn.init.uniform_(module.bias, -1, 1)
    model(x)
    return model.eval()


@pytest.fixture
def images():
    return torch.randn(48, 3, 10, 8, generator=torch.Generator().manual_seed(0))


def only(name):
    return lambda found, _module: found == name


@pytest.mark.parametrize("with_images", [False, True])
def test_a_convolution_of_the_layers_form_is_recovered(images, with_images):
    torch.manual_seed(0)
    model = Net()
    with torch.no_grad():  # each filter twice, with a factor, in no order
        factors = torch.tensor([2.0, -1.0, 0.5, 3.0]).reshape(4, 1, 1, 1)
        filters = torch.cat([model.conv1.weight[:4], model.conv1.weight[:4] * factors])
        model.conv1.weight.copy_(filters[torch.tensor([5, 0, 7, 2, 1, 6, 4, 3])])
    settled(model, images)
    before = model(images).detach()
    convert_(model, select=only("conv1"), init="pretrained", calibration=images if with_images else None, **PLAIN)
    torch.testing.assert_close(model(images), before, rtol=1e-3, atol=1e-3)
    # and it is the warm start that does it
    kept = copy.deepcopy(model)
    kept.conv1.seed_conv.weight.data.normal_()
    assert not torch.allclose(kept(images), before, rtol=1e-1, atol=1e-1)


def test_a_layer_takes_its_inputs_in_the_order_that_the_layer_before_gives(images):
    torch.manual_seed(0)
    model = Net()
    with torch.no_grad():  # conv2's outputs go into an addition: there each pair must lie where the layer has it
        model.conv1.weight.copy_(torch.cat([model.conv1.weight[:4], model.conv1.weight[:4]])[torch.randperm(8)])
        model.conv2.weight[4:] = 2 * model.conv2.weight[:4]
    settled(model, images)
    before = model(images).detach()
    convert_(model, init="pretrained", **PLAIN)
    torch.testing.assert_close(model(images), before, rtol=1e-3, atol=1e-3)


def test_without_images_the_norm_is_least_squares_for_white_inputs():
    torch.manual_seed(0)
    white = torch.randn(200, 4, 12, 12)
    model = nn.Sequential(nn.Conv2d(4, 4, 1, bias=False), nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6))
    model[0].weight.data.copy_(torch.eye(4)[:, :, None, None])
    settled(model, white)
    before = model(white).detach().double().transpose(0, 1).flatten(1).numpy()
    convert_(model, init="pretrained", **{**PLAIN, "nl_groups": 1})
    after = model(white).detach().double().transpose(0, 1).flatten(1).numpy()
    for made, wanted in zip(after, before, strict=True):
        line = np.polyval(np.polyfit(made, wanted, 1), made)  # no further scale or shift helps by more than 1 %
        assert ((made - wanted) ** 2).mean() < ((line - wanted) ** 2).mean() + 0.01 * wanted.var()


@pytest.mark.parametrize("with_images", [False, True])
def test_at_reduction_1_nothing_is_lost(images, with_images):
    torch.manual_seed(0)
    model = settled(Net(), images)
    before = model(images).detach()
    convert_(model, reduction=1, init="pretrained", calibration=images if with_images else None)
    torch.testing.assert_close(model(images), before, rtol=1e-3, atol=1e-3)


def left_unexplained(model, original, images):
    seen = []
    for net in (model, original):
        handle = net.bn2.register_forward_hook(lambda _m, _i, output: seen.append(output.detach()))
        net(images)
        handle.remove()
    made, wanted = seen
    return float((made - wanted).square().mean() / wanted.var(dim=(0, 2, 3)).mean())


def test_images_help_and_weights_alone_help_too(images):
    torch.manual_seed(0)
    original = settled(Net(16), images)
    errors = {}
    for name, options in {
        "keep": {},
        "weights": {"init": "pretrained"},
        "images": {"init": "pretrained", "calibration": images},
    }.items():
        model = copy.deepcopy(original)
        convert_(model, **options)
        errors[name] = left_unexplained(model, original, images)
    assert errors["images"] < 0.7 * errors["weights"] < 0.7 * errors["keep"]


@pytest.mark.parametrize("with_images", [False, True])
def test_a_batch_norm_of_the_seed_maps_has_their_statistics(images, with_images):
    torch.manual_seed(0)
    model = settled(Net(), images)
    options = {"init": "pretrained", "calibration": images if with_images else None, "normalize": "batch"}
    convert_(model, select=only("conv1"), **options)
    layer, seen = model.conv1, []
    layer.seed_conv.register_forward_hook(lambda _m, _i, output: seen.append(output))
    model(images)
    (maps,) = seen
    mean, variance = maps.mean(dim=(0, 2, 3)), maps.var(dim=(0, 2, 3), correction=0)
    spread = variance.sqrt()
    # fitting goes on after the statistics are taken, and without images they follow from the old norm
    assert ((layer.seed_norm.running_mean - mean).abs() < 0.5 * spread).all()
    assert ((layer.seed_norm.running_var / variance - 1).abs() < 0.9).all()
    assert not torch.allclose(layer.seed_norm.running_var, torch.ones_like(variance))


def test_a_trained_net_starts_far_above_the_other_ways():
    def gratings(count, seed):  # eight orientations, random phase, noise
        generator = torch.Generator().manual_seed(seed)
        labels = torch.randint(8, (count,), generator=generator)
        angle, phase = labels * torch.pi / 8, torch.rand(count, generator=generator) * 2 * torch.pi
        row, column = torch.meshgrid(torch.arange(12.0), torch.arange(12.0), indexing="ij")
        along = torch.cos(angle)[:, None, None] * row + torch.sin(angle)[:, None, None] * column
        waves = torch.sin(1.2 * along + phase[:, None, None])[:, None].expand(-1, 3, -1, -1)
        return waves + 0.7 * torch.randn(count, 3, 12, 12, generator=generator), labels

    torch.manual_seed(0)
    trained = Net(16, classes=8)
    optimizer = torch.optim.Adam(trained.parameters(), lr=0.01)
    for step in range(80):
        x, labels = gratings(64, step)
        loss = F.cross_entropy(trained(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    trained.eval()
    test, labels = gratings(400, 1000)

    def accuracy(**options):
        model = copy.deepcopy(trained)
        if options:
            convert_(model, **options)
        return float((model(test).argmax(1) == labels).float().mean())

    start = accuracy(init="pretrained", calibration=gratings(128, 2000)[0])
    torch.manual_seed(1)
    assert accuracy() > 0.85
    assert start > accuracy() - 0.25
    assert start > accuracy(init="random") + 0.2
    assert start > accuracy(init="keep") + 0.2


def test_the_same_bits_twice_and_no_global_generator_moved(images):
    torch.manual_seed(0)
    original = settled(Net(), images)
    results = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        model = copy.deepcopy(original)
        planned = copy.deepcopy(original)
        convert_(planned)  # the layers' own first weights are drawn, whatever the init
        state = torch.random.get_rng_state()
        torch.manual_seed(seed)
        convert_(model, init="pretrained", calibration=(batch for batch in images.split(16)))
        assert torch.equal(torch.random.get_rng_state(), state)
        results.append(model.state_dict())
    for name, value in results[0].items():
        assert torch.equal(value, results[1][name]), name


def test_modes_and_trainability_are_kept(images):
    torch.manual_seed(0)
    model = settled(Net(), images)
    model.bn1.train()
    model.conv1.requires_grad_(False)
    convert_(model, init="pretrained", calibration=images)
    assert model.bn1.training
    assert not model.training
    assert not model.conv1.training
    assert not model.conv1.seed_conv.weight.requires_grad
    assert model.conv2.seed_conv.weight.requires_grad
    assert all(parameter.grad is None for parameter in model.parameters())


def test_random_is_fresh_and_follows_torchs_seed():
    original = Net()
    nets = []
    for seed in (0, 0, 1):
        model = copy.deepcopy(original)
        torch.manual_seed(seed)
        convert_(model, init="random")
        nets.append(model.conv1.seed_conv.weight)
    assert torch.equal(nets[0], nets[1])
    assert not torch.equal(nets[0], nets[2])
    assert not torch.equal(nets[0], original.conv1.weight[:4])


class Inverted(nn.Module):
    def __init__(self, channels=8):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.expand = nn.Conv2d(4, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.act1 = nn.ReLU6()
        self.depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.act2 = nn.ReLU6()
        self.project = nn.Conv2d(channels, 5, 1)

    def forward(self, x):
        x = self.act1(self.bn1(self.expand(self.stem(x))))
        return self.project(self.act2(self.bn2(self.depthwise(x))))


@pytest.mark.parametrize(
    ("policy", "net"),
    [("sparse_depthwise", Inverted), ("lean", Inverted), ("pointwise", Inverted), ("sparse_basic", Net)],
)
def test_the_other_forms_come_nearer_too(images, policy, net):
    torch.manual_seed(0)
    original = settled(net(16), images)
    wanted = original(images).detach()
    errors = []
    for options in ({}, {"init": "pretrained", "calibration": images}):
        model = copy.deepcopy(original)
        convert_(model, policy, **options)
        errors.append(float((model(images).detach() - wanted).square().mean()))
    assert errors[1] < 0.7 * errors[0]


def test_half_of_a_depthwise_convolution_is_recovered_in_a_new_order(images):
    """Every second depthwise filter is zero: the sparse form computes the others, and the projection's inputs move."""
    torch.manual_seed(0)
    model = Inverted()
    with torch.no_grad():
        model.depthwise.weight[torch.tensor([0, 3, 5, 6])] = 0
    settled(model, images)
    before = model(images).detach()
    convert_(model, "sparse_depthwise", init="pretrained", calibration=images, **PLAIN)
    torch.testing.assert_close(model(images), before, rtol=1e-3, atol=1e-3)


def test_a_checkpoint_does_not_care_how_the_weights_began(tmp_path, images):
    torch.manual_seed(0)
    model = settled(groupnl.create_model("resnet8", num_classes=4), images)
    convert_(model, init="pretrained", calibration=images[:8])
    save_checkpoint(model, tmp_path / "net.safetensors", preprocessing=None, class_names=())
    torch.testing.assert_close(load_checkpoint(tmp_path / "net.safetensors")(images), model.eval()(images))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"init": "warm"}, "init='warm': expected one of keep, random, pretrained"),
        (
            {"calibration": torch.zeros(1, 3, 8, 8)},
            "calibration with init='keep': images are used by init='pretrained'",
        ),
        ({"init": "pretrained", "policy": "mono"}, "'conv1' becomes a MonoConv2d"),
        ({"init": "pretrained", "calibration": []}, "calibration: no images"),
        ({"init": "pretrained", "calibration": torch.zeros(0, 3, 8, 8)}, r"shape \(0, 3, 8, 8\); expected normalised"),
        ({"init": "pretrained", "calibration": torch.zeros(3, 8, 8)}, r"torch.float32 of shape \(3, 8, 8\); expected"),
        (
            {"init": "pretrained", "calibration": torch.zeros(1, 3, 8, 8, dtype=torch.uint8)},
            "torch.uint8 of shape .* expected normalised images, floating point",
        ),
        ({"init": "pretrained", "calibration": ["cat.png"]}, "calibration: str; expected normalised images"),
        ({"init": "pretrained", "calibration": [torch.full((1, 3, 8, 8), torch.nan)]}, "some values are not finite"),
    ],
)
def test_refusals_leave_the_net_as_it_was(options, message):
    model = Net().eval()
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(ValueError, match=message):
        convert_(model, **options)
    assert_same(model, before)


def test_a_net_that_cannot_take_the_images_is_left_as_it_was():
    model = Net().eval()
    model.bn2.train()
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(RuntimeError, match="channels"):
        convert_(model, init="pretrained", calibration=torch.zeros(2, 5, 8, 8))
    assert_same(model, before)
    assert model.bn2.training
    assert not model.bn1.training
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def assert_same(model, state):
    assert model.state_dict().keys() == state.keys()
    for name, value in model.state_dict().items():
        assert torch.equal(value, state[name]), name
