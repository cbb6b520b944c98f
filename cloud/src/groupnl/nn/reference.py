"""The formula of GroupNL, written plainly: what every fast path, kernel and exported graph is tested against."""

import math

import torch
from torch import Tensor

from groupnl.nn.functions import apply_nlf
from groupnl_device.nlf import NLF, PIXEL_NORMS, PixelNorm


def expand_reference(
    seed_maps: Tensor,
    period: Tensor,
    shift: Tensor,
    *,
    out_channels: int,
    nlf: NLF = "sine",
    normalize: PixelNorm = "l2",
) -> Tensor:
    """Normalise the seed maps, generate the other maps group by group and copy by copy, and concatenate both.

    Source: Ding et al., GroupNL, arXiv 2506.12335, the layer's steps after the seed convolution.

    Args:
        seed_maps: Shape (N, S, H, W), floating point.
        period: float32, shape (nl_groups, copies).
        shift: float32, shape (nl_groups, copies).
        out_channels: Channels of the result, at most S (copies + 1).
        nlf: Name of the nonlinear function.
        normalize: ``l2`` divides each pixel's channel vector by its L2 norm (at least 1e-12), ``rms`` multiplies by
            sqrt(S) as well, ``none`` leaves it.

    Returns:
        Shape (N, out_channels, H, W), dtype of ``seed_maps``; half precision is computed in float32.
    """
    channels = seed_maps.shape[1]
    y = seed_maps.to(torch.promote_types(seed_maps.dtype, torch.float32))
    if normalize not in PIXEL_NORMS:
        raise ValueError(f"normalize={normalize!r}: expected one of {', '.join(PIXEL_NORMS)}")
    if normalize != "none":
        y = y / y.square().sum(dim=1, keepdim=True).sqrt().clamp(min=1e-12)
    if normalize == "rms":
        y = y * math.sqrt(channels)
    # the gaussian's pair is in units of the maps' root mean square, which the L2 norm makes 1/sqrt(S)
    scale = math.sqrt(channels) if nlf == "gaussian" and normalize == "l2" else 1.0

    nl_groups, copies = period.shape
    generated = []
    for group, maps in enumerate(torch.tensor_split(y, nl_groups, dim=1)):
        for copy in range(copies):
            omega = (period[group, copy].double() * scale).float().expand(maps.shape[1])
            phi = (shift[group, copy].double() / scale).float().expand(maps.shape[1])
            generated.append(apply_nlf(nlf, maps, omega, phi, copies=copies))
    return torch.cat([y, *generated], dim=1)[:, :out_channels].to(seed_maps.dtype)
