"""How far information travels between the channels of a block: which inputs each output channel depends on."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from groupnl.nn import GroupNLConv2d

_WITH_DEAD_ZONE = (nn.ReLU, nn.Hardtanh, nn.Hardswish, nn.Hardsigmoid)  # ReLU6 is a Hardtanh
_RELATIVE_ZERO = 1e-9  # of the largest dependence: float64 rounding lies far below, a real path far above


@dataclass(frozen=True, kw_only=True)
class ChannelReach:
    """The channel graph of a module.

    Attributes:
        in_channels: Channels of its input.
        out_channels: Channels of its output.
        inputs_seen: Of each output channel, how many input channels it depends on; length ``out_channels``.
        rank: Rank of the signed (out_channels, in_channels) matrix of the dependences, summed over space: how many
            independent combinations of the input channels the module can tell apart at this point.
    """

    in_channels: int
    out_channels: int
    inputs_seen: tuple[int, ...]
    rank: int

    @property
    def mean(self) -> float:
        """Mean share of the input channels that an output channel depends on, in (0, 1]."""
        return sum(self.inputs_seen) / (self.out_channels * self.in_channels)


def channel_reach(module: nn.Module, input_size: Sequence[int], *, seed: int = 0) -> ChannelReach:
    """Measure which input channels each output channel of a block or stage depends on.

    The Jacobian of a copy in evaluation mode and float64 is taken at one random input. Two things are left out of the
    copy: activations with a dead zone, in which a path that exists would not show, and the norm of a GroupNL layer,
    through whose one number per pixel every channel feels every other without learning which.

    Args:
        module: Takes (N, C, H, W), gives (N, C', H', W'); not changed.
        input_size: (C, H, W) of its input; a few pixels are enough.
        seed: Of the input and of the weights, which are drawn anew: reach is a matter of structure, and a weight that
            is zero by initialisation (``zero_init_last`` of timm's ResNets) would hide a path.

    Raises:
        ValueError: The output has no channels and pixels.
    """
    generator = torch.Generator().manual_seed(seed)
    block = copy.deepcopy(module).cpu().double().eval()
    for part in block.modules():
        if isinstance(part, GroupNLConv2d):
            part.normalize = "none"
        for name, child in part.named_children():
            if isinstance(child, _WITH_DEAD_ZONE):
                setattr(part, name, nn.Identity())
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.copy_(0.5 + torch.rand(parameter.shape, generator=generator, dtype=parameter.dtype))
            parameter.mul_(torch.randint(0, 2, parameter.shape, generator=generator).mul_(2).sub_(1))
    x = torch.randn(1, *input_size, generator=generator, dtype=torch.double, requires_grad=True)
    out = block(x)
    if not isinstance(out, Tensor) or out.dim() != 4:
        shape = tuple(out.shape) if isinstance(out, Tensor) else type(out).__name__
        raise ValueError(f"the module gives {shape}: expected maps of shape (N, C, H, W)")
    weights = torch.randn(out.shape[2:], generator=generator, dtype=torch.double)
    signed, energy = [], []
    for channel in range(out.shape[1]):
        (gradient,) = torch.autograd.grad((out[0, channel] * weights).sum(), x, retain_graph=True)
        signed.append(gradient[0].sum((1, 2)))
        energy.append(gradient[0].square().sum((1, 2)).sqrt())
    depends = torch.stack(energy)
    depends = depends > _RELATIVE_ZERO * depends.max()
    return ChannelReach(
        in_channels=x.shape[1],
        out_channels=out.shape[1],
        inputs_seen=tuple(depends.sum(1).tolist()),
        rank=int(torch.linalg.matrix_rank(torch.stack(signed), rtol=_RELATIVE_ZERO)),
    )
