"""The composite form against the plain reference, in value and in what it leaves alone."""

import pytest
import torch

from groupnl.nn import expand_composite, expand_reference, normalize_maps
from groupnl_device.nlf import NLFS, PIXEL_NORMS, channel_map, copies, draw_pairs


@pytest.mark.parametrize("nlf", NLFS)
@pytest.mark.parametrize("normalize", PIXEL_NORMS)
@pytest.mark.parametrize(("seeds", "out_channels", "groups"), [(5, 10, 2), (7, 30, 4), (4, 6, 4)])
def test_equals_the_reference(nlf, normalize, seeds, out_channels, groups):
    torch.manual_seed(0)
    sizes = {"nl_groups": groups, "copies": copies(out_channels, seeds)}
    period, shift = (torch.from_numpy(v) for v in draw_pairs(nlf=nlf, seed=1, key="k", **sizes))
    source, pair = (torch.from_numpy(v) for v in channel_map(seed_channels=seeds, out_channels=out_channels, **sizes))
    maps = torch.randn(2, seeds, 3, 4, dtype=torch.double)
    before = maps.clone()
    made = expand_composite(maps, period, shift, source, pair, nlf=nlf, normalize=normalize)
    expected = expand_reference(maps, period, shift, out_channels=out_channels, nlf=nlf, normalize=normalize)
    torch.testing.assert_close(made, expected, atol=1e-12, rtol=1e-12)
    assert torch.equal(maps, before)


def test_norms_bound_each_pixel():
    maps = torch.randn(2, 6, 3, 4, dtype=torch.double) * 100
    torch.testing.assert_close(normalize_maps(maps, "l2").square().sum(1), torch.ones(2, 3, 4, dtype=torch.double))
    torch.testing.assert_close(normalize_maps(maps, "rms").square().mean(1), torch.ones(2, 3, 4, dtype=torch.double))
    assert normalize_maps(maps, "none") is maps
    assert normalize_maps(maps.half(), "l2").dtype == torch.float32
    with pytest.raises(ValueError, match="normalize='max': expected one of l2, rms, none"):
        normalize_maps(maps, "max")
