"""Replayed steps: gradients are those given, arrive on time and in order, and DDP averages them."""

import time

import pytest
import torch
from benchmarks.replay import Compute, Replay, measure
from torch import nn


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5))


COMPUTE = Compute(
    forward_seconds=0.05,
    backward_seconds=0.2,
    update_seconds=0.03,
    ready={"4.bias": 0.1, "4.weight": 0.1, "1.weight": 0.5, "1.bias": 0.5, "0.weight": 0.9, "0.bias": 0.95},
)


def with_gradients() -> nn.Module:
    model = net()
    model(torch.randn(2, 3, 6, 5)).square().sum().backward()
    return model


def test_a_replayed_step_takes_its_time_and_gives_the_gradients_in_order() -> None:
    model = with_gradients()
    given = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
    replay = Replay(model, COMPUTE)
    replay.zero_grad()
    arrived: dict[str, float] = {}
    for name, parameter in model.named_parameters():
        parameter.register_post_accumulate_grad_hook(lambda _, name=name: arrived.update({name: time.perf_counter()}))
    begin = time.perf_counter()
    result = replay()
    forward = time.perf_counter()
    replay.backward(result)
    backward = time.perf_counter()
    assert forward - begin == pytest.approx(0.05, abs=0.03)
    assert backward - forward == pytest.approx(0.2, abs=0.05)
    assert list(arrived) == list(COMPUTE.ready)
    for name, share in COMPUTE.ready.items():
        assert arrived[name] - forward == pytest.approx(0.2 * share, abs=0.05)
        assert torch.equal(dict(model.named_parameters())[name].grad, given[name])
    replay.update()
    assert time.perf_counter() - backward >= 0.03
    assert all(parameter.grad is None for parameter in model.parameters())


def test_measured_steps_know_every_gradient_in_order() -> None:
    nets = {"first": net(), "second": net()}
    weights = {name: model[0].weight.clone() for name, model in nets.items()}
    found = measure(nets, torch.randn(4, 3, 8, 7), torch.randint(0, 5, (4,)), rounds=3)
    for name, compute in found.items():
        assert set(compute.ready) == set(dict(nets[name].named_parameters()))
        assert list(compute.ready.values()) == sorted(compute.ready.values())
        assert next(iter(compute.ready)).startswith("4.")
        assert 0 < max(compute.ready.values()) <= 1
        assert min(compute.forward_seconds, compute.backward_seconds, compute.update_seconds) > 0
        assert not torch.equal(nets[name][0].weight, weights[name])  # the steps were real
        Replay(with_gradients(), compute)
