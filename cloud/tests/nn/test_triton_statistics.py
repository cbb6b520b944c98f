"""The statistics that come with the maps against torch.var_mean in float64."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from groupnl_device.nlf import PIXEL_NORMS, copies, draw_pairs

pytest.importorskip("triton", reason="Triton is not installed here")

from groupnl.nn import triton_statistics
from groupnl.nn.triton_expand import expand_forward
from groupnl.nn.triton_statistics import expand_forward_with_statistics

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy's, of lanes outside the maps


def check(shape, out_channels, *, groups=2, nlf="sine", normalize="l2", dtype=torch.float32, mean=0.0, rtol=2e-5):
    maps = torch.randn(shape, generator=torch.Generator().manual_seed(0)) + mean
    maps = maps.to(DEVICE, dtype).contiguous(memory_format=torch.channels_last)
    sizes = {"nl_groups": groups, "copies": copies(out_channels, shape[1])}
    pairs = tuple(torch.from_numpy(v).to(DEVICE) for v in draw_pairs(nlf=nlf, seed=1, key="k", **sizes))
    rest = (*pairs, out_channels - shape[1], nlf, normalize)
    out, mean, var = expand_forward_with_statistics(maps, *rest)
    assert out.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(out, expand_forward(maps, *rest), atol=0, rtol=0)
    exact_var, exact_mean = torch.var_mean(out.double(), dim=(0, 2, 3), correction=0)
    torch.testing.assert_close(mean.double(), exact_mean, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(var.double(), exact_var, rtol=rtol, atol=1e-9)


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch):
    """Several tiles for each program."""
    monkeypatch.setattr(triton_statistics, "TILE", 64)


@pytest.mark.parametrize("normalize", PIXEL_NORMS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_precisions(dtype, normalize):
    check((3, 8, 6, 7), 16, dtype=dtype, normalize=normalize)


@pytest.mark.parametrize(
    ("shape", "out_channels", "groups"),
    [((2, 7, 5, 3), 26, 3), ((1, 5, 1, 1), 10, 1), ((2, 6, 9, 3), 7, 4), ((2, 4, 3, 3), 4, 2), ((1, 40, 6, 5), 80, 4)],
)
def test_odd_shapes(shape, out_channels, groups):
    check(shape, out_channels, groups=groups)


def test_a_mean_far_larger_than_the_deviation():
    # the mean square less the squared mean would be off by half
    check((4, 6, 8, 8), 12, nlf="identity", normalize="none", mean=3000.0, rtol=5e-4)


@settings(max_examples=8, deadline=None)
@given(st.data())
def test_any_shape(data):
    seeds = data.draw(st.integers(1, 12))
    shape = (data.draw(st.integers(1, 3)), seeds, data.draw(st.integers(1, 9)), data.draw(st.integers(1, 9)))
    check(shape, data.draw(st.integers(seeds, 4 * seeds)), groups=data.draw(st.integers(1, seeds)))


def test_more_programs_than_are_merged_at_once(monkeypatch):
    monkeypatch.setattr(triton_statistics, "MERGED_ROWS", 2)
    check((2, 7, 6, 5), 20)


def test_what_it_does_not_take():
    pairs = torch.ones(1, 1), torch.ones(1, 1)
    with pytest.raises(ValueError, match=r"seed maps \(0, 2, 3, 3\), 1 copies: expected a pixel or more"):
        expand_forward_with_statistics(torch.zeros(0, 2, 3, 3), *pairs, 2, "sine", "l2")
    with pytest.raises(ValueError, match=r"4 copies: expected .* at most 1024 seed maps and 3 copies"):
        expand_forward_with_statistics(torch.zeros(1, 2, 3, 3), torch.ones(1, 4), torch.ones(1, 4), 8, "sine", "l2")
    with pytest.raises(ValueError, match="nlf='legendre': expected"):
        expand_forward_with_statistics(torch.zeros(1, 2, 3, 3), *pairs, 2, "legendre", "l2")
