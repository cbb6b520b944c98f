"""One picture, all values inside, rewritten by the passes that were asked for."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from cloud.tests.export.sources import SIDE, shared
from onnx.reference import ReferenceEvaluator

from groupnl.export import ExportError
from groupnl.export.passes.known_pairs import fold_known_pairs
from groupnl.export.static_graph import check_precision, static_graph


def test_a_graph_of_one_picture_that_answers_as_the_net() -> None:
    net, held = shared()
    graph = static_graph(held, {"known-pairs": fold_known_pairs})
    assert graph.outcomes["known-pairs"].changed == 4
    (value,) = graph.model.graph.input
    assert [dim.dim_value for dim in value.type.tensor_type.shape.dim] == [1, 3, SIDE, SIDE]
    assert all(t.data_location == onnx.TensorProto.DEFAULT for t in graph.model.graph.initializer)
    picture = torch.randn(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    found = ReferenceEvaluator(graph.model).run(None, {"input": picture.numpy()})[0]
    with torch.no_grad():
        wanted = net(picture).numpy()
    np.testing.assert_allclose(found, wanted, atol=1e-5 * np.abs(wanted).max())


def test_the_trace_stays_as_it_was() -> None:
    _, traced = shared()
    before = traced.traced.model.SerializeToString(deterministic=True)
    static_graph(traced, {"known-pairs": fold_known_pairs})
    assert traced.traced.model.SerializeToString(deterministic=True) == before


def test_only_float32() -> None:
    _, held = shared()
    check_precision(held)
    with pytest.raises(ExportError, match="precision 'int8': expected float32"):
        check_precision(replace(held, precision="int8"))
