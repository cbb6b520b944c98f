"""The graph: free batch, weights outside and once, nothing of this machine inside."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

from groupnl.export import ExportError
from groupnl.export.graph import Graph, export_graph
from groupnl.export.plain_form import plain_form
from groupnl.nn import GroupNLConv2d


class Net(nn.Module):
    """Two GroupNL layers of equal layout but different pairs, a convolution used twice, a plain buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 1)
        self.one = GroupNLConv2d(8, 16, 3, padding=1, reduction=4, key="one")
        self.two = GroupNLConv2d(16, 16, 3, padding=1, reduction=4, key="two")
        self.tied = nn.Conv2d(16, 16, 1, bias=False)
        self.register_buffer("offset", torch.linspace(0, 1, 600).reshape(1, 1, 30, 20))

    def forward(self, x: Tensor) -> Tensor:
        x = self.two(self.one(self.stem(x))) + self.offset
        return self.tied(self.tied(x).relu()).mean((2, 3))


@pytest.fixture(scope="module")
def graph() -> Graph:
    torch.manual_seed(0)
    plain = plain_form(Net())
    return export_graph(plain.module, torch.randn(1, 3, 30, 20), plain.constants)


def test_batch_is_free(graph: Graph) -> None:
    model = onnx.load_from_string(graph.onnx)
    (image,), (logits,) = model.graph.input, model.graph.output
    assert (image.name, logits.name) == ("input", "logits")
    dims = [dim.dim_value or dim.dim_param for dim in image.type.tensor_type.shape.dim]
    assert dims == ["batch", 3, 30, 20]
    assert [dim.dim_value or dim.dim_param for dim in logits.type.tensor_type.shape.dim] == ["batch", 16]


def test_weights_are_outside_and_once(graph: Graph) -> None:
    model = onnx.load_from_string(graph.onnx)
    names = [tensor.name for tensor in model.graph.initializer]
    assert len(set(names)) == len(names)
    external = {t.name for t in model.graph.initializer if t.data_location == onnx.TensorProto.EXTERNAL}
    assert external == set(graph.tensors) | set(graph.constants)
    assert {"stem.weight", "stem.bias", "one.seed_conv.weight", "tied.weight", "offset"} <= set(graph.tensors)
    inside = [onnx.numpy_helper.to_array(t) for t in model.graph.initializer if t.name not in external]
    assert sum(array.nbytes for array in inside) < 200
    assert graph.tensors["tied.weight"].nbytes == 16 * 16 * 4
    assert len(graph.onnx) < 6000


def test_what_a_seed_gives_is_not_shipped(graph: Graph) -> None:
    # both layers gather alike: the exporter keeps one of the two equal index tensors
    assert set(graph.constants) == {"one.period", "one.shift", "two.period", "two.shift", "one.source"}
    assert not any("period" in name or "shift" in name or "source" in name for name in graph.tensors)
    assert set(graph.initializers()) == set(graph.tensors) | set(graph.constants)


def test_nothing_of_this_machine_is_inside(graph: Graph) -> None:
    for trace in (".py", str(Path.home()), str(Path(torch.__file__).parent), "stack_trace", "File "):
        assert trace.encode() not in graph.onnx
    model = onnx.load_from_string(graph.onnx)
    assert not model.metadata_props
    assert not any(node.metadata_props or node.doc_string for node in model.graph.node)


def test_the_published_detours_are_gone(graph: Graph) -> None:
    kinds = {node.op_type for node in onnx.load_from_string(graph.onnx).graph.node}
    assert not kinds & {"Tile", "Expand", "Split", "Reshape", "Shape", "Cast", "Slice", "Unsqueeze", "Identity"}


def test_the_joined_graph_is_valid_onnx(graph: Graph) -> None:
    model = onnx.load_from_string(graph.onnx)
    for tensor in model.graph.initializer:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            value = {**graph.tensors, **graph.constants}[tensor.name]
            assert tuple(tensor.dims) == value.shape
            tensor.CopyFrom(onnx.numpy_helper.from_array(np.ascontiguousarray(value), tensor.name))
    onnx.checker.check_model(model, full_check=True)


def test_nets_that_cannot_be_traced() -> None:
    class Moody(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.mean((2, 3)) if float(x.sum()) > 0 else -x.mean((2, 3))

    with pytest.raises(ExportError, match="Moody cannot be exported to ONNX"):
        export_graph(Moody().eval(), torch.randn(2, 3, 4, 4), {})
