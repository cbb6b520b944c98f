"""Norms with statistics for each channel, of any library, and what they compute in evaluation."""

import copy

import torch
from torch import Tensor, nn

_USUAL_EPS = 1e-5  # of frozen norms that do not hold theirs; a wrong guess shows when the norm is tried


def is_channel_norm(module: nn.Module) -> bool:
    """Whether this is a norm with statistics for each channel: a batch norm of any library, frozen or not."""
    return "running_mean" in module._buffers  # they share no base class


def evaluation_affine(norm: nn.Module) -> tuple[Tensor, Tensor]:
    """What a norm in evaluation does to each channel: ``scale * x + bias``, then the modules that it holds, in order.

    ``scale = weight / sqrt(running_var + eps)``, ``bias = norm's bias - running_mean * scale`` (Ioffe & Szegedy, arXiv
    1502.03167, algorithm 2, step 11). That the norm does this and nothing else is tried on numbers: timm's norms hold
    an activation as a module, others' work in ways of their own.

    Args:
        norm: See :func:`is_channel_norm`; not changed.

    Returns:
        scale and bias, float64, shape (C,), on the CPU: some devices have no float64.

    Raises:
        ValueError: The norm computes something else; the message says what.
    """
    mean, variance = (getattr(norm, name, None) for name in ("running_mean", "running_var"))
    if mean is None or variance is None:
        raise ValueError("normalises by the batch at hand, it has no running statistics")
    if norm.training:
        raise ValueError("in training mode")
    scale = (_exact(variance) + getattr(norm, "eps", _USUAL_EPS)).rsqrt()
    weight, bias = (getattr(norm, name, None) for name in ("weight", "bias"))
    if weight is not None:
        scale = scale * _exact(weight)
    shift = -_exact(mean) * scale
    if bias is not None:
        shift = shift + _exact(bias)
    if not _computes(norm, scale, shift):
        raise ValueError(f"{type(norm).__name__}, a norm with an arithmetic of its own")
    return scale, shift


def _exact(tensor: Tensor) -> Tensor:
    return tensor.detach().cpu().double()


def _computes(norm: nn.Module, scale: Tensor, bias: Tensor) -> bool:
    """Whether a norm is this affine map and the modules that it holds: tried, on numbers of its own statistics."""
    trial = copy.deepcopy(norm).cpu().double()
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, len(scale), 3, 5, dtype=torch.double, generator=generator)
    expected = x * scale.reshape(-1, 1, 1) + bias.reshape(-1, 1, 1)
    try:
        with torch.no_grad():
            return torch.allclose(trial(x), nn.Sequential(*trial.children())(expected), rtol=1e-9, atol=1e-9)
    except (RuntimeError, ValueError, TypeError):  # it wants other inputs: nothing is known of it
        return False
