"""Native operators in place of layers: which are found, with what, and that they mean the same (see lowering.py)."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from cloud.tests.export.passes.test_selection import random_net, with_statistics
from torch import nn

from groupnl.export.graph import Graph, trace
from groupnl.export.lowering import lowered
from groupnl.export.passes import passes_for
from groupnl.export.plain_form import plain_form
from groupnl.models import create_model
from groupnl.nn import GroupNLConv2d

SIZE = (10, 9)


def native(net: nn.Module, passes: tuple[str, ...] = ()) -> Graph:
    plain = plain_form(with_statistics(net))
    return trace(plain.module, torch.zeros(2, 3, *SIZE), plain.constants).finished(passes, native=True)


def made(graph: Graph) -> list[tuple[str, dict[str, object], list[bool]]]:
    nodes = [node for node in onnx.load_from_string(graph.onnx).graph.node if node.domain == "groupnl"]
    return [
        (
            node.op_type,
            {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute},
            [bool(name) for name in node.input],
        )
        for node in nodes
    ]


def answers(graph: bytes, held: Graph, images: np.ndarray) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    arrays = held.initializers()
    values = [onnxruntime.OrtValue.ortvalue_from_numpy(array) for array in arrays.values()]
    options.add_external_initializers(list(arrays), values)
    return onnxruntime.InferenceSession(graph, options).run(None, {"input": images})[0]


def assert_means_the_same(net: nn.Module, passes: tuple[str, ...] = ()) -> Graph:
    graph = native(net, passes)
    images = np.random.default_rng(0).normal(size=(3, 3, *SIZE)).astype(np.float32)
    images[1, :, :5] = 0
    with torch.no_grad():
        expected = net.eval().double()(torch.from_numpy(images).double()).numpy()
    found = answers(lowered(graph.onnx), graph, images)
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()
    return graph


def slot(activation: nn.Module | None = None, **options: object) -> nn.Sequential:
    torch.manual_seed(0)
    layer = GroupNLConv2d(8, 16, 3, padding=1, **{"reduction": 2, **options})
    return nn.Sequential(
        nn.Conv2d(3, 8, 1),
        layer,
        nn.BatchNorm2d(16),
        activation or nn.Identity(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )


@pytest.mark.parametrize(
    ("activation", "name"),
    [(nn.ReLU(), b"relu"), (nn.ReLU6(), b"relu6"), (nn.Hardswish(), b"hardswish"), (nn.SiLU(), b"none")],
)
@pytest.mark.parametrize("normalize", ["l2", "rms", "none"])
def test_dense_layers(activation: nn.Module, name: bytes, normalize: str) -> None:
    graph = assert_means_the_same(slot(activation, normalize=normalize))
    attributes = {"normalize": normalize.encode(), "activation": name}
    assert made(graph) == [("Expand", attributes, [True, True, True, False, True, True])]


def test_several_copies_and_a_part_of_one() -> None:
    graph = assert_means_the_same(slot(reduction=4))
    assert made(graph)[0][2] == [True] * 6  # source among them
    graph = assert_means_the_same(
        nn.Sequential(GroupNLConv2d(3, 7, 3, reduction=2), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    )
    assert made(graph) == [("Expand", {"normalize": b"l2", "activation": b"none"}, [True] * 3 + [False] * 3)]


@pytest.mark.parametrize(
    "options", [{}, {"stride": 2}, {"dilation": 2, "padding": 2}, {"bias": False, "padding": (0, 1)}]
)
def test_sparse_layers(options: dict[str, object]) -> None:
    torch.manual_seed(0)
    layer = GroupNLConv2d(12, 12, 3, **{"padding": 1, "sparse": True, **options})
    net = nn.Sequential(
        nn.Conv2d(3, 12, 1), layer, nn.BatchNorm2d(12), nn.ReLU6(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )
    ((op, attributes, given),) = made(assert_means_the_same(net))
    assert op == "SparseExpand"
    assert attributes["strides"] == list(layer.seed_conv.stride)
    assert attributes["dilations"] == list(layer.seed_conv.dilation)
    assert attributes["pads"] == list(layer.seed_conv.padding) * 2
    assert given == [True, True, options.get("bias", True), True, True, False, True, True]


def test_layers_that_no_operator_does_stay() -> None:
    for nlf in ("gaussian", "identity", "legendre", "monomial"):
        assert made(native(slot(nlf=nlf))) == []


class Shared(nn.Module):
    """A batch norm's result that two read: the activation cannot go into the operator."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer, self.norm = GroupNLConv2d(3, 8, 3), nn.BatchNorm2d(8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        maps = self.norm(self.layer(x))
        return (torch.relu(maps) + maps).mean((2, 3))


def test_an_activation_that_is_not_alone_stays_outside() -> None:
    assert made(assert_means_the_same(Shared()))[0][1]["activation"] == b"none"


@pytest.mark.parametrize("seed", range(4))
def test_random_nets_with_all_passes(seed: int) -> None:
    assert_means_the_same(random_net(seed), passes_for("onnxruntime"))


def test_a_net_of_the_zoo() -> None:
    torch.manual_seed(0)
    graph = assert_means_the_same(
        create_model("groupnl_mobilenetv3_large_100", num_classes=5), passes_for("onnxruntime")
    )
    assert [op for op, *_ in made(graph)] == ["SparseExpand"] * 15
    shapes = {value.name for value in onnx.load_from_string(graph.onnx).graph.value_info}
    assert len(shapes) == 15
    assert not graph.cuts  # nothing is left that would be cut
