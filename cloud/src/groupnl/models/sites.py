"""What a warm start must know of each replaced convolution: what took its place, what follows, who reads it."""

import copy
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeGuard

import torch
from torch import nn

from groupnl.models.edit import Edit
from groupnl.nn import GroupNLConv2d
from groupnl.nn.following import following

BatchNorm = nn.modules.batchnorm._BatchNorm


@dataclass(frozen=True, kw_only=True)
class Site:
    """One replaced convolution."""

    name: str
    conv: nn.Conv2d
    unit: nn.Module  # what takes its place: the layer, or the layer behind a HadamardMix
    layer: GroupNLConv2d
    norm: str | None  # the batch norm right behind it, where it is this one's alone and can be refitted
    reader: str | None  # the convolution that reads its outputs, where their order is free: see _reader


def find_sites(model: nn.Module, edits: Sequence[Edit], calls: Mapping[str, int] | None) -> list[Site]:
    """The replaced convolutions of a plan, in its order.

    Args:
        model: The net to convert.
        edits: The plan.
        calls: How often a forward pass calls each module: what is called more often than the convolution before it
            serves others too and is left alone. None: unknown; then only what the net's code shows is respected.

    Raises:
        ValueError: What replaces one is no GroupNL layer.
    """
    modules = dict(model.named_modules(remove_duplicate=False))
    chains = following(model)
    uses = Counter(link for chain in chains.values() for link in chain)
    exchanged = {name for edit in edits for name in edit.modules}
    sites = []
    for edit in edits:
        if not edit.modules:
            continue
        conv, unit = modules.get(edit.target), edit.modules.get(edit.target)
        layers = [] if unit is None else [m for m in unit.modules() if isinstance(m, GroupNLConv2d)]
        if unit is None or not isinstance(conv, nn.Conv2d) or len(layers) != 1:
            raise ValueError(
                f"init='pretrained': {edit.target!r} becomes a {type(unit).__name__}; only the weights of a GroupNL "
                "layer can be told from those of a convolution; use init='keep'"
            )
        own = [
            link if uses[link] == 1 and (calls is None or calls.get(link) == calls.get(edit.target)) else ""
            for link in chains.get(edit.target, ())
        ]  # "": others go through it too
        norm = own[0] if own and own[0] not in exchanged and is_refittable(modules.get(own[0])) else None
        reader = _reader(edit.target, own, norm, modules)
        sites.append(Site(name=edit.target, conv=conv, unit=unit, layer=layers[0], norm=norm, reader=reader))
    return sites


def is_refittable(module: nn.Module | None) -> TypeGuard[BatchNorm]:
    """Whether a module is a batch norm with weights and running statistics."""
    return isinstance(module, BatchNorm) and module.affine and module.running_mean is not None


def _reader(name: str, chain: Sequence[str], norm: str | None, modules: Mapping[str, nn.Module]) -> str | None:
    """The one convolution that reads an output channel by channel, if the order of the channels is free.

    It lies in the same block, sees all channels, and between the two nothing tells channels apart but the norm.
    """
    if not chain or not chain[-1]:
        return None
    conv, reader = modules[name], modules[chain[-1]]
    if not (isinstance(conv, nn.Conv2d) and isinstance(reader, nn.Conv2d) and reader.groups == 1):
        return None
    same_block = chain[-1].rpartition(".")[0] == name.rpartition(".")[0]
    free = all(link == norm or (link and _ignores_order(modules[link], conv.out_channels)) for link in chain[:-1])
    return chain[-1] if same_block and free else None


def _ignores_order(module: nn.Module, channels: int) -> bool:
    """Whether a module treats all channels alike: tried, on numbers."""
    if any(True for _ in (*module.parameters(), *module.buffers())):
        return False
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1, channels, 8, 8, generator=generator)
    order = torch.randperm(channels, generator=generator)
    trial = copy.deepcopy(module).eval()
    try:
        return torch.equal(trial(x[:, order].clone()), trial(x.clone())[:, order])
    except (RuntimeError, ValueError, TypeError, IndexError):  # it wants other inputs: nothing is known of it
        return False
