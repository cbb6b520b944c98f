"""Chosen channels by a convolution: the same numbers."""

import numpy as np
import pytest
from cloud.tests.export.passes.graphs import answers, drawn, graph_of, kinds, node, rewritten

from groupnl.export.passes.chosen_channels import select_by_convolution

MOST = np.iinfo(np.int64).max


def slice_graph(start=1, end=MOST, axis=1, step=2):
    arrays = {name: np.array([number], np.int64) for name, number in zip("sexp", (start, end, axis, step), strict=True)}
    return graph_of([node("Slice", ["input", *"sexp"], ["result"])], arrays, (7, 4, 3))


@pytest.mark.parametrize(("start", "end", "step"), [(0, MOST, 2), (1, MOST, 2), (2, MOST, 3), (1, 6, 2)])
def test_the_same_channels_bit_for_bit(start, end, step):
    model, outcome = rewritten(slice_graph(start, end, 1, step), select_by_convolution)
    assert outcome.changed == 1
    assert kinds(model) == ["Conv"]
    images = drawn(2, 7, 4, 3)
    np.testing.assert_array_equal(answers(model, images), images[:, start:end:step])


@pytest.mark.parametrize("change", [{"step": 1}, {"axis": 2}])
def test_other_slices_stay(change):
    model, outcome = rewritten(slice_graph(**change), select_by_convolution)
    assert outcome.changed == 0
    assert kinds(model) == ["Slice"]


def test_gathers_of_channels():
    graph = graph_of([node("Gather", ["input", "i"], ["result"], axis=1)], {"i": np.array([3, 0, 3, -1])}, (7, 4, 3))
    model, outcome = rewritten(graph, select_by_convolution)
    assert outcome.changed == 1
    assert kinds(model) == ["Conv"]
    images = drawn(2, 7, 4, 3)
    np.testing.assert_array_equal(answers(model, images), images[:, [3, 0, 3, 6]])


def test_gathers_of_rows_stay():
    graph = graph_of([node("Gather", ["input", "i"], ["result"], axis=2)], {"i": np.array([3, 0])}, (7, 4, 3))
    assert rewritten(graph, select_by_convolution)[1].changed == 0
