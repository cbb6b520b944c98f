"""Seed maps and pairs for the tests of the expansion's forms."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from groupnl.nn import expand_reference
from groupnl_device.nlf import channel_map, copies, draw_pairs

SIZES = [(5, 10, 2), (7, 30, 4), (4, 6, 4), (8, 16, 4), (1, 2, 1), (6, 33, 3)]  # seed maps, all maps, groups


def constants(seeds: int, out_channels: int, groups: int, nlf: str = "sine") -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(period, shift, source, pair) as a layer holds them."""
    sizes: dict[str, Any] = {"nl_groups": groups, "copies": copies(out_channels, seeds)}
    drawn = draw_pairs(nlf=nlf, seed=1, key="k", **sizes)
    mapped = channel_map(seed_channels=seeds, out_channels=out_channels, **sizes)
    period, shift, source, pair = (torch.from_numpy(values) for values in (*drawn, *mapped))
    return period, shift, source, pair


def seed_maps(seeds: int, *, dtype: torch.dtype = torch.double, channels_last: bool = False) -> Tensor:
    """Normal values of shape (2, seeds, 3, 5), the first pixel all zero."""
    maps = torch.randn(2, seeds, 3, 5, dtype=torch.double, generator=torch.Generator().manual_seed(seeds))
    maps[0, :, 0, 0] = 0
    order = torch.channels_last if channels_last else torch.contiguous_format
    return maps.to(dtype).to(memory_format=order)


def reference_gradient(maps: Tensor, period: Tensor, shift: Tensor, grad: Tensor, **options: Any) -> Tensor:
    """By autograd through the plain formula, in float64."""
    held = maps.double().detach().requires_grad_()
    out = expand_reference(held, period, shift, out_channels=grad.shape[1], **options)
    (gradient,) = torch.autograd.grad(out, held, grad.double())
    return gradient


def forms() -> Iterator[dict[str, str]]:
    """Every nonlinear function with every normalisation."""
    for nlf in ("sine", "gaussian", "monomial", "legendre", "identity"):
        for normalize in ("l2", "rms", "none"):
            yield {"nlf": nlf, "normalize": normalize}
