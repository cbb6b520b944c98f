"""The norm in other operators: the same unit vectors, zeros where all channels are zero."""

import numpy as np
import pytest
from cloud.tests.export.passes.graphs import answers, drawn, graph_of, kinds, node, rewritten

from groupnl.export.passes.runtime_norms import spell_out_norms, sum_by_convolution

SIZE = (7, 5, 3)


def norm_graph(axes=(1,)):
    nodes = [
        node("ReduceL2", ["input", "axes"], ["norm"], keepdims=1),
        node("Clip", ["norm", "eps"], ["bounded"]),
        node("Div", ["input", "bounded"], ["result"]),
    ]
    return graph_of(nodes, {"axes": np.array(axes, np.int64), "eps": np.float32(1e-12)}, SIZE)


def images() -> np.ndarray:
    found = drawn(3, *SIZE) * np.logspace(-9, 9, 3, dtype=np.float32).reshape(-1, 1, 1, 1)
    found[0, :, 1:3, 1] = 0
    return found


@pytest.mark.parametrize(
    ("edit", "wanted"),
    [
        (sum_by_convolution, ["Mul", "Conv", "Sqrt", "Clip", "Div"]),
        (spell_out_norms, ["ReduceL2", "Clip", "Expand", "Div"]),
    ],
)
def test_unit_vectors_against_float64(edit, wanted):
    graph = norm_graph()
    graph.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    model, outcome = rewritten(graph, edit)
    assert outcome.changed == 1
    assert kinds(model) == wanted
    for image in images():
        exact = image.astype(np.float64)
        norm = np.maximum(np.sqrt((exact**2).sum(axis=0)), 1e-12)
        found = answers(model, image[None])[0]
        np.testing.assert_allclose(found, exact / norm, atol=1e-6)
        assert np.isfinite(found).all()


@pytest.mark.parametrize("edit", [sum_by_convolution, spell_out_norms])
def test_norms_over_other_axes_stay(edit):
    model, outcome = rewritten(norm_graph(axes=(2,)), edit)
    assert outcome.changed == 0
    assert kinds(model) == ["ReduceL2", "Clip", "Div"]
