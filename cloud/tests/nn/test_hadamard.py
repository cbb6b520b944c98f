"""HadamardMix against scipy's matrix."""

import numpy as np
import pytest
import scipy.linalg
import torch
from torch.utils.flop_counter import FlopCounterMode

from groupnl.nn import HadamardMix


@pytest.mark.parametrize(("channels", "block"), [(2, 2), (6, 2), (16, 16), (48, 16), (64, 64)])
def test_it_is_sylvesters_matrix_in_each_block(channels, block):
    x = torch.randn(3, channels, 2, 5, dtype=torch.double)
    mix = HadamardMix(channels)
    assert mix.block == block
    blocks = x.numpy().reshape(3, channels // block, block, 2, 5)
    expected = np.einsum("sp,nqphw->nsqhw", scipy.linalg.hadamard(block) / block**0.5, blocks).reshape(x.shape)
    torch.testing.assert_close(mix(x), torch.from_numpy(expected), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("channels", [12, 32])
def test_it_keeps_the_size_of_every_pixel(channels):
    x = torch.randn(2, channels, 3, 4, dtype=torch.double)
    torch.testing.assert_close(HadamardMix(channels)(x).square().sum(1), x.square().sum(1))


def test_it_undoes_itself_where_one_block_is_all():
    x = torch.randn(2, 32, 3, 4, dtype=torch.double)
    torch.testing.assert_close(HadamardMix(32)(HadamardMix(32)(x)), x)


def test_gradient_and_no_parameters():
    mix = HadamardMix(8)
    assert list(mix.state_dict()) == []
    x = torch.randn(1, 8, 2, 3, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(mix, (x,))


def test_no_multiply_adds_are_counted():
    with FlopCounterMode(display=False) as counter:
        HadamardMix(16)(torch.randn(1, 16, 4, 4))
    assert counter.get_total_flops() == 0


def test_channels_last_and_half_precision():
    x = torch.randn(2, 16, 5, 3).to(memory_format=torch.channels_last)
    torch.testing.assert_close(HadamardMix(16)(x), HadamardMix(16)(x.contiguous()))
    assert HadamardMix(16)(x.bfloat16()).dtype == torch.bfloat16


@pytest.mark.parametrize(("channels", "message"), [(7, "channels=7: expected an even number"), (1, "at least 2")])
def test_odd_channels_are_refused(channels, message):
    with pytest.raises(ValueError, match=message):
        HadamardMix(channels)
