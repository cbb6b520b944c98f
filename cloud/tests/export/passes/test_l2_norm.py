"""The norm by a matrix product: the same unit vectors, zeros where all channels are zero."""

import numpy as np
import pytest
from cloud.tests.export.passes.graphs import answers, drawn, graph_of, kinds, node, rewritten

from groupnl.export.passes.l2_norm import rewrite_l2_norms


def norm_graph(axes=(1,), keepdims=1, numerator="input", size=(7, 5, 3)):
    nodes = [
        node("ReduceL2", ["input", "axes"], ["norm"], keepdims=keepdims),
        node("Clip", ["norm", "eps"], ["bounded"]),
        node("Neg", ["input"], ["negative"]),
        node("Div", [numerator, "bounded"], ["result"]),
    ]
    return graph_of(nodes, {"axes": np.array(axes, np.int64), "eps": np.float32(1e-12)}, size)


def test_unit_vectors_against_float64():
    model, outcome = rewritten(norm_graph(), rewrite_l2_norms)
    assert outcome.changed == 1
    assert not {"ReduceL2", "Div"} & set(kinds(model))
    images = drawn(3, 7, 5, 3) * np.logspace(-15, 15, 3, dtype=np.float32)
    images[0, :, 1:3, 1] = 0
    images[1, :, 0, 0] = 1e-20  # its squares are no float32 numbers; its norm is below eps
    images[2, 3, 0, 0] = 0
    found = answers(model, images)
    norms = np.sqrt((images.astype(np.float64) ** 2).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(found, images / np.maximum(norms, 1e-12), atol=1e-6, rtol=1e-5)
    assert not found[0, :, 1:3, 1].any()


@pytest.mark.parametrize("change", [{"axes": (2,)}, {"axes": (1, 2)}, {"numerator": "negative"}])
def test_other_divisions_stay(change):
    model, outcome = rewritten(norm_graph(**change), rewrite_l2_norms)
    assert outcome.changed == 0
    assert "ReduceL2" in kinds(model)
