"""From seed maps to all maps: normalise, generate, concatenate. Here the path is chosen; each has a file of its own."""

from collections.abc import Callable
from functools import cache
from typing import cast

import torch
from torch import Tensor

from groupnl.nn.backend import get_backend
from groupnl.nn.composite import expand_composite
from groupnl.nn.operator import expand_operator
from groupnl.nn.reference import expand_reference
from groupnl_device.nlf import NLF, PixelNorm

_OPERATOR_DEVICES = ("cpu", "cuda", "meta")


def expand(
    seed_maps: Tensor,
    period: Tensor,
    shift: Tensor,
    source: Tensor,
    pair: Tensor,
    *,
    nlf: NLF = "sine",
    normalize: PixelNorm = "l2",
) -> Tensor:
    """All maps of the layer from its seed maps. :func:`groupnl.nn.set_backend` forces a path.

    Args:
        seed_maps: Shape (N, S, H, W), floating point.
        period: float32, shape (nl_groups, copies).
        shift: float32, shape (nl_groups, copies).
        source: int64, shape (G,): the seed map of each generated map (``groupnl_device.nlf.channel_map``).
        pair: int64, shape (G,): its index into the flattened pairs.
        nlf: Name of the nonlinear function.
        normalize: See :func:`groupnl.nn.normalize_maps`.

    Returns:
        Shape (N, S + G, H, W): the normalised seed maps, then the generated ones; dtype of ``seed_maps``. Half
        precision is computed in float32 and rounded once. In eager mode only the seed maps are kept for backward.
    """
    backend = get_backend()
    if backend == "reference":
        channels = seed_maps.shape[1] + source.numel()
        return expand_reference(seed_maps, period, shift, out_channels=channels, nlf=nlf, normalize=normalize)
    if backend == "compiled" and not torch.compiler.is_compiling():
        expanded: Tensor = _compiled()(seed_maps, period, shift, source, pair, nlf=nlf, normalize=normalize)
        return expanded
    if backend in ("eager", "triton") or (backend == "auto" and _is_eager(seed_maps)):
        return cast(Tensor, expand_operator(seed_maps, period, shift, source, pair, nlf, normalize))
    return expand_composite(seed_maps, period, shift, source, pair, nlf=nlf, normalize=normalize)


def _is_eager(maps: Tensor) -> bool:
    """Whether the result is computed now, on a device that the operator knows, for no one but autograd.

    Compilers fuse the composite form with its neighbours, and exporters know no other; what stands for a tensor
    without being one (counting, functionalising, distributing) and ``torch.func`` see plain operators too.
    """
    return (
        type(maps) is Tensor
        and maps.device.type in _OPERATOR_DEVICES
        and not torch.compiler.is_compiling()
        and not torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
        and not torch._C._are_functorch_transforms_active()
    )


@cache
def _compiled() -> Callable[..., Tensor]:
    return torch.compile(expand_composite, dynamic=True)
