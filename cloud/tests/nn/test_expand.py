"""Which form runs where, and that all give the same maps."""

import copy

import pytest
import torch
from cloud.tests.nn.expansions import constants, seed_maps
from torch import fx
from torch._dynamo.testing import CompileCounterWithBackend

import groupnl
from groupnl.nn import expand, set_backend, using_backend


def _operators(program: torch.export.ExportedProgram) -> set[str]:
    return {str(node.target) for node in program.graph.nodes if node.op == "call_function"}


@pytest.mark.parametrize("backend", ["reference", "eager", "compiled"])
def test_every_backend_gives_the_same_maps_and_gradients(backend):
    given, maps = constants(4, 12, 2), seed_maps(4)[:, :, 1:].clone()
    found = []
    for name in ("auto", backend):
        held = maps.clone().requires_grad_()
        with using_backend(name):
            out = expand(held, *given)
            found.append((out.detach(), *torch.autograd.grad(out.square().sum(), held)))
    torch.testing.assert_close(*found, atol=1e-12, rtol=1e-12)


def test_exported_programs_hold_plain_operators_only():
    layer = groupnl.GroupNLConv2d(4, 16, 3).eval()
    example = torch.randn(1, 4, 6, 6)
    program = torch.export.export(layer, (example,))
    assert all(name.startswith("aten.") for name in _operators(program))
    torch.testing.assert_close(program.module()(example), layer(example))
    traced = torch.jit.trace(layer, example)
    assert "groupnl::" not in str(traced.inlined_graph)
    torch.testing.assert_close(traced(example), layer(example))


def test_torch_fx_sees_one_node():
    layer = groupnl.GroupNLConv2d(4, 16, 3)
    graph = fx.symbolic_trace(layer)
    assert [node.target for node in graph.graph.nodes if node.op == "call_function"] == [expand]
    images = torch.randn(2, 4, 6, 6)
    assert torch.equal(graph(images), layer(images))


def test_compiles_whole_and_once_for_all_batches():
    torch._dynamo.reset()
    layer = groupnl.GroupNLConv2d(4, 16, 3, padding=1)
    net = torch.nn.Sequential(layer, torch.nn.BatchNorm2d(16), torch.nn.ReLU()).eval()
    counter = CompileCounterWithBackend("eager")  # what is counted is tracing; Inductor itself has a test of the layer
    compiled = torch.compile(net, backend=counter, fullgraph=True, dynamic=True)
    for batch in (2, 3, 7, 5):
        images = torch.randn(batch, 4, 6, 6)
        torch.testing.assert_close(compiled(images), net(images))
    assert counter.frame_count == 1


def test_compiled_training_equals_eager():
    torch._dynamo.reset()
    layer = groupnl.GroupNLConv2d(4, 12, 3, padding=1)
    twin = copy.deepcopy(layer)
    compiled = torch.compile(twin, fullgraph=True)
    images = torch.randn(2, 4, 6, 6)
    for run in (layer, compiled):
        run(images).square().mean().backward()
    torch.testing.assert_close(twin.seed_conv.weight.grad, layer.seed_conv.weight.grad)


def test_a_compiled_net_follows_a_change_of_backend():
    torch._dynamo.reset()
    layer, images = groupnl.GroupNLConv2d(4, 12, 3), torch.randn(2, 4, 6, 6)
    compiled = torch.compile(layer, backend="eager")
    expected = layer(images)
    try:
        for name in ("auto", "reference", "eager", "compiled"):
            set_backend(name)
            torch.testing.assert_close(compiled(images), expected)
    finally:
        set_backend("auto")
