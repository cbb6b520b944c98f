"""Seed maps and generated maps on their own ways to the next convolution."""

import numpy as np
import pytest
from cloud.tests.export.passes.graphs import assert_same_answers, drawn, graph_of, kinds, node, rewritten

from groupnl.export.passes.split_concat import split_concats

SIZE = (4, 5, 6)
EXPANSION = (node("Sin", ["input"], ["waves"]), node("Concat", ["input", "waves"], ["maps"], axis=1))
FILTERS = {"w": drawn(3, 8, 3, 3), "w.bias": drawn(3)}


def conv(source, target="result"):
    return node("Conv", [source, "w", "w.bias"], [target], kernel_shape=[3, 3], pads=[1, 1, 1, 1])


def norm_arrays():
    return {name: np.abs(drawn(8, seed=k)) + 0.5 for k, name in enumerate(("g", "b", "mean", "var"))}


def check(nodes, arrays):
    before = graph_of([*EXPANSION, *nodes], arrays, SIZE)
    after, outcome = rewritten(before, split_concats)
    assert outcome.changed == 1
    assert outcome.notes == ()
    assert "Concat" not in kinds(after)
    assert_same_answers(before, after, drawn(2, *SIZE))
    return after


def test_a_convolution_of_both_halves():
    after = check([conv("maps")], FILTERS)
    assert sorted(kinds(after)) == ["Add", "Conv", "Conv", "Sin"]
    assert {array.name for array in after.graph.initializer} == {"w.seeds", "w.generated", "w.bias"}


def test_through_norm_constants_activation_and_depthwise_convolution():
    arrays = {**FILTERS, **norm_arrays(), "scale": drawn(8, 1, 1), "six": np.float32(6), "zero": np.float32(0)}
    arrays |= {"each": drawn(8, 1, 3, 3), "each.bias": drawn(8)}
    nodes = [
        node("BatchNormalization", ["maps", "g", "b", "mean", "var"], ["normed"]),
        node("Sub", ["scale", "normed"], ["moved"]),
        node("Clip", ["moved", "zero", "six"], ["active"]),
        node("Conv", ["active", "each", "each.bias"], ["filtered"], group=8, kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        conv("filtered"),
    ]
    check(nodes, arrays)


def test_an_activation_of_two_steps():
    """SiLU reads its input twice."""
    check([node("Sigmoid", ["maps"], ["s"]), node("Mul", ["maps", "s"], ["active"]), conv("active")], FILTERS)


def test_a_shortcut_is_added_to_the_first_half():
    nodes = [
        node("Conv", ["input", "short"], ["shortcut"], kernel_shape=[1, 1]),
        conv("maps", "body"),
        node("Add", ["body", "shortcut"], ["sum"]),
        node("Relu", ["sum"], ["result"]),
    ]
    after = check(nodes, {**FILTERS, "short": drawn(3, 4, 1, 1)})
    made = {made.output[0]: made for made in after.graph.node}
    additions = [made for made in after.graph.node if made.op_type == "Add"]
    assert len(additions) == 2
    for addition in additions:  # each has a convolution that nothing else reads: the runtime can fuse them
        assert made[addition.input[0]].op_type == "Conv"


def test_two_convolutions_read_the_maps():
    nodes = [conv("maps", "one"), node("Relu", ["maps"], ["active"]), conv("active", "two")]
    check([*nodes, node("Mul", ["one", "two"], ["result"])], FILTERS)


STAY = {
    "a gate": [
        node("GlobalAveragePool", ["maps"], ["pooled"]),
        node("Conv", ["pooled", "square"], ["gate"], kernel_shape=[1, 1]),
        node("Mul", ["maps", "gate"], ["gated"]),
        conv("gated"),
    ],
    "a shortcut": [node("Conv", ["input", "short"], ["other"]), node("Add", ["maps", "other"], ["sum"]), conv("sum")],
    "the net's result": [node("Identity", ["maps"], ["result"])],
    "softmax over channels": [node("Softmax", ["maps"], ["soft"], axis=1), conv("soft")],
}


@pytest.mark.parametrize("nodes", STAY.values(), ids=STAY)
def test_what_reads_whole_maps_keeps_them_whole(nodes):
    before = graph_of([*EXPANSION, *nodes], {**FILTERS, "short": drawn(8, 4, 1, 1), "square": drawn(8, 8, 1, 1)}, SIZE)
    after, outcome = rewritten(before, split_concats)
    assert outcome.changed == 0
    assert outcome.notes == ("maps: stays, a shortcut, a gate or the like reads its maps as a whole",)
    assert "Concat" in kinds(after)
    assert_same_answers(before, after, drawn(2, *SIZE))


def test_concatenations_of_other_layers_stay():
    """Maps that a convolution made of the others are no expansion: Ghost, Inception, dense blocks."""
    nodes = [
        node("Conv", ["input", "each"], ["cheap"], group=4, kernel_shape=[1, 1]),
        node("Concat", ["input", "cheap"], ["maps"], axis=1),
        conv("maps"),
    ]
    after, outcome = rewritten(graph_of(nodes, {**FILTERS, "each": drawn(4, 1, 1, 1)}, SIZE), split_concats)
    assert (outcome.changed, outcome.notes) == (0, ())
    assert "Concat" in kinds(after)
