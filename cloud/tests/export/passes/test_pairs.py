"""Period and shift in one operator, made of what the device rebuilds."""

import numpy as np
import pytest
from cloud.tests.export.passes.graphs import assert_same_answers, drawn, graph_of, kinds, node, rewritten

from groupnl.export.passes.pairs import fold_pairs

PAIRS = {"period": np.abs(drawn(6, 1, 1)) + 1, "shift": drawn(6, 1, 1)}


def argument_graph(order):
    nodes = [node("Sub", ["input", "shift"], ["moved"]), node("Mul", order, ["result"])]
    return graph_of(nodes, PAIRS, (6, 4, 3))


@pytest.mark.parametrize("order", [("period", "moved"), ("moved", "period")])
def test_one_sweep_over_the_maps(order):
    before = argument_graph(order)
    after, outcome = rewritten(before, fold_pairs, PAIRS)
    assert outcome.changed == 1
    assert sorted(kinds(after)) == ["BatchNormalization", "ConstantOfShape", "ConstantOfShape", "Reshape", "Reshape"]
    assert {array.name for array in after.graph.initializer} >= set(PAIRS)
    assert_same_answers(before, after, drawn(2, 6, 4, 3))


def test_learned_scales_are_none_of_its_business():
    _, outcome = rewritten(argument_graph(("period", "moved")), fold_pairs, ["shift"])
    assert outcome.changed == 0
