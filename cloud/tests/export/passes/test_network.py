"""Editing a graph: uses are counted, what nobody needs goes, the order stays valid, names stay unique."""

import numpy as np
import onnx
import pytest
from cloud.tests.export.passes.graphs import answers, drawn, graph_of, kinds, node

from groupnl.export.passes import Network
from groupnl.export.passes.network import is_plain
from groupnl_device.cuts import Cut, add_cuts

SIZE = (4, 5, 3)


def diamond() -> onnx.ModelProto:
    """result = relu(x) * w + relu(x), with a node that nobody reads."""
    nodes = [
        node("Relu", ["input"], ["a"]),
        node("Mul", ["a", "w"], ["b"]),
        node("Abs", ["a"], ["unread"]),
        node("Add", ["b", "a"], ["result"]),
    ]
    return graph_of(nodes, {"w": drawn(4, 1, 1), "spare": drawn(2)}, SIZE)


def test_who_makes_and_who_reads():
    net = Network(diamond().graph, ())
    assert net.producer("b").op == "Mul"
    assert net.producer("input") is None
    assert [reader.op for reader in net.users("a")] == ["Mul", "Abs", "Add"]
    assert net.sole_user("b").op == "Add"
    assert net.sole_user("a") is None
    assert net.sole_user("result") is None
    assert net.shape("b") == SIZE
    assert net.shape("w") is None
    assert net.is_result("result")
    assert not net.is_result("a")


def test_what_a_device_rebuilds_has_no_values():
    net = Network(diamond().graph, ["w"])
    assert net.array("w") is None
    assert net.is_array("w")
    assert net.array("spare").shape == (2,)


def test_replacing_a_value_drops_what_only_it_needed():
    model = diamond()
    net = Network(model.graph, ())
    net.replace("b", net.add("Neg", ["a"], "b", SIZE))
    net.write_to(model.graph)
    assert kinds(model) == ["Relu", "Neg", "Add"]
    assert not model.graph.initializer
    images = drawn(2, *SIZE)
    assert np.array_equal(answers(model, images), np.zeros_like(images))


def test_a_result_keeps_its_name():
    model = diamond()
    net = Network(model.graph, ())
    net.replace("result", net.add("Abs", ["a"], "other", SIZE))
    net.write_to(model.graph)
    assert kinds(model) == ["Relu", "Abs"]
    assert model.graph.node[-1].output[0] == model.graph.output[0].name == "result"
    images = drawn(2, *SIZE)
    np.testing.assert_array_equal(answers(model, images), np.maximum(images, 0))


def test_a_result_that_its_replacement_reads():
    model = diamond()
    net = Network(model.graph, ())
    before = answers(model, drawn(1, *SIZE))
    net.replace("b", net.add("Mul", ["a", "w"], "b", SIZE))
    net.write_to(model.graph)
    np.testing.assert_array_equal(answers(model, drawn(1, *SIZE)), before)


def test_new_names_never_meet_old_ones_and_equal_arrays_are_kept_once():
    net = Network(diamond().graph, ())
    assert net.add("Neg", ["a"], "b") == "b.1"
    assert net.add("Neg", ["a"], "b") == "b.2"
    axis = net.constant(np.array([1], np.int64))
    assert net.constant(np.array([1], np.int64)) == axis
    assert net.constant(np.array([2], np.int64)) != axis


def test_parts_of_weights():
    weight = drawn(12, 6, 3, 3)
    made = node("Conv", ["input", "w"], ["result"])
    net = Network(graph_of([made], {"w": weight}, (6, 5, 5)).graph, ())
    odd = net.cut("w", "odd", slice(1, None, 2))
    assert odd == "w.odd"
    assert net.cut("w", "odd", slice(1, None, 2)) == odd
    assert net.cut("w", "odd", slice(1, 3)) == "w.odd.1"
    further = net.cut(odd, "late", slice(3, None), slice(0, 2))
    np.testing.assert_array_equal(net.array(further), weight[1::2][3:, :2])
    assert net.cuts[further] == Cut(of="w", ranges=((7, 12, 2), (0, 2, 1)))  # within the tensor
    assert net.cut(odd, "whole", slice(None)) != odd
    made_again = add_cuts({"w": weight}, net.cuts)
    assert set(made_again) == {"w", *net.cuts}
    for name, part in made_again.items():
        np.testing.assert_array_equal(part, net.array(name))
    with pytest.raises(ValueError, match="result: expected the name of an initializer"):
        net.cut("result", "odd", slice(1))


def test_results_of_other_domains_get_their_shapes():
    model = graph_of([node("Relu", ["input"], ["a"]), node("Neg", ["a"], ["result"])], {}, SIZE)
    net = Network(model.graph, ())
    net.replace("a", net.add("Thing", ["input"], "b", SIZE, domain="com.example", wide=1))
    net.write_to(model.graph)
    assert [(made.op_type, made.domain) for made in model.graph.node] == [("Thing", "com.example"), ("Neg", "")]
    (value,) = model.graph.value_info
    dims = value.type.tensor_type.shape.dim
    assert (value.name, dims[0].dim_param, [dim.dim_value for dim in dims[1:]]) == ("b", "batch", list(SIZE))


@pytest.mark.parametrize(
    ("made", "plain"),
    [
        (node("Relu", ["input"], ["result"]), True),
        (node("Relu", ["input"], ["result"], domain="com.example"), False),
        (node("If", ["input"], ["result"], then_branch=diamond().graph, else_branch=diamond().graph), False),
    ],
)
def test_branches_and_foreign_operators(made, plain):
    assert is_plain(graph_of([made], {}, SIZE).graph) is plain
