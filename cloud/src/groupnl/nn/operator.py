"""``groupnl::expand``, the expansion as one operator of PyTorch: seed maps in, all maps out, nothing else kept."""

from typing import Any, cast

import torch
from torch import Tensor

from groupnl.nn import eager
from groupnl.nn.backend import runs_in_triton
from groupnl.nn.composite import expand_composite, scaled_pairs
from groupnl_device.nlf import NLF, PixelNorm


@torch.library.custom_op("groupnl::expand", mutates_args=(), device_types=("cpu", "cuda"))
def expand_operator(
    seed_maps: Tensor, period: Tensor, shift: Tensor, source: Tensor, pair: Tensor, nlf: str, normalize: str
) -> Tensor:
    """See :func:`groupnl.nn.expand`."""
    function, norm = cast(NLF, nlf), cast(PixelNorm, normalize)
    if not runs_in_triton(seed_maps.device, seed_maps.dtype, function):
        return eager.expand_forward(seed_maps, period, shift, source, pair, function, norm)
    from groupnl.nn import triton_expand

    pairs = scaled_pairs(period, shift, nlf=function, normalize=norm, seed_channels=seed_maps.shape[1])
    return triton_expand.expand_forward(seed_maps, *pairs, source.numel(), function, norm)


@torch.library.custom_op("groupnl::expand_backward", mutates_args=(), device_types=("cpu", "cuda"))
def expand_backward_operator(
    grad: Tensor,
    seed_maps: Tensor,
    period: Tensor,
    shift: Tensor,
    source: Tensor,
    pair: Tensor,
    nlf: str,
    normalize: str,
) -> Tensor:
    """The gradient with respect to the seed maps, shape (N, S, H, W), from that of the result."""
    function, norm = cast(NLF, nlf), cast(PixelNorm, normalize)
    if not runs_in_triton(seed_maps.device, seed_maps.dtype, function):
        return eager.expand_backward(grad, seed_maps, period, shift, source, pair, function, norm)
    from groupnl.nn import triton_expand

    pairs = scaled_pairs(period, shift, nlf=function, normalize=norm, seed_channels=seed_maps.shape[1])
    return triton_expand.expand_backward(grad, seed_maps, *pairs, function, norm)


@expand_operator.register_fake
def _(seed_maps: Tensor, _period: Tensor, _shift: Tensor, source: Tensor, *_: Any) -> Tensor:
    return eager.empty_like(seed_maps, seed_maps.shape[1] + source.numel())


@expand_backward_operator.register_fake
def _(_grad: Tensor, seed_maps: Tensor, *_: Any) -> Tensor:
    return eager.empty_like(seed_maps, seed_maps.shape[1])


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG001  # torch passes it by name
    *tensors, ctx.nlf, ctx.normalize = inputs
    ctx.save_for_backward(*tensors)


def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    seed_maps, *rest = ctx.saved_tensors
    if torch.is_grad_enabled():  # create_graph=True: a gradient of the gradient is wanted
        out = expand_composite(seed_maps, *rest, nlf=ctx.nlf, normalize=ctx.normalize)
        (wanted,) = torch.autograd.grad(out, seed_maps, grad, create_graph=True)
    else:
        wanted = expand_backward_operator(grad, seed_maps, *rest, ctx.nlf, ctx.normalize)
    return wanted, *(None for _ in range(6))


expand_operator.register_autograd(_backward, setup_context=_save)


@expand_operator.register_vmap
def _(info: Any, in_dims: tuple[int | None, ...], *args: Any) -> tuple[Tensor, int]:
    (maps,), rest = _merged(info.batch_size, in_dims, args, count=1)
    return expand_operator(maps, *rest).unflatten(0, (info.batch_size, -1)), 0


@expand_backward_operator.register_vmap
def _(info: Any, in_dims: tuple[int | None, ...], *args: Any) -> tuple[Tensor, int]:
    maps, rest = _merged(info.batch_size, in_dims, args, count=2)
    return expand_backward_operator(*maps, *rest).unflatten(0, (info.batch_size, -1)), 0


def _merged(
    size: int, in_dims: tuple[int | None, ...], args: tuple[Any, ...], *, count: int
) -> tuple[list[Tensor], tuple[Any, ...]]:
    """The first ``count`` arguments with the mapped axis merged into the batch; the others may not be mapped."""
    if any(dim is not None for dim in in_dims[count:]):
        raise ValueError("vmap over period, shift, source or pair of groupnl::expand: map over the seed maps only")
    merged = [
        (arg.expand(size, *arg.shape) if dim is None else arg.movedim(dim, 0)).flatten(0, 1)
        for arg, dim in zip(args[:count], in_dims[:count], strict=True)
    ]
    return merged, args[count:]
