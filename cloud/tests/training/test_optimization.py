"""The schedule against its closed form, and who is spared the weight decay."""

import math
from types import ModuleType

import pytest
import torch

from groupnl.training.optimization import CosineSchedule, create_optimizer


@pytest.mark.parametrize(("warmup", "steps_per_epoch"), [(0.0, 5), (0.5, 5), (2.0, 7), (2.9, 1)])
def test_warm_up_then_cosine(warmup: float, steps_per_epoch: int, tiny: ModuleType) -> None:
    config = tiny.config(epochs=3, lr=0.2, min_lr=0.01, warmup_epochs=warmup)
    optimizer = create_optimizer(tiny.net(), config)
    schedule = CosineSchedule(optimizer, config, steps_per_epoch=steps_per_epoch)
    total, w = 3 * steps_per_epoch, min(round(warmup * steps_per_epoch), 3 * steps_per_epoch - 1)
    rates = []
    for step in range(total):
        schedule.apply(step)
        rates.append(optimizer.param_groups[0]["lr"])
    expected = [
        0.2 * (k + 1) / (w + 1) if k < w else 0.01 + 0.19 * (1 + math.cos(math.pi * (k - w) / (total - w))) / 2
        for k in range(total)
    ]
    assert rates == pytest.approx(expected)
    assert {group["lr"] for group in optimizer.param_groups} == {rates[-1]}


@pytest.mark.parametrize(("name", "kind"), [("sgd", torch.optim.SGD), ("adamw", torch.optim.AdamW)])
def test_norms_and_biases_do_not_decay(name: str, kind: type, tiny: ModuleType) -> None:
    net = tiny.net()
    optimizer = create_optimizer(net, tiny.config(optimizer=name, weight_decay=0.1))
    assert isinstance(optimizer, kind)
    decay = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    assert {name: decay[id(p)] for name, p in net.named_parameters()} == {
        **{"0.weight": 0.1, "1.weight": 0.0, "1.bias": 0.0},
        **{"6.weight": 0.1, "6.bias": 0.0},
    }
