"""Modules for fewer channels: copies that keep the first ones."""

import copy

import torch
from torch import nn

from groupnl.nn.channel_norm import is_channel_norm


def narrowed_conv(conv: nn.Conv2d, channels: int) -> nn.Conv2d:
    """A copy of a convolution of one group that keeps the first output channels."""
    narrow = copy.deepcopy(conv)
    narrow.out_channels = channels
    with torch.no_grad():
        narrow.weight = nn.Parameter(conv.weight[:channels].clone(), requires_grad=conv.weight.requires_grad)
        if conv.bias is not None:
            narrow.bias = nn.Parameter(conv.bias[:channels].clone(), requires_grad=conv.bias.requires_grad)
    return narrow


def narrowed(module: nn.Module, before: int, channels: int) -> nn.Module:
    """What takes a module's place when only the first of its channels come.

    Args:
        module: A norm with statistics for each channel, or a module without parameters and buffers.
        before: Channels that it has had so far.
        channels: Channels that are left.

    Returns:
        A copy with the first channels' statistics and parameters; the module itself where it has neither.

    Raises:
        ValueError: The module has other parameters, or what it gives for a channel depends on other channels.
    """
    inside = [tensor for child in module.children() for tensor in (*child.parameters(), *child.buffers())]
    if is_channel_norm(module) and not inside:
        return _narrowed_norm(module, channels)
    if not _has_state(module) and _is_channelwise(module, before, channels):
        return module
    raise ValueError(f"{type(module).__name__}, which does not work on each channel alone")


def _narrowed_norm(norm: nn.Module, channels: int) -> nn.Module:
    narrow = copy.deepcopy(norm)
    if hasattr(narrow, "num_features"):  # torchvision's frozen norm has none
        setattr(narrow, "num_features", channels)  # noqa: B010  # which types know only of some norms
    with torch.no_grad():
        for name, parameter in norm.named_parameters(recurse=False):
            kept = nn.Parameter(parameter[:channels].clone(), requires_grad=parameter.requires_grad)
            setattr(narrow, name, kept)
        for name, buffer in norm.named_buffers(recurse=False):
            if buffer.dim() == 1:
                setattr(narrow, name, buffer[:channels].clone())
    return narrow


def _has_state(module: nn.Module) -> bool:
    return any(True for _ in (*module.parameters(), *module.buffers()))


def _is_channelwise(module: nn.Module, before: int, channels: int) -> bool:
    """Tried out: do the first channels alone give what they give among the others? Softmax and shuffles do not."""
    maps = torch.linspace(-3, 3, before * 64, device="cpu").reshape(1, before, 8, 8)
    copied = copy.deepcopy(module).eval()
    try:
        with torch.no_grad():
            return torch.equal(copied(maps.clone())[:, :channels], copied(maps[:, :channels].clone()))
    except (RuntimeError, ValueError, TypeError):
        return False
