"""All passes together: on random nets and nets of the zoo nothing changes but rounding; names are checked."""

import math
import random

import numpy as np
import onnxruntime
import pytest
import torch
from cloud.tests.export.passes.graphs import graph_of, node
from torch import Tensor, nn

from groupnl.export import ExportError
from groupnl.export.graph import Graph, trace
from groupnl.export.passes import PASSES, apply_passes, check_passes, passes_for
from groupnl.export.plain_form import frozen_copy, plain_form
from groupnl.models import create_model, zoo_names
from groupnl.nn import GroupNLConv2d
from groupnl_device.nlf import NLFS, NORMALIZES


class Block(nn.Module):
    """A random inverted residual or bottleneck block around a GroupNL layer."""

    def __init__(self, draw: random.Random, channels: int, key: str) -> None:
        super().__init__()
        wide = channels * draw.choice((1, 2))
        reduction = draw.choice((2, 2, 2, 3, 4))
        seeds = -(-wide // reduction)
        self.before = nn.Sequential(nn.Conv2d(channels, wide, 1), nn.BatchNorm2d(wide), draw.choice(ACTIVATIONS)())
        self.layer = GroupNLConv2d(
            wide,
            wide,
            3,
            draw.choice((1, 2)),
            padding=1,
            bias=draw.random() < 0.5,
            reduction=reduction,
            sparse=draw.random() < 0.7 and math.gcd(wide, seeds) > 1,
            nl_groups=min(seeds, draw.choice((1, 3, 4))),
            nlf=draw.choice((*NLFS, "sine", "sine")),
            normalize=draw.choice(NORMALIZES),
            key=key,
        )
        self.after = nn.Sequential(nn.BatchNorm2d(wide), draw.choice(ACTIVATIONS)())
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(wide, 4, 1), nn.ReLU(), nn.Conv2d(4, wide, 1))
        self.gated = draw.random() < 0.5
        self.out = nn.Conv2d(wide, channels, draw.choice((1, 3)), padding="same")
        self.shortcut = draw.random() < 0.5

    def forward(self, x: Tensor) -> Tensor:
        maps = self.after(self.layer(self.before(x)))
        if self.gated:
            maps = maps * torch.sigmoid(self.gate(maps))
        maps = self.out(maps)
        return torch.relu(maps + x) if self.shortcut and maps.shape == x.shape else maps


ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.Hardswish, nn.SiLU, nn.Identity)


def random_net(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    draw = random.Random(seed)
    channels = draw.choice((8, 12, 16))
    stem = nn.Conv2d(3, channels, 3, 2, 1)
    blocks = [Block(draw, channels, f"block{k}") for k in range(2)]
    return with_statistics(nn.Sequential(stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 5)))


def with_statistics(net: nn.Module) -> nn.Module:
    """As after training: no batch norm is the identity."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            if module.affine:
                nn.init.uniform_(module.weight, -0.3, 1.5)
                nn.init.normal_(module.bias, std=0.2)
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    return net.eval()


def logits(graph: Graph, images: np.ndarray) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    held = graph.initializers()
    values = [onnxruntime.OrtValue.ortvalue_from_numpy(array) for array in held.values()]
    options.add_external_initializers(list(held), values)
    return onnxruntime.InferenceSession(graph.onnx, options).run(None, {"input": images})[0]


def check(net: nn.Module, size: tuple[int, int]) -> Graph:
    """Every pass alone, and all: against the graph as it was traced, and against PyTorch in float64."""
    images = np.random.default_rng(1).normal(size=(2, 3, *size)).astype(np.float32)
    images[1, :, : size[0] // 2] = 0
    plain = plain_form(net)
    traced = trace(plain.module, torch.from_numpy(images), plain.constants)
    with torch.no_grad():
        exact = frozen_copy(net).double()(torch.from_numpy(images).double()).numpy()
    scale = np.abs(exact).max()
    before = logits(traced.finished(), images)
    error = np.abs(before - exact).max()
    for passes in (*([name] for name in PASSES), list(PASSES)):
        graph = traced.finished(passes)
        found = logits(graph, images)
        assert np.abs(found - before).max() <= 1e-5 * scale, passes
        assert np.abs(found - exact).max() <= max(3 * error, 3e-6 * scale), passes
        assert set(graph.constants) <= set(plain.constants)
        assert sum(array.nbytes for array in graph.tensors.values()) < 1.1 * sum(
            array.nbytes for array in traced.finished().tensors.values()
        )
    return graph


@pytest.mark.parametrize("seed", range(4))
def test_random_nets(seed):
    check(random_net(seed), (12, 10))


@pytest.mark.long
@pytest.mark.parametrize("seed", range(4, 60))
def test_many_random_nets(seed):
    check(random_net(seed), (12, 10))


EXPECTED = {  # how often each pass finds something
    "groupnl_resnet8": {"l2-norm": 4, "pairs": 4, "split-concat": 1, "sparse": 0},
    "groupnl_mobilenetv3_large_100": {"l2-norm": 15, "pairs": 15, "split-concat": 7, "sparse": 15},
}


@pytest.mark.parametrize("name", EXPECTED)
def test_nets_of_the_zoo(name):
    torch.manual_seed(0)
    graph = check(with_statistics(create_model(name, num_classes=5)), (32, 32))
    changed = {name: outcome.changed for name, outcome in graph.outcomes.items()}
    assert {key: changed[key] for key in EXPECTED[name]} == EXPECTED[name]


@pytest.mark.long
@pytest.mark.parametrize("name", zoo_names())
def test_every_net_of_the_zoo(name):
    torch.manual_seed(0)
    net = with_statistics(create_model(name, num_classes=5))
    graph = check(net, (32, 32))
    layers = sum(isinstance(module, GroupNLConv2d) for module in net.modules())
    assert graph.outcomes["l2-norm"].changed == graph.outcomes["pairs"].changed == layers


def test_the_order_is_that_of_the_list():
    assert check_passes(["sparse", "l2-norm"]) == ("l2-norm", "sparse")
    assert set(passes_for("onnxruntime")) <= set(PASSES)


def test_refusals():
    with pytest.raises(ExportError, match=r"no pass 'fast': expected some of l2-norm, pairs"):
        check_passes(["l2-norm", "fast"])
    with pytest.raises(ExportError, match="no bundle for 'tflite': expected one of onnxruntime"):
        passes_for("tflite")


def test_a_net_with_operators_of_its_own_stays_as_it_is():
    model = graph_of([node("Relu", ["input"], ["result"], domain="com.example")], {}, (3, 4, 4))
    before = model.SerializeToString()
    made = apply_passes(model.graph, PASSES, (), native=True)
    assert model.SerializeToString() == before
    assert not made.cuts
    assert set(made.outcomes) == {"native", *PASSES}
    assert all("left as it is" in outcome.notes[0] for outcome in made.outcomes.values())
