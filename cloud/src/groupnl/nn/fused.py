"""What a net is made of after :func:`groupnl.nn.fuse_for_inference_`: layers that do their norm's work themselves."""

from collections.abc import Callable, Mapping
from typing import Any, Self

import torch
from torch import Tensor, nn

from groupnl.nn.backend import chosen_backend
from groupnl.nn.composite import L2_EPS, scaled_pairs
from groupnl.nn.eager import empty_like
from groupnl.nn.groupnl_conv import GroupNLConv2d


class InferenceOnly(nn.Module):
    """Part of a net whose batch norms are gone: it cannot train, nor take the weights of a net that still has them."""

    def train(self, mode: bool = True) -> Self:
        """Stay in evaluation.

        Raises:
            RuntimeError: ``mode`` is true.
        """
        if mode:
            raise RuntimeError(
                "this net was fused for inference, its batch norms are gone: train the net as it was before. What "
                "called train() may have set a part of the net to training; call eval() before using it on"
            )
        return super().train(mode)


class FoldedNorm(InferenceOnly):
    """In the place of a batch norm whose work others do now: the activation that it held, or nothing.

    Input and output (N, C, H, W).

    Args:
        activation: The modules that the norm held, in order (timm's norms hold an activation).
    """

    def __init__(self, activation: nn.Sequential) -> None:
        super().__init__()
        self.activation = activation
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, H, W)."""
        y: Tensor = self.activation(x)
        return y

    def _load_from_state_dict(
        self,
        state_dict: Mapping[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        if prefix + "running_mean" in state_dict:  # an error with strict=False too: the answers would be wrong
            error_msgs.append(
                f"{prefix.removesuffix('.')}: these weights are of a net with batch norms, this one is fused for "
                "inference; load them into the net as it was before, then fuse it"
            )
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )


class FusedLayer(InferenceOnly):
    """A layer and, in the same step, what the batch norm behind it did: ``scale * layer(x) + bias`` for each channel.

    Input (N, C_in, H, W), output (N, C_out, H', W'). A :class:`groupnl.nn.GroupNLConv2d` with sines has a path of its
    own under ``torch.inference_mode()`` or ``torch.no_grad()`` on a CPU: nothing is written twice that could be
    written once. Elsewhere, and for other layers, the two steps follow one another, as compilers and exporters like it.

    Args:
        layer: Makes new maps, of which nobody else knows.
        scale: Shape (C_out,), at least float32. Stays so when the net goes to half precision: rounding these two would
            move whole maps.
        bias: Shape (C_out,), likewise.
    """

    scale: Tensor
    bias: Tensor

    def __init__(self, layer: nn.Module, scale: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.layer = layer
        self.register_buffer("scale", scale.reshape(-1, 1, 1))
        self.register_buffer("bias", bias.reshape(-1, 1, 1))
        self._pairs: tuple[Tensor, tuple[Tensor, Tensor]] | None = None  # what they were made from, and they
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        """(N, C_in, H, W) to (N, C_out, H', W')."""
        if isinstance(self.layer, GroupNLConv2d) and self.layer.nlf == "sine" and _is_plain_inference(x):
            return self._expand(self.layer, self.layer.bounded(self.layer.seed_conv(x)))
        maps: Tensor = self.layer(x)
        if torch.is_grad_enabled() or torch.compiler.is_compiling() or maps.dtype != self.scale.dtype:
            return (maps * self.scale + self.bias).to(maps.dtype)
        if maps.is_cuda:
            return torch.addcmul(self.bias, maps, self.scale, out=maps)
        return maps.mul_(self.scale).add_(self.bias)  # twice, yet faster on a CPU: it does not vectorise addcmul here

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        exact = self.scale, self.bias
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]  # torch leaves it untyped
        if self.scale.dtype in (torch.float16, torch.bfloat16):
            self.scale, self.bias = (values.to(self.scale.device) for values in exact)
        return self

    def _expand(self, layer: GroupNLConv2d, seed_maps: Tensor) -> Tensor:
        """Steps 2 to 5 of the layer's docstring and the affine map, each part of the result written where it stays."""
        channels = layer.seed_channels
        y = seed_maps.to(torch.promote_types(seed_maps.dtype, torch.float32))
        out = empty_like(y, layer.out_channels)
        unit, generated = out[:, :channels], out[:, channels:]
        if layer.pixel_norm == "none":
            unit.copy_(y)
        else:
            norm = (y * y).sum(dim=1, keepdim=True).sqrt_().clamp_min_(L2_EPS)
            torch.div(y, norm.div_(channels**0.5) if layer.normalize == "rms" else norm, out=unit)
        if self._pairs is None or self._pairs[0] is not layer.period:  # moved, or exchanged
            self._pairs = layer.period, _pairs_by_channel(layer)
        period, shift = self._pairs[1]
        maps = unit[:, : generated.shape[1]] if layer.copies == 1 else unit.index_select(1, layer._source)
        waves = (maps - shift).mul_(period).sin_().mul_(self.scale[channels:])
        torch.add(waves, self.bias[channels:], out=generated)
        unit.mul_(self.scale[:channels]).add_(self.bias[:channels])
        return out.to(seed_maps.dtype)


def _is_plain_inference(x: Tensor) -> bool:
    """Whether the result is wanted now, as numbers, and no gradient."""
    watched = torch.compiler.is_compiling() or torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
    plain = not watched and not torch.is_grad_enabled() and type(x) is Tensor
    return plain and chosen_backend(x.device, x.dtype, "sine") == "eager"


def _pairs_by_channel(layer: GroupNLConv2d) -> tuple[Tensor, Tensor]:
    """The (period, shift) of each generated map, float32, each of shape (G, 1, 1)."""
    pairs = scaled_pairs(
        layer.period, layer.shift, nlf=layer.nlf, normalize=layer.normalize, seed_channels=layer.seed_channels
    )
    period, shift = (values.reshape(-1)[layer._pair].reshape(-1, 1, 1) for values in pairs)
    return period, shift
