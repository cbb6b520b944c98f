"""Grouped convolutions of one output a group as depthwise ones, their inputs made in the order that these want."""

import numpy as np
import pytest
from cloud.tests.export.passes.graphs import assert_same_answers, drawn, graph_of, kinds, node, rewritten

from groupnl.export.passes.sparse_terms import split_sparse_convolutions


def sparse(maps, m=2, groups=4, result="result"):
    attributes = {"group": groups, "kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "strides": [2, 2]}
    return node("Conv", [maps, "filters", "bias"], [result], **attributes), {
        "filters": drawn(groups, m, 3, 3),
        "bias": drawn(groups),
    }


def pointwise(source, target, channels=8, inputs=3, name="w"):
    return node("Conv", [source, name, f"{name}.bias"], [target], kernel_shape=[1, 1]), {
        name: drawn(channels, inputs, 1, 1),
        f"{name}.bias": drawn(channels, seed=7),
    }


def is_depthwise_everywhere(model):
    filters = {array.name: tuple(array.dims) for array in model.graph.initializer}
    grouped = [made for made in model.graph.node if made.op_type == "Conv" and filters[made.input[1]][2:] == (3, 3)]
    return all(filters[made.input[1]][1] == 1 for made in grouped) and len(grouped)


def check(nodes, arrays, size, cut):
    before = graph_of(nodes, arrays, size)
    after, outcome = rewritten(before, split_sparse_convolutions)
    assert outcome.changed == 1
    assert len(outcome.notes) == cut
    assert kinds(after).count("Slice") == 2 * cut
    assert is_depthwise_everywhere(after) == 2
    assert_same_answers(before, after, drawn(2, *size))
    return after, outcome


def test_through_norm_and_activation_into_the_filters_before():
    before, arrays = pointwise("input", "wide")
    conv, filters = sparse("active")
    norm = {name: np.abs(drawn(8, seed=k)) + 0.5 for k, name in enumerate(("g", "b", "mean", "var"))}
    nodes = [
        before,
        node("BatchNormalization", ["wide", *norm], ["normed"]),
        node("Mul", ["scale", "normed"], ["scaled"]),
        node("HardSwish", ["scaled"], ["active"]),
        conv,
    ]
    after, _ = check(nodes, {**arrays, **filters, **norm, "scale": drawn(1, 8, 1, 1)}, (3, 5, 6), cut=0)
    names = {array.name for array in after.graph.initializer}
    assert {"w.1of2", "w.2of2", "w.bias.1of2", "filters.1of2", "filters.2of2", "bias"} <= names
    assert not names & {"w", "filters", "scale"}


def test_through_a_gate_and_a_depthwise_convolution():
    wide, arrays = pointwise("input", "wide")
    gate, gate_arrays = pointwise("pooled", "gate", inputs=8, name="v")
    conv, filters = sparse("gated")
    nodes = [
        wide,
        node("Conv", ["wide", "each"], ["mixed"], group=8, kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        node("Conv", ["wide", "each"], ["other"], group=8, kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        node("GlobalAveragePool", ["other"], ["pooled"]),
        gate,
        node("Sigmoid", ["gate"], ["open"]),
        node("Mul", ["mixed", "open"], ["gated"]),
        conv,
    ]
    arrays |= {**gate_arrays, **filters, "each": drawn(8, 1, 3, 3)}
    before = graph_of(nodes, arrays, (3, 5, 6))
    after, outcome = rewritten(before, split_sparse_convolutions)
    assert outcome.changed == 1
    assert_same_answers(before, after, drawn(2, 3, 5, 6))
    assert kinds(after).count("Slice") == 2  # of the maps that the gate's own path reads as well
    assert kinds(after).count("Sigmoid") == 2


def test_what_a_gate_reads_whole_is_not_made_twice():
    """Plain squeeze-and-excitation before the layer: its first convolution needs every channel."""
    wide, arrays = pointwise("input", "wide")
    gate, gate_arrays = pointwise("pooled", "gate", inputs=8, name="v")
    conv, filters = sparse("gated")
    nodes = [
        wide,
        node("GlobalAveragePool", ["wide"], ["pooled"]),
        gate,
        node("Relu", ["wide"], ["active"]),
        node("Mul", ["active", "gate"], ["gated"]),
        conv,
    ]
    before = graph_of(nodes, {**arrays, **gate_arrays, **filters}, (3, 5, 6))
    after, outcome = rewritten(before, split_sparse_convolutions)
    assert outcome.notes == ("wide: more than one layer reads it, its channels are copied",)
    assert kinds(after).count("Conv") == 5  # wide, two of the gate, two of the layer
    assert_same_answers(before, after, drawn(2, 3, 5, 6))


def test_through_a_shortcut():
    one, arrays = pointwise("input", "one")
    two, more = pointwise("input", "two", name="v")
    conv, filters = sparse("sum")
    check([one, two, node("Add", ["one", "two"], ["sum"]), conv], {**arrays, **more, **filters}, (3, 5, 6), cut=0)


def test_through_an_activation_of_two_steps():
    """SiLU reads its input twice."""
    wide, arrays = pointwise("input", "wide")
    conv, filters = sparse("active")
    nodes = [wide, node("Sigmoid", ["wide"], ["s"]), node("Mul", ["wide", "s"], ["active"]), conv]
    after, _ = check(nodes, {**arrays, **filters}, (3, 5, 6), cut=0)
    assert kinds(after).count("Conv") == 4  # none of the two before is made twice


def test_maps_that_others_read_are_cut():
    wide, arrays = pointwise("input", "wide")
    conv, filters = sparse("wide", result="narrow")
    nodes = [
        wide,
        conv,
        node("GlobalAveragePool", ["narrow"], ["a"]),
        node("GlobalAveragePool", ["wide"], ["b"]),
        node("Concat", ["a", "b"], ["result"], axis=1),
    ]
    _, outcome = check(nodes, {**arrays, **filters}, (3, 5, 6), cut=1)
    assert outcome.notes == ("wide: more than one layer reads it, its channels are copied",)


def test_the_input_itself_is_cut():
    conv, filters = sparse("input")
    check([conv], filters, (8, 5, 6), cut=1)


def test_four_inputs_a_group():
    conv, filters = sparse("input", m=4, groups=3)
    before = graph_of([conv], filters, (12, 5, 6))
    after, outcome = rewritten(before, split_sparse_convolutions)
    assert outcome.changed == 1
    assert kinds(after).count("Conv") == 4
    assert_same_answers(before, after, drawn(2, 12, 5, 6))


@pytest.mark.parametrize(("groups", "outputs"), [(1, 4), (4, 8), (8, 8)])
def test_other_convolutions_stay(groups, outputs):
    conv = node("Conv", ["input", "filters"], ["result"], group=groups, kernel_shape=[3, 3])
    before = graph_of([conv], {"filters": drawn(outputs, 8 // groups, 3, 3)}, (8, 5, 6))
    after, outcome = rewritten(before, split_sparse_convolutions)
    assert outcome.changed == 0
    assert kinds(after) == ["Conv"]
