"""A quantised net: what is rounded how, worked out again in numpy; what stays in float; how far the answers move."""

from collections import Counter
from dataclasses import replace

import numpy as np
import onnx
import pytest
from cloud.tests.export.quantization.quantized_net import PREPROCESSING, pictures, run, source

from groupnl.export import ExportError
from groupnl.export.quantization.qdq import quantized


@pytest.fixture(scope="module")
def net():
    return quantized(source().traced, pictures(), PREPROCESSING)


def arrays(traced) -> dict[str, np.ndarray]:
    return {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in traced.model.graph.initializer}


def test_weights_are_int8_with_a_scale_for_each_output_channel(net) -> None:
    weights, given = arrays(net), arrays(source().traced)
    names = [name.removesuffix("_quantized") for name in weights if name.endswith("weight_quantized")]
    assert len(names) == 6
    for name in names:
        found, scale = weights[f"{name}_quantized"], weights[f"{name}_scale"]
        assert found.dtype == np.int8
        assert not weights[f"{name}_zero_point"].any()
        largest = np.abs(given[name].reshape(len(given[name]), -1)).max(axis=1)
        np.testing.assert_allclose(scale, largest / 127.5, rtol=0.005)  # ONNX Runtime takes 127 or 127.5, by version
        restored = found.astype(np.float64) * scale.reshape(-1, *[1] * (found.ndim - 1))
        assert np.abs(restored - given[name]).max() <= scale.max() / 2 * 1.02
        assert name not in weights  # shipped once, in 8 bits


def test_maps_are_uint8_in_the_range_of_the_pictures(net) -> None:
    weights = arrays(net)
    images = PREPROCESSING.normalize(pictures())
    scale, zero = weights["input_scale"], weights["input_zero_point"]
    assert zero.dtype == np.uint8
    assert scale == pytest.approx((images.max() - images.min()) / 255, rel=1e-5)
    assert (0 - float(zero)) * float(scale) == pytest.approx(float(images.min()), abs=float(scale))


def test_the_tails_stay_in_float_and_the_logits_are_not_rounded(net) -> None:
    nodes = net.model.graph.node
    by_output = {name: node for node in nodes for name in node.output}
    sines = [node for node in nodes if node.op_type == "Sin"]
    assert len(sines) == 2
    rounded = {"QuantizeLinear", "DequantizeLinear"}
    for sine in sines:
        (concat,) = [node for node in nodes if sine.output[0] in node.input]
        (norm,) = [node for node in nodes if concat.output[0] in node.input]
        assert (concat.op_type, norm.op_type) == ("Concat", "BatchNormalization")
        assert by_output[sine.input[0]].op_type not in rounded
    assert by_output["logits"].op_type == "Gemm"


def test_a_bias_that_a_batch_norm_shares_is_rounded_for_its_convolution_alone(net) -> None:
    """The exporter keeps one of two equal arrays; the batch norm must not read int32 in the convolution's units."""
    biases = Counter(name for node in source().traced.model.graph.node for name in node.input[2:3])
    assert max(biases.values()) == 2  # the batch norm's and the convolution's are one
    (norm,) = [n for n in net.model.graph.node if n.op_type == "BatchNormalization" and n.input[3].startswith("norm.")]
    assert arrays(net)[norm.input[2]].dtype == np.float32
    convolutions = [node for node in net.model.graph.node if node.op_type == "Conv"]
    dequantised = {n.output[0] for n in net.model.graph.node if n.op_type == "DequantizeLinear"}
    assert all(set(node.input[1:]) <= dequantised for node in convolutions)


def test_answers_move_by_rounding_only(net) -> None:
    images = pictures(64, seed=3)
    before, after = run(source().traced.model, images), run(net.model, images)
    assert np.abs(after - before).max() <= 0.1 * np.abs(before).max()
    assert np.abs(after - before).max() > 0


def test_the_same_bytes_twice_and_no_trace_of_this_machine(net) -> None:
    again = quantized(source().traced, pictures(), PREPROCESSING)
    one, two = (each.model.SerializeToString(deterministic=True) for each in (net, again))
    assert one == two
    assert not net.model.metadata_props
    assert b"/tmp" not in one


def test_a_net_with_operators_of_its_own_is_refused() -> None:
    model = onnx.ModelProto()
    model.CopyFrom(source().traced.model)
    model.graph.node[0].domain = "elsewhere"
    with pytest.raises(ExportError, match="a plain graph is needed"):
        quantized(replace(source().traced, model=model), pictures(), PREPROCESSING)
