"""Period and shift in one operator, where their values are known."""

import numpy as np
import pytest
from cloud.tests.export.passes.graphs import assert_same_answers, drawn, graph_of, kinds, node, rewritten

from groupnl.export.passes.known_pairs import fold_known_pairs

PAIRS = {"period": np.abs(drawn(6, 1, 1)) + 1, "shift": drawn(1, 6, 1, 1)}


def argument_graph(order=("period", "moved"), pairs=PAIRS, more=()):
    nodes = [node("Sub", ["input", "shift"], ["moved"]), node("Mul", order, ["result"]), *more]
    return graph_of(nodes, pairs, (6, 4, 3))


@pytest.mark.parametrize("order", [("period", "moved"), ("moved", "period")])
def test_one_sweep_over_the_maps(order):
    before = argument_graph(order)
    after, outcome = rewritten(before, fold_known_pairs)
    assert outcome.changed == 1
    assert kinds(after) == ["BatchNormalization"]
    assert_same_answers(before, after, drawn(2, 6, 4, 3))


def test_what_a_device_rebuilds_stays():
    _, outcome = rewritten(argument_graph(), fold_known_pairs, PAIRS)
    assert outcome.changed == 0


@pytest.mark.parametrize("change", [{"period": drawn(4, 3)}, {"shift": drawn(6, 4, 3)}, {"shift": np.float32(1)}])
def test_values_that_are_none_of_channels_stay(change):
    _, outcome = rewritten(argument_graph(pairs={**PAIRS, **change}), fold_known_pairs)
    assert outcome.changed == 0


def test_a_difference_that_others_read_stays():
    nodes = [
        node("Sub", ["input", "shift"], ["moved"]),
        node("Mul", ["period", "moved"], ["argument"]),
        node("Add", ["argument", "moved"], ["result"]),
    ]
    _, outcome = rewritten(graph_of(nodes, PAIRS, (6, 4, 3)), fold_known_pairs)
    assert outcome.changed == 0
