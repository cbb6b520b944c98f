"""The plain reference at numbers worked by hand: order of the maps, norms, and the cut."""

import math

import pytest
import torch

from groupnl.nn import expand_reference

# one pixel with the channels 3, 0, 4: its L2 norm is 5
SEEDS = torch.tensor([3.0, 0.0, 4.0], dtype=torch.double).reshape(1, 3, 1, 1)
PERIOD = torch.tensor([[1.0, 2.0], [3.0, 4.0]])  # two groups (channels 0, 1 and channel 2), two copies
SHIFT = torch.tensor([[0.0, 0.5], [1.0, 2.0]])


def expanded(out_channels=9, **options):
    return expand_reference(SEEDS, PERIOD, SHIFT, out_channels=out_channels, **options).flatten().tolist()


def test_order_is_group_then_copy_then_channel():
    y = [0.6, 0.0, 0.8]
    generated = [
        *(math.sin(1.0 * (y[k] - 0.0)) for k in (0, 1)),
        *(math.sin(2.0 * (y[k] - 0.5)) for k in (0, 1)),
        math.sin(3.0 * (y[2] - 1.0)),
        math.sin(4.0 * (y[2] - 2.0)),
    ]
    assert expanded() == pytest.approx([*y, *generated])
    assert expanded(out_channels=5) == pytest.approx([*y, *generated[:2]])


def test_norms():
    assert expanded(nlf="identity", normalize="none")[:3] == [3.0, 0.0, 4.0]
    assert expanded(nlf="identity", normalize="rms")[:3] == pytest.approx([0.6 * math.sqrt(3), 0.0, 0.8 * math.sqrt(3)])
    with pytest.raises(ValueError, match="normalize='l1'"):
        expanded(normalize="l1")


def test_the_gaussians_pair_is_in_units_of_the_maps_root_mean_square():
    scaled = math.exp(-((1.0 * math.sqrt(3) * (0.6 - 0.0)) ** 2))
    assert expanded(nlf="gaussian")[3] == pytest.approx(scaled, rel=1e-6)
    assert expanded(nlf="gaussian", normalize="none")[3] == pytest.approx(math.exp(-9.0))
