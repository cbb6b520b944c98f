"""The expansion as plain differentiable operators: what exporters and compilers trace, and what always works."""

import torch
import torch.nn.functional as F
from torch import Tensor

from groupnl.nn.functions import apply_nlf
from groupnl_device.nlf import NLF, PIXEL_NORMS, Normalize, PixelNorm, argument_scale

L2_EPS = 1e-12  # smallest norm that a pixel is divided by, as the published code has it


def normalize_maps(seed_maps: Tensor, normalize: PixelNorm) -> Tensor:
    """Bound the size of each pixel's channel vector.

    Args:
        seed_maps: y, shape (N, S, H, W).
        normalize: ``l2``: ``y / max(|y|_2, 1e-12)`` over channels; ``rms``: that times sqrt(S); ``none``: y.

    Returns:
        Shape (N, S, H, W), at least float32.

    Raises:
        ValueError: ``normalize`` is unknown.
    """
    if normalize not in PIXEL_NORMS:
        raise ValueError(f"normalize={normalize!r}: expected one of {', '.join(PIXEL_NORMS)}")
    maps = seed_maps.to(torch.promote_types(seed_maps.dtype, torch.float32))
    if normalize == "none":
        return maps
    unit = F.normalize(maps, dim=1, eps=L2_EPS)
    return unit * seed_maps.shape[1] ** 0.5 if normalize == "rms" else unit


def scaled_pairs(
    period: Tensor, shift: Tensor, *, nlf: NLF, normalize: Normalize, seed_channels: int
) -> tuple[Tensor, Tensor]:
    """The pairs in the units of the normalised maps: see ``groupnl_device.nlf.argument_scale``. Shapes stay."""
    scale = argument_scale(nlf, normalize, seed_channels)
    if scale == 1.0:
        return period, shift
    return (period.double() * scale).float(), (shift.double() / scale).float()  # the same bits as on the device


def expand_composite(
    seed_maps: Tensor,
    period: Tensor,
    shift: Tensor,
    source: Tensor,
    pair: Tensor,
    *,
    nlf: NLF = "sine",
    normalize: PixelNorm = "l2",
) -> Tensor:
    """All maps of the layer from its seed maps; arguments and result as in :func:`groupnl.nn.expand`."""
    nl_groups, copies = period.shape
    y = normalize_maps(seed_maps, normalize)
    period, shift = scaled_pairs(period, shift, nlf=nlf, normalize=normalize, seed_channels=seed_maps.shape[1])
    maps = y
    if copies > 1:  # not y[:, source]: a compiler fuses repetitions, but gathers, and scatters on the way back
        maps = torch.cat([group.repeat(1, copies, 1, 1) for group in y.tensor_split(nl_groups, dim=1)], dim=1)
    maps = maps[:, : source.numel()]
    generated = apply_nlf(nlf, maps, period.reshape(-1)[pair], shift.reshape(-1)[pair], copies=copies)
    return torch.cat([y.to(seed_maps.dtype), generated.to(seed_maps.dtype)], dim=1)
