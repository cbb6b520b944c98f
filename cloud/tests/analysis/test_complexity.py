"""complexity(): against hand-worked numbers and torch's own flop counter."""

import pytest
import timm
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import groupnl
from groupnl.analysis import complexity, multiply_adds
from groupnl.nn import GroupNLConv2d


def test_a_small_net_by_hand():
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 5),
    )
    cost = groupnl.complexity(model, (3, 4, 6))
    assert cost.params == 216 + 16 + 45
    assert cost.macs == 216 * 24 + 40
    assert cost.elementwise == 3 * 8 * 24  # batch norm, ReLU, pooling
    assert cost.transcendentals == 0
    # kept for backward, in float32: the image, the convolution's and the ReLU's output, the pooled values
    assert cost.activation_bytes == 4 * (3 * 24 + 8 * 24 + 8 * 24 + 8)
    assert cost.gradient_bytes == 4 * cost.params
    assert [layer.type for layer in cost.layers] == ["Conv2d", "BatchNorm2d", "ReLU", "AdaptiveAvgPool2d", "Linear"]
    assert cost.layers[0].output_shape == (8, 4, 6)


def test_a_groupnl_layer_by_hand():
    cost = groupnl.complexity(nn.Sequential(GroupNLConv2d(16, 32, 3, padding=1, bias=False)), (16, 10, 10))
    (layer,) = cost.layers
    assert layer.params == cost.params == 16 * 16 * 9
    assert layer.macs == 16 * 16 * 9 * 100
    # norm reads 1600 and clamps 100, the division writes 1600; subtraction, product and sine write 1600 each
    assert layer.elementwise == 1600 + 100 + 1600 + 3 * 1600
    assert layer.transcendentals == 1600
    assert layer.activation_bytes == 4 * (1600 + 1600)  # kept for backward: input and seed maps


def test_transcendentals_of_an_inverted_residual_block_by_hand():
    """Of EfficientNet-B0: 40 channels expanded to 240, squeeze-excitation over 10, SiLU and a sigmoid gate."""
    with torch.device("meta"):
        block = timm.create_model("efficientnet_b0").blocks[2][1]
    layers = groupnl.complexity(block, (40, 6, 4)).layers
    assert {layer.name: layer.transcendentals for layer in layers if layer.transcendentals} == {
        "bn1.act": 240 * 24,
        "bn2.act": 240 * 24,
        "se.act1": 10,
        "se.gate": 240,
    }


@pytest.mark.parametrize(
    "name", ["resnet18", "mobilenetv3_small_050", "convnext_atto", "vit_tiny_patch16_224", "groupnl_resnet18"]
)
def test_multiply_adds_equal_torchs_flop_counter(name):
    fused = timm.layers.use_fused_attn()
    timm.layers.set_fused_attn(False)  # which not every release of torch counts
    reference = timm.create_model(name).eval()
    timm.layers.set_fused_attn(fused)
    model = timm.create_model(name).eval()
    size = model.pretrained_cfg["input_size"]
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        reference(torch.randn(1, *size))
    cost = groupnl.complexity(model, size)
    assert cost.macs == counter.get_total_flops() // 2
    assert cost.params == sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("name", ["resnet8", "groupnl_resnet8", "ghost_resnet8", "sinefm_resnet8", "mono_resnet8"])
def test_the_layers_make_the_total(name):
    model = timm.create_model(name)
    cost = groupnl.complexity(model, (3, 32, 32))
    for figure in ("params", "macs", "elementwise", "transcendentals", "activation_bytes", "gradient_bytes"):
        assert getattr(cost, figure) == sum(getattr(layer, figure) for layer in cost.layers)
    assert cost.params == sum(parameter.numel() for parameter in model.parameters())
    drop_in = type(model.layer1.conv1).__name__
    assert [layer.type for layer in cost.layers if layer.name.startswith("layer1.conv1")] == [drop_in]


def test_parameters_that_do_not_run_and_shared_ones_count_once():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second, self.unused = (nn.Conv2d(3, 3, 1, bias=False) for _ in range(3))
            self.second.weight = self.first.weight

        def forward(self, x):
            return self.second(self.first(x))

    cost = groupnl.complexity(Net(), (3, 4, 4))
    assert {layer.name: (layer.params, layer.macs) for layer in cost.layers} == {
        "first": (9, 144),
        "second": (0, 144),
        "unused": (9, 0),
    }


def test_the_net_is_left_as_it_was():
    model = timm.create_model("groupnl_resnet8")
    model.layer1.eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    groupnl.complexity(model, (3, 32, 32))
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    model(torch.randn(1, 3, 32, 32))


def test_meta_nets_are_counted_and_frozen_parameters_are_not():
    with torch.device("meta"):
        model = timm.create_model("resnet18")
    assert groupnl.complexity(model, (3, 64, 64)).params == 11_689_512
    model.fc.requires_grad_(False)
    assert groupnl.complexity(model, (3, 64, 64)).gradient_bytes == 4 * (11_689_512 - 513_000)


@pytest.mark.parametrize("size", [(3, 32), (3, 0, 32), (3.0, 32, 32)])
def test_bad_sizes_are_refused(size):
    with pytest.raises(ValueError, match="expected \\(channels, height, width\\)"):
        groupnl.complexity(nn.Identity(), size)


def test_multiply_adds_alone_are_those_of_the_whole_count():
    model = groupnl.create_model("groupnl_resnet8", num_classes=10)
    assert multiply_adds(model, (3, 32, 32)) == complexity(model, (3, 32, 32)).macs
    with pytest.raises(ValueError, match="expected \\(channels, height, width\\)"):
        multiply_adds(model, (3, 0, 32))
