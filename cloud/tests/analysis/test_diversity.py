"""Measured diversity against numpy on the layer's own output."""

import math

import numpy as np
import pytest
import torch
from torch import nn

import groupnl
from groupnl.analysis import diversity
from groupnl.nn import GroupNLConv2d


def images(count=5):
    return torch.randn(count, 3, 9, 7, generator=torch.Generator().manual_seed(0))  # H != W


def layer(**options):
    torch.manual_seed(0)
    return GroupNLConv2d(3, 10, 3, padding=1, **{"reduction": 3, "nl_groups": 2, **options})


@pytest.mark.parametrize("normalize", ["l2", "rms", "none"])
def test_equals_numpy(normalize):
    module = layer(normalize=normalize).double()  # 4 seed maps, 6 generated: the second copies are cut
    (found,) = diversity(module, images(), batch_size=2)
    with torch.no_grad():
        values = module(images().double()).transpose(0, 1).flatten(1).numpy()
    correlation, variance = np.corrcoef(values), values.var(axis=1)
    source = [0, 1, 0, 1, 2, 3]
    alike = np.abs([correlation[4 + g, s] for g, s in enumerate(source)])
    assert (found.layer, found.seed_channels, found.generated_channels, found.constant_maps) == ("", 4, 6, 0)
    assert found.correlation_median == pytest.approx(np.median(alike), abs=1e-9)
    assert found.correlation_mean == pytest.approx(alike.mean(), abs=1e-9)
    assert found.variance_ratio_median == pytest.approx(np.median(variance[4:] / variance[source]), rel=1e-9)
    assert found.seed_mean == pytest.approx(math.sqrt((values[:4].mean(axis=1) ** 2).mean()), rel=1e-9)
    assert found.seed_std == pytest.approx(math.sqrt(variance[:4].mean()), rel=1e-9)
    for rank, matrix in ((found.effective_rank_seeds, correlation[:4, :4]), (found.effective_rank, correlation)):
        share = np.linalg.svd(matrix, compute_uv=False) / np.trace(matrix)
        assert rank == pytest.approx(math.exp(-(share * np.log(np.maximum(share, 1e-300))).sum()), abs=1e-6)
    assert found.log_determinant == pytest.approx(np.linalg.slogdet(correlation)[1], abs=1e-3)


def test_copies_add_nothing():
    (found,) = diversity(layer(nlf="identity", reduction=2), images())
    assert found.correlation_median == pytest.approx(1)
    assert found.effective_rank == pytest.approx(found.effective_rank_seeds)
    assert found.log_determinant is None
    assert found.variance_ratio_median == pytest.approx(1)


def test_batches_do_not_matter_and_a_large_mean_costs_no_digits():
    module = layer(normalize="none", nlf="identity", reduction=2).double()
    nn.init.constant_(module.seed_conv.bias, 100.0)
    whole, parts = (diversity(module, images(), batch_size=size)[0] for size in (5, 1))
    assert whole.seed_std == pytest.approx(parts.seed_std, rel=1e-12)
    assert whole.effective_rank == pytest.approx(parts.effective_rank, rel=1e-9)


def test_constant_maps_are_counted_and_left_out():
    module = layer(normalize="none", reduction=2)
    with torch.no_grad():
        module.seed_conv.weight[0] = 0
    (found,) = diversity(module, images())
    assert found.constant_maps == 2  # the seed map and what is made of it
    assert found.correlation_median is not None
    assert found.effective_rank <= 8
    with torch.no_grad():
        module.seed_conv.weight.zero_()
    (found,) = diversity(module, images())
    assert found.constant_maps == 10
    assert found.correlation_median is found.correlation_mean is found.log_determinant is None
    assert found.effective_rank == found.effective_rank_seeds == 0


def test_a_net_is_left_as_it_was():
    model = groupnl.create_model("groupnl_resnet8", num_classes=4)
    model.layer1.eval()
    statistics = model.bn1.running_mean.clone()
    found = diversity(model, torch.randn(2, 3, 32, 32))
    assert [one.layer for one in found] == ["layer1.conv1", "layer1.conv2", "layer2.conv2", "layer3.conv2"]
    assert diversity(model, torch.randn(2, 3, 32, 32), layer="layer2.conv2")[0].layer == "layer2.conv2"
    assert model.training
    assert not model.layer1.training
    assert torch.equal(model.bn1.running_mean, statistics)
    assert not any(module._forward_hooks for module in model.modules())


def test_refusals():
    with pytest.raises(ValueError, match="no GroupNL layer that generates maps"):
        diversity(nn.Conv2d(3, 4, 1), images())
    with pytest.raises(ValueError, match="layer='x': expected a GroupNL layer"):
        diversity(layer(), images(), layer="x")
    with pytest.raises(ValueError, match=r"images of shape \(3, 9, 7\)"):
        diversity(layer(), images()[0])
    with pytest.raises(ValueError, match="images of shape"):
        diversity(layer(), images(0))
    with pytest.raises(ValueError, match="batch_size=0"):
        diversity(layer(), images(), batch_size=0)

    class Unused(nn.Module):
        def __init__(self):
            super().__init__()
            self.spare = layer()

        def forward(self, x):
            return x

    with pytest.raises(ValueError, match="the images do not pass spare"):
        diversity(Unused(), images())
