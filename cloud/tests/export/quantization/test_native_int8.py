"""Native int8 operators in a graph: what they read, what lies around them, and that they mean the same."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
from cloud.tests.export.quantization.quantized_net import PREPROCESSING, pictures, run, source

from groupnl.export.lowering import lowered
from groupnl.export.quantization.lowered_int8 import in_float
from groupnl.export.quantization.native_int8 import with_native_operators
from groupnl.export.quantization.qdq import quantized


@pytest.fixture(scope="module")
def dense():
    net = quantized(source().traced, pictures(), PREPROCESSING)
    return net, *with_native_operators(net)


@pytest.fixture(scope="module")
def sparse():
    net = quantized(source(sparse=True).traced, pictures(), PREPROCESSING)
    return net, *with_native_operators(net)


def test_every_layer_becomes_one_operator_between_two_transpositions(dense) -> None:
    _, native, outcome = dense
    nodes = native.model.graph.node
    made = [node for node in nodes if node.domain == "groupnl"]
    assert [node.op_type for node in made] == ["QuantizedExpand", "QuantizedExpand"]
    assert (outcome.changed, outcome.notes) == (2, ())
    by_output = {name: node for node in nodes for name in node.output}
    for node in made:
        before = by_output[node.input[0]]
        (after,) = [other for other in nodes if node.output[0] in other.input]
        assert (before.op_type, after.op_type) == ("Transpose", "Transpose")
        assert list(before.attribute[0].ints) == [0, 2, 3, 1]
        assert list(after.attribute[0].ints) == [0, 3, 1, 2]
        assert by_output[before.input[0]].op_type == "QuantizeLinear"
        assert {n.op_type for n in nodes if after.output[0] in n.input} == {"DequantizeLinear"}
    assert not {"Sin", "Concat", "BatchNormalization", "ReduceL2"} & {node.op_type for node in nodes}


def test_nothing_is_computed_for_nobody(dense) -> None:
    """ONNX Runtime leaves dead DequantizeLinear nodes where they are, and runs them."""
    _, native, _ = dense
    read = {name for node in native.model.graph.node for name in node.input} | {"logits"}
    assert all(read & set(node.output) for node in native.model.graph.node)


def test_the_result_has_a_shape_with_the_channels_last(dense) -> None:
    _, native, _ = dense
    shapes = {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in native.model.graph.value_info
        if value.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    }
    results = [node.output[0] for node in native.model.graph.node if node.domain == "groupnl"]
    assert [shapes[name][1:] for name in results] == [[9, 11, 12], [4, 5, 12]]


def test_a_sparse_seed_convolution_goes_into_the_operator(sparse) -> None:
    _, native, outcome = sparse
    made = [node for node in native.model.graph.node if node.domain == "groupnl"]
    assert [node.op_type for node in made] == ["QuantizedExpand", "QuantizedSparseExpand"]
    assert outcome.changed == 2
    arrays = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in native.model.graph.initializer}
    weight, scale, bias = (arrays[name] for name in made[1].input[3:6])
    assert weight.dtype == np.int8
    assert weight.shape == (6, 2, 3, 3)
    assert scale.shape == (6,)
    expected = dict(source(sparse=True).reference.named_parameters())["second.seed_conv.bias"].numpy()
    np.testing.assert_allclose(bias, expected, atol=1e-4)  # int32 in the convolution's units: fine
    assert sum(node.op_type == "Conv" for node in native.model.graph.node) == 4  # of five


@pytest.mark.parametrize("which", ["dense", "sparse"])
def test_lowered_to_float_operators_it_answers_as_the_plain_graph(which, request) -> None:
    net, native, _ = request.getfixturevalue(which)
    written = onnx.ModelProto.FromString(lowered(in_float(native.model.SerializeToString())))
    assert not any(node.domain == "groupnl" for node in written.graph.node)
    images = pictures(64, seed=3)
    plain, found = run(net.model, images), run(written, images)
    # the same arithmetic; a sparse convolution's maps are not rounded once more, so they are nearer to the net
    tolerance = 1e-5 if which == "dense" else 0.03
    assert np.abs(found - plain).max() <= tolerance * np.abs(plain).max() + 1e-6


def test_a_layer_that_something_reads_in_float_keeps_its_own_roundings(dense) -> None:
    net, _, _ = dense
    model = onnx.ModelProto()
    model.CopyFrom(net.model)
    (sine,) = [node for node in model.graph.node if node.op_type == "Sin"][1:]
    (concat,) = [node for node in model.graph.node if sine.output[0] in node.input]
    (norm,) = [node for node in model.graph.node if concat.output[0] in node.input]
    relu = next(node for node in model.graph.node if norm.output[0] in node.input)
    value = onnx.helper.make_tensor_value_info(relu.output[0], onnx.TensorProto.FLOAT, [None, 12, 4, 5])
    model.graph.output.append(value)
    _, outcome = with_native_operators(replace(net, model=model))
    assert outcome.changed == 1
    assert "something reads it in float" in outcome.notes[0]


def test_a_net_without_layers_stays_as_it_is() -> None:
    given = source()
    same, outcome = with_native_operators(given.traced)  # layers, but none between 8-bit maps
    assert outcome.changed == 0
    assert same is given.traced
