"""What works on each channel alone, and what it does to some of them."""

import numpy as np
import pytest
from cloud.tests.export.passes.graphs import answers, drawn, graph_of, node

from groupnl.export.passes import Network
from groupnl.export.passes.channelwise import is_channelwise, of_channels

SIZE = (6, 4, 5)
ARRAYS = {
    "each": drawn(6, 1, 1),
    "each4": drawn(1, 6, 1, 1),
    "pixel": drawn(4, 5),
    "column": drawn(5),
    "single": np.float32(0.5),
    "filters": drawn(6, 1, 3, 3),
    "bias": drawn(6),
    "dense": drawn(6, 6, 1, 1),
    "spread": np.abs(drawn(6)) + 1,
    "pixels": np.array([2, 3]),
    "channels": np.array([1]),
}
ALONE = {
    "activation": node("HardSwish", ["input"], ["result"]),
    "bounds": node("Clip", ["input", "", "single"], ["result"]),
    "a factor": node("Mul", ["input", "single"], ["result"]),
    "a factor each": node("Mul", ["each", "input"], ["result"]),
    "a minuend each": node("Sub", ["each4", "input"], ["result"]),
    "a batch norm": node("BatchNormalization", ["input", "bias", "bias", "bias", "spread"], ["result"]),
    "depthwise": node("Conv", ["input", "filters", "bias"], ["result"], group=6, kernel_shape=[3, 3]),
    "pooling": node("AveragePool", ["input"], ["result"], kernel_shape=[2, 2]),
    "the mean": node("ReduceMean", ["input", "pixels"], ["result"], keepdims=1),
}
TOGETHER = {
    "softmax": node("Softmax", ["input"], ["result"], axis=1),
    "a sum over channels": node("ReduceMean", ["input", "channels"], ["result"], keepdims=1),
    "a value a pixel": node("Mul", ["input", "pixel"], ["result"]),
    "a value a column": node("Add", ["input", "column"], ["result"]),
    "a dense convolution": node("Conv", ["input", "dense"], ["result"], kernel_shape=[1, 1]),
    "itself": node("Mul", ["input", "input"], ["result"]),
}


@pytest.mark.parametrize("made", ALONE.values(), ids=ALONE)
@pytest.mark.parametrize("channels", [slice(0, 2), slice(1, None, 2)])
def test_some_channels_give_what_they_give_among_all(made, channels):
    model = graph_of([made], ARRAYS, SIZE)
    images = drawn(2, *SIZE)
    expected = answers(model, images)[:, channels]
    net = Network(model.graph, ())
    assert is_channelwise(net, net.nodes[0], "input")
    part = graph_of([], {}, (expected.shape[1], *SIZE[1:]))
    net.replace("result", of_channels(net, net.nodes[0], "input", "input", channels, "part"))
    net.write_to(part.graph)
    np.testing.assert_array_equal(answers(part, images[:, channels]), expected)


@pytest.mark.parametrize("made", TOGETHER.values(), ids=TOGETHER)
def test_what_mixes_channels_or_tells_pixels_apart(made):
    net = Network(graph_of([made], ARRAYS, SIZE).graph, ())
    assert not is_channelwise(net, net.nodes[0], "input")


def test_values_that_a_device_rebuilds_cannot_be_cut():
    net = Network(graph_of([ALONE["a factor each"]], ARRAYS, SIZE).graph, ["each"])
    assert not is_channelwise(net, net.nodes[0], "input")
