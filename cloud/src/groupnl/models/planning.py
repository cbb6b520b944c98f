"""What the named policies share: going through a net's convolutions, and building a layer in the place of one."""

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import torch
from timm.layers.conv2d_same import Conv2dSame
from torch import nn

from groupnl.models.edit import Edit

_REPLACEABLE = (nn.Conv2d, Conv2dSame)  # subclasses with an arithmetic of their own would lose it
_Layer = TypeVar("_Layer", bound=nn.Module)


def plan_convolutions(
    model: nn.Module,
    why_not: Callable[[str, nn.Conv2d, bool], str],
    replace: Callable[[nn.Conv2d, str], nn.Module],
) -> list[Edit]:
    """One edit for every convolution of a net.

    Args:
        model: Any net; not changed.
        why_not: (name, convolution, whether it is the net's first) to the reason why it stays; empty: it goes.
        replace: (convolution, name) to the module in its place, or a ValueError whose message is the reason.
    """
    edits = []
    for index, (names, conv) in enumerate(_convolutions(model)):
        name = names[0]
        reason = why_untouchable(conv) or why_not(name, conv, index == 0)
        layer: nn.Module | None = None
        if not reason:
            try:
                layer = replace(conv, name)
            except ValueError as error:  # S < g, for instance: the layer's own message says it best
                reason = str(error)
        modules = {} if layer is None else dict.fromkeys(names, layer)
        edits.append(Edit(target=name, modules=modules, reason=reason))
    return edits


def why_untouchable(conv: nn.Conv2d) -> str:
    """Why no policy may exchange this convolution; empty: it may."""
    if type(conv) not in _REPLACEABLE:
        return f"{type(conv).__name__}, a convolution with an arithmetic of its own"
    if conv._forward_hooks or conv._forward_pre_hooks:  # weight norm and pruning work through them
        return "has hooks, which would be lost"
    return ""


def is_depthwise(module: nn.Module) -> bool:
    """Whether this is a convolution of each channel alone."""
    return isinstance(module, nn.Conv2d) and module.groups == module.in_channels == module.out_channels > 1


def names_of(model: nn.Module) -> dict[nn.Module, list[str]]:
    """All the names under which a net holds each of its modules, the first one first."""
    names: dict[nn.Module, list[str]] = {}
    for name, module in model.named_modules(remove_duplicate=False):
        names.setdefault(module, []).append(name)
    return names


def why_not_standard(_name: str, conv: nn.Conv2d, is_first: bool) -> str:
    """Why a convolution is none of the 3x3 stride-1 ones behind the stem; empty: it is one."""
    if tuple(conv.kernel_size) != (3, 3):
        return f"kernel {'x'.join(map(str, conv.kernel_size))}, not 3x3"
    if tuple(conv.stride) != (1, 1):
        return f"stride {'x'.join(map(str, conv.stride))}, not 1"
    if conv.groups != 1:
        return "already a grouped convolution"
    return "the net's first convolution (stem)" if is_first else ""


def arguments_of(conv: nn.Conv2d) -> dict[str, Any]:
    """The arguments with which a layer takes the convolution's place; ``groups`` is left to the caller."""
    is_same = isinstance(conv, Conv2dSame)
    return {
        "in_channels": conv.in_channels,
        "out_channels": conv.out_channels,
        "kernel_size": conv.kernel_size,
        "stride": conv.stride,
        "padding": 0 if is_same else conv.padding,  # timm's pads as it runs; see follow
        "dilation": conv.dilation,
        "bias": conv.bias is not None,
        "padding_mode": conv.padding_mode,
        "device": conv.weight.device,
        "dtype": conv.weight.dtype,
    }


def follow(conv: nn.Conv2d, layer: _Layer, seed_conv: nn.Conv2d) -> tuple[_Layer, nn.Conv2d]:
    """Give a layer the weights, mode and trainability of the convolution in whose place it goes.

    Args:
        conv: The convolution.
        layer: What takes its place.
        seed_conv: The layer's convolution of the input.

    Returns:
        The layer, and the convolution that ``seed_conv`` must be exchanged for: itself, or timm's Conv2dSame.
    """
    if isinstance(conv, Conv2dSame):
        seed_conv = Conv2dSame(
            seed_conv.in_channels,
            seed_conv.out_channels,
            _pair(conv.kernel_size),
            _pair(conv.stride),
            dilation=_pair(conv.dilation),
            groups=seed_conv.groups,
            bias=conv.bias is not None,
            device=conv.weight.device,
            dtype=conv.weight.dtype,
        )
    _keep_weights(conv, seed_conv)
    for module in (layer, seed_conv):
        module.train(conv.training)
        module.requires_grad_(conv.weight.requires_grad)
    return layer, seed_conv


def _pair(size: tuple[int, ...]) -> tuple[int, int]:
    height, width = size
    return height, width


def own_convolutions(model: nn.Module) -> Iterator[list[tuple[str, nn.Conv2d]]]:
    """Of every module that has any, its direct child convolutions in order, with their qualified names."""
    for prefix, block in model.named_modules():
        dot = f"{prefix}." if prefix else ""
        convs = [(dot + name, child) for name, child in block.named_children() if isinstance(child, nn.Conv2d)]
        if convs:
            yield convs


def _convolutions(model: nn.Module) -> Iterator[tuple[list[str], nn.Conv2d]]:
    """Each convolution once, with all the names under which the net holds it."""
    for module, names in names_of(model).items():
        if isinstance(module, nn.Conv2d):
            yield names, module


def _keep_weights(conv: nn.Conv2d, seed_conv: nn.Conv2d) -> None:
    """Let the seed filters start as the convolution's first ones, so that they keep its initialisation or training.

    A sparse seed filter takes the weights of the inputs that it sees; from a depthwise convolution, those inputs' own
    filters.
    """
    with torch.no_grad():
        seeds, inputs = seed_conv.weight.shape[:2]
        first_input = torch.arange(seeds) // (seeds // seed_conv.groups) * inputs
        channels = first_input[:, None] + torch.arange(
            inputs
        )  # (S, inputs): which input channels each seed filter sees
        is_dense = conv.groups == 1
        filters = conv.weight[torch.arange(seeds)[:, None], channels] if is_dense else conv.weight[channels, 0]
        seed_conv.weight.copy_(filters)
        if seed_conv.bias is not None and conv.bias is not None:
            seed_conv.bias.copy_(conv.bias[:seeds])
