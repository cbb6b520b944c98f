"""From seed maps to all maps: normalise, generate, concatenate. The eager path of the formula in ``reference.py``."""

import torch
import torch.nn.functional as F
from torch import Tensor

from groupnl.nn.functions import apply_nlf
from groupnl_device.nlf import NLF, NORMALIZES, Normalize, argument_scale

L2_EPS = 1e-12  # smallest norm that a pixel is divided by, as the published code has it


def normalize_maps(seed_maps: Tensor, normalize: Normalize) -> Tensor:
    """Bound the size of each pixel's channel vector.

    Args:
        seed_maps: y, shape (N, S, H, W).
        normalize: ``l2``: ``y / max(|y|_2, 1e-12)`` over channels; ``rms``: that times sqrt(S); ``none``: y.

    Returns:
        Shape (N, S, H, W), at least float32.

    Raises:
        ValueError: ``normalize`` is unknown.
    """
    if normalize not in NORMALIZES:
        raise ValueError(f"normalize={normalize!r}: expected one of {', '.join(NORMALIZES)}")
    maps = seed_maps.to(torch.promote_types(seed_maps.dtype, torch.float32))
    if normalize == "none":
        return maps
    unit = F.normalize(maps, dim=1, eps=L2_EPS)
    return unit * seed_maps.shape[1] ** 0.5 if normalize == "rms" else unit


def expand(
    seed_maps: Tensor,
    period: Tensor,
    shift: Tensor,
    source: Tensor,
    pair: Tensor,
    *,
    nlf: NLF = "sine",
    normalize: Normalize = "l2",
) -> Tensor:
    """All maps of the layer from its seed maps.

    Args:
        seed_maps: Shape (N, S, H, W), floating point.
        period: float32, shape (nl_groups, copies).
        shift: float32, shape (nl_groups, copies).
        source: int64, shape (G,): the seed map of each generated map (``groupnl_device.nlf.channel_map``).
        pair: int64, shape (G,): its index into the flattened pairs.
        nlf: Name of the nonlinear function.
        normalize: See :func:`normalize_maps`.

    Returns:
        Shape (N, S + G, H, W): the normalised seed maps, then the generated ones; dtype of ``seed_maps``. Half
        precision is computed in float32 and rounded once.
    """
    channels = seed_maps.shape[1]
    copies = period.shape[1]
    y = normalize_maps(seed_maps, normalize)
    scale = argument_scale(nlf, normalize, channels)
    if scale != 1.0:  # in float64, as the device does it, so that both hold the same bits
        period, shift = (period.double() * scale).float(), (shift.double() / scale).float()
    # One copy keeps the channels' order: a view serves. Several need their seed maps gathered.
    maps = y[:, : source.numel()] if copies == 1 else y.index_select(1, source)
    generated = apply_nlf(nlf, maps, period.reshape(-1)[pair], shift.reshape(-1)[pair], copies=copies)
    return torch.cat([y.to(seed_maps.dtype), generated.to(seed_maps.dtype)], dim=1)
