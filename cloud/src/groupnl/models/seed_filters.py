"""Which filters a GroupNL layer should start with, told from the weights of its convolution alone.

A layer has fewer filters than outputs: an output and those that are generated from it share one. After a batch norm,
which sets scale, sign and mean of each output, a generated map is nearly its seed map; so the one filter should
approximate those of all its outputs, each up to a factor.
"""

import torch
from torch import Tensor, nn


def dense_filters(conv: nn.Conv2d) -> Tensor:
    """The filters of a convolution, with zeros for the inputs that a grouped one does not see.

    Returns:
        float32, shape (C_out, C_in, kH, kW).
    """
    inputs = conv.in_channels // conv.groups
    dense = torch.zeros(conv.out_channels, conv.in_channels, *conv.weight.shape[2:], device=conv.weight.device)
    channels = torch.arange(conv.out_channels, device=dense.device)
    first_input = channels // (conv.out_channels // conv.groups) * inputs
    for offset in range(inputs):
        dense[channels, first_input + offset] = conv.weight.detach()[:, offset].float()
    return dense


def seen_inputs(seed_conv: nn.Conv2d) -> Tensor:
    """The input channels of each seed filter, shape (S, C_in / groups)."""
    inputs = seed_conv.in_channels // seed_conv.groups
    first_input = torch.arange(seed_conv.out_channels) // (seed_conv.out_channels // seed_conv.groups) * inputs
    return first_input[:, None] + torch.arange(inputs)


def choose_order(filters: Tensor, seen: Tensor, source: Tensor) -> Tensor:
    """Which of the old outputs should stand at each place of the layer's output, so that sharing a filter costs least.

    Where every filter sees every input, outputs that share one are those whose filters are most nearly parallel (pairs
    first, best pair first). Where a filter sees few inputs, it gets the outputs that depend most on those.

    Args:
        filters: Shape (C_out, C_in, kH, kW), scaled by what each output is worth.
        seen: Shape (S, inputs of a seed filter).
        source: Shape (C_out,): the seed filter of each place; the first S places are the seed maps themselves.

    Returns:
        int64, shape (C_out,): the old output at each place; a permutation.
    """
    sizes = torch.bincount(source, minlength=len(seen)).tolist()
    energy = filters.square().sum(dim=(2, 3))  # (C_out, C_in)
    alike = seen.shape[1] == filters.shape[1]
    clusters = _parallel(filters.flatten(1), sizes) if alike else _dependent(energy[:, seen].sum(2).T, sizes)
    order = torch.empty(len(source), dtype=torch.int64)
    for seed, cluster in enumerate(clusters):
        strongest_first = sorted(cluster, key=lambda channel: -float(energy[channel].sum()))
        order[torch.nonzero(source == seed).flatten()] = torch.tensor(strongest_first)
    return order


def principal_filters(filters: Tensor, seen: Tensor, source: Tensor) -> tuple[Tensor, Tensor]:
    """The filter for each cluster that approximates its members best, each up to a factor: least squares.

    It is the first right singular vector of the members' filters over the inputs seen, times the singular value.

    Args:
        filters: Shape (C_out, C_in, kH, kW) in the order of the layer's outputs, scaled by what each is worth.
        seen: Shape (S, inputs of a seed filter).
        source: Shape (C_out,): the seed filter of each output.

    Returns:
        The seed filters, shape (S, inputs, kH, kW), and the combination of the given ones that they are (exactly so
        where every input is seen), shape (S, C_out).
    """
    chosen = filters.new_empty(*seen.shape, *filters.shape[2:])
    mixture = filters.new_zeros(len(seen), len(filters))
    for seed, inputs in enumerate(seen):
        members = torch.nonzero(source == seed).flatten()
        rows = filters[members][:, inputs].flatten(1)
        left = torch.linalg.svd(rows, full_matrices=False).U[:, 0]
        left = left * (1 - 2 * (left[left.abs().argmax()] < 0))  # the sign of a singular vector is arbitrary
        chosen[seed] = (left @ rows).reshape(chosen.shape[1:])
        mixture[seed, members] = left
    return chosen, mixture


def _parallel(rows: Tensor, sizes: list[int]) -> list[list[int]]:
    """Clusters of the given sizes among vectors of shape (C_out, d), near-parallel ones together."""
    gram = rows @ rows.T
    own = gram.diagonal()
    half_sum, half_difference = (own[:, None] + own) / 2, (own[:, None] - own) / 2
    # what a pair loses: the smaller eigenvalue of its 2x2 Gram matrix
    loss = (half_sum - torch.hypot(half_difference, gram)).fill_diagonal_(torch.inf)
    free = torch.ones(len(rows), dtype=torch.bool, device=rows.device)
    clusters: list[list[int]] = [[] for _ in sizes]
    for seed in sorted(range(len(sizes)), key=lambda seed: -sizes[seed]):
        size = sizes[seed]
        left = loss.masked_fill(~(free[:, None] & free), torch.inf)
        cluster = [int(torch.nonzero(free)[0])] if size == 1 else list(divmod(int(left.argmin()), len(rows)))
        while len(cluster) < size:
            added = loss[cluster].sum(0).masked_fill(~free, torch.inf)
            added[cluster] = torch.inf
            cluster.append(int(added.argmin()))
        free[cluster] = False
        clusters[seed] = cluster
    return clusters


def _dependent(energy: Tensor, sizes: list[int]) -> list[list[int]]:
    """Clusters of the given sizes: outputs to the seed filters that see most of them; energy of shape (S, C_out)."""
    clusters: list[list[int]] = [[] for _ in sizes]
    free = set(range(energy.shape[1]))
    for index in energy.flatten().argsort(descending=True, stable=True).tolist():
        seed, channel = divmod(index, energy.shape[1])
        if channel in free and len(clusters[seed]) < sizes[seed]:
            clusters[seed].append(channel)
            free.remove(channel)
    return clusters
