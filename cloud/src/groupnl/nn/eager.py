"""The expansion as few whole-tensor operations, forward and backward: each part of the output is written once."""

import torch
from torch import Tensor

from groupnl.nn.composite import L2_EPS, scaled_pairs
from groupnl.nn.functions import apply_nlf, nlf_slope
from groupnl_device.nlf import NLF, PixelNorm


def expand_forward(
    seed_maps: Tensor, period: Tensor, shift: Tensor, source: Tensor, pair: Tensor, nlf: NLF, normalize: PixelNorm
) -> Tensor:
    """All maps from the seed maps; arguments and result as in :func:`groupnl.nn.expand`. No gradient is recorded."""
    channels = seed_maps.shape[1]
    y = seed_maps.to(torch.promote_types(seed_maps.dtype, torch.float32))
    out = empty_like(seed_maps, channels + source.numel())
    # The generated maps are made of normalised maps that were not rounded to half precision.
    unit = out[:, :channels] if y.dtype == out.dtype else torch.empty_like(y)
    if normalize == "none":
        unit.copy_(y)
    else:
        torch.div(y, _norm(y).div_(_length(normalize, channels)), out=unit)
    if unit.dtype != out.dtype:
        out[:, :channels] = unit
    maps = _maps_to_transform(unit, source, copies=period.shape[1])
    omega, phi = _constants(period, shift, pair, nlf, normalize, channels)
    if nlf == "sine":
        # A temporary of its own: torch's vectorised sine is much slower on a part of a tensor.
        generated = (maps - phi).mul_(omega).sin_()
    else:
        generated = apply_nlf(nlf, maps, omega, phi, copies=period.shape[1])
    out[:, channels:] = generated
    return out


def expand_backward(
    grad: Tensor,
    seed_maps: Tensor,
    period: Tensor,
    shift: Tensor,
    source: Tensor,
    pair: Tensor,
    nlf: NLF,
    normalize: PixelNorm,
) -> Tensor:
    """The gradient with respect to the seed maps, all else computed anew from them.

    With ``u = y / n``, n a pixel's norm, and h the gradient with respect to u, that of y is ``(h - u (u . h)) / n``; a
    norm that was raised to 1e-12 counts as a constant.

    Args:
        grad: Of the result, shape (N, S + G, H, W).
        seed_maps: y, shape (N, S, H, W).
        period: See :func:`groupnl.nn.expand`, like the following.
        shift: float32.
        source: int64.
        pair: int64.
        nlf: Name of the nonlinear function.
        normalize: Name of the normalisation.

    Returns:
        Shape (N, S, H, W), dtype of ``seed_maps``.
    """
    channels, copies = seed_maps.shape[1], period.shape[1]
    y = seed_maps.to(torch.promote_types(seed_maps.dtype, torch.float32))
    norm = None if normalize == "none" else _norm(y)
    length = _length(normalize, channels)
    unit = y if norm is None else y / (norm / length)
    maps = _maps_to_transform(unit, source, copies=copies)
    omega, phi = _constants(period, shift, pair, nlf, normalize, channels)
    if nlf == "sine":
        through = (maps - phi).mul_(omega).cos_().mul_(omega)
    else:
        through = nlf_slope(nlf, maps, omega, phi, copies=copies)
    through = through.mul_(grad[:, channels:])
    if copies == 1 and source.numel() == channels:
        total = through.add_(grad[:, :channels])
    else:
        total = torch.empty_like(y).copy_(grad[:, :channels])
        total.index_add_(1, source, through)
    if norm is not None:
        along = (total * unit).sum(dim=1, keepdim=True).div_(length**2).masked_fill_(norm <= L2_EPS, 0)
        total.addcmul_(unit, along, value=-1).div_(norm.div_(length))
    return total.to(seed_maps.dtype)


def empty_like(seed_maps: Tensor, channels: int) -> Tensor:
    """Uninitialised maps in the type and memory order of the seed maps, shape (N, channels, H, W)."""
    batch, _, height, width = seed_maps.shape
    channels_last = not seed_maps.is_contiguous() and seed_maps.is_contiguous(memory_format=torch.channels_last)
    order = torch.channels_last if channels_last else torch.contiguous_format
    return torch.empty(
        (batch, channels, height, width), dtype=seed_maps.dtype, device=seed_maps.device, memory_format=order
    )


def _norm(y: Tensor) -> Tensor:
    """Each pixel's L2 norm, at least 1e-12, shape (N, 1, H, W). ``vector_norm`` takes many times longer on a CPU."""
    return (y * y).sum(dim=1, keepdim=True).sqrt_().clamp_min_(L2_EPS)


def _length(normalize: PixelNorm, channels: int) -> float:
    """The L2 norm of a normalised pixel."""
    return channels**0.5 if normalize == "rms" else 1.0


def _maps_to_transform(unit: Tensor, source: Tensor, *, copies: int) -> Tensor:
    return unit[:, : source.numel()] if copies == 1 else unit.index_select(1, source)


def _constants(
    period: Tensor, shift: Tensor, pair: Tensor, nlf: NLF, normalize: PixelNorm, channels: int
) -> tuple[Tensor, Tensor]:
    """One period and one shift for each generated map, shape (G, 1, 1)."""
    period, shift = scaled_pairs(period, shift, nlf=nlf, normalize=normalize, seed_channels=channels)
    omega, phi = (values.reshape(-1).index_select(0, pair).reshape(-1, 1, 1) for values in (period, shift))
    return omega, phi
