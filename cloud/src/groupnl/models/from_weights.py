"""The first half of a warm start: order, filters and norms of the converted layers, from the net's weights alone."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from groupnl.models.reconstruction import refit_norm_, settle_norm_
from groupnl.models.seed_filters import choose_order, dense_filters, principal_filters, seen_inputs
from groupnl.models.sites import BatchNorm, Site, is_refittable
from groupnl.nn import GroupNLConv2d, HadamardMix
from groupnl_device.nlf import channel_map

_GAUSSIAN_PIXELS = 4096


def start_from_weights_(model: nn.Module, converted: nn.Module, sites: Sequence[Site]) -> dict[str, Tensor]:
    """Set the filters of the converted layers, the norms behind them, and the order of channels where it is free.

    Args:
        model: The net as it was.
        converted: Its copy with the layers in place.
        sites: The replaced convolutions.

    Returns:
        By name of a site: the old output at each place of the new one, int64, shape (C_out,).
    """
    modules = dict(model.named_modules())
    filters = {site.name: dense_filters(site.conv) for site in sites}
    orders: dict[str, Tensor] = {}
    for site in sites:
        orders[site.name] = torch.arange(site.conv.out_channels)
        if site.layer.in_channels != site.conv.in_channels:  # its inputs are others as well: it keeps its first filters
            continue
        norm = modules[site.norm] if site.norm else None
        worth = _worth(norm, site.conv)
        own = filters[site.name] * worth[:, None, None, None]
        for mix in (module for module in site.unit.modules() if isinstance(module, HadamardMix)):
            own = mix(own)  # the transform is symmetric and orthogonal: both factors of the product may go through it
        seen, source = seen_inputs(site.layer.seed_conv).to(own.device), _source_of(site.layer).to(own.device)
        reader = converted.get_submodule(site.reader) if site.reader else None
        if site.reader and site.reader not in orders and (site.reader in filters or isinstance(reader, nn.Conv2d)):
            order = orders[site.name] = choose_order(own, seen, source)
            if site.reader in filters:
                filters[site.reader] = filters[site.reader][:, order]
            elif isinstance(reader, nn.Conv2d):
                reader.weight.copy_(reader.weight[:, order].clone())
        order = orders[site.name]
        own, worth = own[order], worth[order]
        chosen, mixture = principal_filters(own, seen, source)
        mixture = mixture * worth
        seed_conv = site.layer.seed_conv
        seed_conv.weight.copy_(chosen)
        if seed_conv.bias is not None and site.conv.bias is not None:
            seed_conv.bias.copy_(mixture @ site.conv.bias[order].float())
        new_norm = converted.get_submodule(site.norm) if site.norm else None
        if is_refittable(norm) and is_refittable(new_norm):
            refit_norm_(new_norm, [_gaussian_maps(site.layer, norm, order, own, chosen, mixture)])
    return orders


def _worth(norm: nn.Module | None, conv: nn.Conv2d) -> Tensor:
    """What one unit of each output is worth after the norm; 1 where there is none to tell."""
    if not isinstance(norm, BatchNorm) or norm.running_var is None:
        return torch.ones(conv.out_channels, device=conv.weight.device)
    return (norm.weight.abs() / (norm.running_var + norm.eps).sqrt()).float()


def _source_of(layer: GroupNLConv2d) -> Tensor:
    """The seed map of each output, shape (C_out,)."""
    source, _ = channel_map(
        seed_channels=layer.seed_channels,
        out_channels=layer.out_channels,
        nl_groups=layer.nl_groups,
        copies=layer.copies,
    )
    return torch.cat([torch.arange(layer.seed_channels), torch.from_numpy(source)])


def _gaussian_maps(
    layer: GroupNLConv2d, norm: BatchNorm, order: Tensor, filters: Tensor, chosen: Tensor, mixture: Tensor
) -> tuple[Tensor, Tensor]:
    """What a layer would make, and should make after its norm, if its inputs were white Gaussian noise.

    Seed maps are then Gaussian, and the correlation of an old output with its seed map is the cosine between their
    filters. The old norm's running statistics give the means, and the variance of the inputs.

    Args:
        layer: The layer.
        norm: The batch norm as it was.
        order: Shape (C_out,).
        filters: The old ones, in the new order, times their worth, shape (C_out, C_in, kH, kW).
        chosen: The seed filters, shape (S, inputs, kH, kW).
        mixture: Which old outputs the seed maps are sums of, shape (S, C_out).

    Returns:
        Both of shape (1, C_out, 1, pixels).
    """
    source = _source_of(layer).to(chosen.device)
    if norm.running_mean is None:
        raise TypeError("the norm has no running statistics")
    seeds = chosen.flatten(1)
    seen = filters[:, seen_inputs(layer.seed_conv).to(filters.device)].flatten(2)  # (C_out, S, inputs kH kW)
    products = (seen[torch.arange(len(source)), source] * seeds[source]).sum(1)
    cosine = products / (filters.flatten(1).norm(dim=1) * seeds.norm(dim=1)[source]).clamp_min(1e-20)
    scale, offset = norm.weight[order].float(), norm.bias[order].float()
    energy, worth = filters.square().sum(dim=(1, 2, 3)), scale.square()
    total = torch.zeros(2, len(seeds), device=seeds.device).index_add_(1, source, torch.stack([worth, energy]))
    variance = total[0] / total[1].clamp_min(1e-20)  # of the inputs, as each seed map's own outputs tell it
    noise = torch.randn(len(seeds), _GAUSSIAN_PIXELS, generator=torch.Generator().manual_seed(0)).to(seeds)
    mean, deviation = mixture @ norm.running_mean[order].float(), seeds.norm(dim=1) * variance.sqrt()
    maps = (mean[:, None] + deviation[:, None] * noise)[None, :, None]
    if layer.copies:
        settle_norm_(layer.seed_norm, [maps])
        maps = layer.expanded(maps)
    return maps, (offset[:, None] + (scale * cosine)[:, None] * noise[source])[None, :, None]
