"""Counting on the device."""

import math

import pytest
import torch

from groupnl.training.meter import Meter, bad_step


def test_sums_weigh_by_images() -> None:
    meter = Meter(torch.device("cpu"))
    meter.reset(torch.tensor([1.0, 1.0, 2.0], dtype=torch.float64))
    meter.add(torch.tensor(0.5), torch.tensor([[1.0, 2.0], [3.0, 0.0], [0.0, 1.0]]), torch.tensor([1, 1, 1]), step=4)
    assert meter.totals.tolist() == [2.5, 3.0, 5.0]
    assert bad_step(int(meter.divergence)) is None
    meter.reset()
    assert meter.totals.tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_the_first_bad_step_is_remembered(bad: float) -> None:
    meter = Meter(torch.device("cpu"))
    for step, loss in enumerate([1.0, 2.0, bad, 1.0, bad]):
        meter.add(torch.tensor(loss), torch.zeros(2, 3), torch.tensor([0, 1]), step=step)
    assert bad_step(int(meter.divergence)) == 2


def test_step_zero_can_be_bad() -> None:
    meter = Meter(torch.device("cpu"))
    meter.add(torch.tensor(math.nan), torch.zeros(1, 2), torch.tensor([0]), step=0)
    assert bad_step(int(meter.divergence)) == 0
