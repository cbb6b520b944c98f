"""Where a net expands: the 1x1 convolutions that widen the maps of a block for the cheap convolution after them."""

from collections import Counter
from dataclasses import dataclass
from typing import TypeGuard

from torch import nn

from groupnl.models.planning import is_depthwise
from groupnl.nn.following import following


@dataclass(frozen=True, kw_only=True)
class Expansion:
    """A 1x1 convolution with more outputs than inputs, and what its output goes through."""

    name: str
    between: tuple[str, ...]  # norms, activations and the like, in order
    end: str  # the depthwise convolution or the 1x1 projection that reads them
    shared: tuple[str, ...]  # those of ``between`` and ``end`` that follow another convolution as well


def expansions(model: nn.Module) -> list[Expansion]:
    """Every expansion of a net, as :func:`following` reads them from its code.

    In MobileNets and EfficientNets they end at a depthwise convolution; in nets whose depthwise convolution comes
    first (ConvNeXt with 1x1 convolutions, RepViT, some blocks of MobileNetV4) at the 1x1 projection.
    """
    modules = dict(model.named_modules())
    chains = following(model)
    uses = Counter(link for chain in chains.values() for link in chain)
    found = []
    for name, chain in chains.items():
        if chain and _widens(modules[name]) and (is_depthwise(modules[chain[-1]]) or _narrows(modules[chain[-1]])):
            shared = tuple(link for link in chain if uses[link] > 1)
            found.append(Expansion(name=name, between=chain[:-1], end=chain[-1], shared=shared))
    return found


def _widens(conv: nn.Module) -> bool:
    return _is_pointwise(conv) and conv.out_channels > conv.in_channels


def _narrows(conv: nn.Module) -> bool:
    return _is_pointwise(conv) and conv.out_channels < conv.in_channels


def _is_pointwise(conv: nn.Module) -> TypeGuard[nn.Conv2d]:
    return isinstance(conv, nn.Conv2d) and tuple(conv.kernel_size) == (1, 1) and conv.groups == 1
