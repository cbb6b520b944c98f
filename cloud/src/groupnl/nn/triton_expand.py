"""The expansion as one pass over a GPU's memory, forward and backward, in Triton.

A program reads the seed maps of some pixels once and writes their normalised maps and all copies. The norm needs all
channels of a pixel: they are one tile, held in registers, or, where they are too many, several that are read again (the
cache still holds them). Arithmetic is float32 and rounded once. Nothing is kept for backward but the seed maps.

Import this file late: Triton is not on every platform. With ``TRITON_INTERPRET=1``, set before anything imports Triton,
the kernels run on the CPU, slowly.
"""

# mypy: allow-untyped-defs, allow-untyped-decorators, allow-incomplete-defs

import torch
import triton
import triton.language as tl
from torch import Tensor

from groupnl.nn.triton_functions import nlf_slope, nlf_value
from groupnl.nn.triton_tiles import Tiling, dense, generated_channel, maps_at, memory_format, offsets, tile_start
from groupnl_device.nlf import NLF, PixelNorm

EPS = tl.constexpr(1e-12)  # smallest norm that a pixel is divided by, as in composite.py
UNROLL = tl.constexpr(4)  # copies whose work overlaps


@triton.jit
def inverse_norm(squares, S: tl.constexpr, NORMALIZE: tl.constexpr):
    """What normalisation multiplies a pixel's channels by, from their sum of squares. A NaN stays one."""
    if NORMALIZE == "none":
        return tl.full(squares.shape, 1.0, tl.float32)
    one_over = tl.where(squares < EPS * EPS, 1 / EPS, tl.rsqrt(squares))
    if NORMALIZE == "rms":
        one_over *= S**0.5
    return one_over


@triton.jit
def sum_of_squares(seeds, p, s, left, pixels, S: tl.constexpr, CHANNELS_LAST: tl.constexpr, BLOCK_P: tl.constexpr):
    """Of each pixel, over all channels, tile by tile; s is the first tile's channels."""
    total = tl.zeros([BLOCK_P], tl.float32)
    for tile in range(0, S, s.shape[0]):
        mask = (p < left)[:, None] & (tile + s < S)[None, :]
        y = tl.load(seeds + offsets(p, tile + s, pixels, S, CHANNELS_LAST), mask=mask, other=0.0).to(tl.float32)
        total += tl.sum(y * y, axis=1)
    return total


@triton.jit
def generate(
    y, copy, period_ptr, shift_ptr, s, S: tl.constexpr, GROUPS: tl.constexpr, COPIES: tl.constexpr, NLF: tl.constexpr
):
    """The maps that one copy makes of a tile of normalised maps, and which of all maps they are."""
    channel, group = generated_channel(s, copy, S, GROUPS, COPIES)
    period = tl.load(period_ptr + group * COPIES + copy, mask=s < S, other=0.0)[None, :]
    shift = tl.load(shift_ptr + group * COPIES + copy, mask=s < S, other=0.0)[None, :]
    return nlf_value(y, period, shift, NLF), channel


@triton.jit
def write_maps(
    y, out, period_ptr, shift_ptr, p, s, left, pixels,
    S: tl.constexpr, GENERATED: tl.constexpr, GROUPS: tl.constexpr, COPIES: tl.constexpr,
    NLF: tl.constexpr, CHANNELS_LAST: tl.constexpr,
):  # fmt: skip
    """Store a tile of normalised maps and every map generated from it."""
    C: tl.constexpr = S + GENERATED
    dtype = out.dtype.element_ty
    inside = (p < left)[:, None] & (s < S)[None, :]
    tl.store(out + offsets(p, s, pixels, C, CHANNELS_LAST), y.to(dtype), mask=inside)
    for copy in tl.range(COPIES, loop_unroll_factor=UNROLL if COPIES > UNROLL else COPIES):
        generated, channel = generate(y, copy, period_ptr, shift_ptr, s, S, GROUPS, COPIES, NLF)
        mask = inside
        if GENERATED < S * COPIES:
            mask &= (channel < C)[None, :]
        tl.store(out + offsets(p, channel, pixels, C, CHANNELS_LAST), generated.to(dtype), mask=mask)


@triton.jit
def gradient_by_maps(
    y, grad, period_ptr, shift_ptr, p, s, left, pixels,
    S: tl.constexpr, GENERATED: tl.constexpr, GROUPS: tl.constexpr, COPIES: tl.constexpr,
    NLF: tl.constexpr, CHANNELS_LAST: tl.constexpr,
):  # fmt: skip
    """The gradient by a tile of normalised maps: its own, plus those of every map generated from it."""
    C: tl.constexpr = S + GENERATED
    inside = (p < left)[:, None] & (s < S)[None, :]
    total = tl.load(grad + offsets(p, s, pixels, C, CHANNELS_LAST), mask=inside, other=0.0).to(tl.float32)
    for copy in tl.range(COPIES, loop_unroll_factor=UNROLL if COPIES > UNROLL else COPIES):
        channel, group = generated_channel(s, copy, S, GROUPS, COPIES)
        period = tl.load(period_ptr + group * COPIES + copy, mask=s < S, other=0.0)[None, :]
        shift = tl.load(shift_ptr + group * COPIES + copy, mask=s < S, other=0.0)[None, :]
        mask = inside
        if GENERATED < S * COPIES:
            mask &= (channel < C)[None, :]
        of_copy = tl.load(grad + offsets(p, channel, pixels, C, CHANNELS_LAST), mask=mask, other=0.0).to(tl.float32)
        by_copy = of_copy * nlf_slope(y, period, shift, NLF)
        if GENERATED < S * COPIES:  # a map that was cut away passes nothing back, not even a NaN
            by_copy = tl.where(mask, by_copy, 0.0)
        total += by_copy
    return total


@triton.jit(do_not_specialize=["units"])
def expand_forward_kernel(
    seed_ptr, out_ptr, period_ptr, shift_ptr, units,
    S: tl.constexpr, GENERATED: tl.constexpr, GROUPS: tl.constexpr, COPIES: tl.constexpr,
    NLF: tl.constexpr, NORMALIZE: tl.constexpr, CHANNELS_LAST: tl.constexpr, ALIGN: tl.constexpr,
    BLOCK_P: tl.constexpr, BLOCK_S: tl.constexpr,
):  # fmt: skip
    """Read a program's seed maps, write all its maps. Pixels of a row: ``units * ALIGN``."""
    pixels = units.to(tl.int64) * ALIGN
    row, first, left = tile_start(pixels, CHANNELS_LAST, BLOCK_P)
    seeds = maps_at(seed_ptr, row, first, pixels, S, CHANNELS_LAST)
    out = maps_at(out_ptr, row, first, pixels, S + GENERATED, CHANNELS_LAST)
    p = tl.arange(0, BLOCK_P)
    s = tl.arange(0, BLOCK_S)
    if BLOCK_S >= S:
        mask = (p < left)[:, None] & (s < S)[None, :]
        y = tl.load(seeds + offsets(p, s, pixels, S, CHANNELS_LAST), mask=mask, other=0.0).to(tl.float32)
        if NORMALIZE != "none":
            y *= inverse_norm(tl.sum(y * y, axis=1), S, NORMALIZE)[:, None]
        write_maps(y, out, period_ptr, shift_ptr, p, s, left, pixels, S, GENERATED, GROUPS, COPIES, NLF, CHANNELS_LAST)
    else:
        inverse = tl.full([BLOCK_P], 1.0, tl.float32)
        if NORMALIZE != "none":
            squares = sum_of_squares(seeds, p, s, left, pixels, S, CHANNELS_LAST, BLOCK_P)
            inverse = inverse_norm(squares, S, NORMALIZE)
        for tile in range(0, S, BLOCK_S):
            t = tile + s
            mask = (p < left)[:, None] & (t < S)[None, :]
            y = tl.load(seeds + offsets(p, t, pixels, S, CHANNELS_LAST), mask=mask, other=0.0).to(tl.float32)
            y *= inverse[:, None]
            write_maps(
                y, out, period_ptr, shift_ptr, p, t, left, pixels, S, GENERATED, GROUPS, COPIES, NLF, CHANNELS_LAST
            )


@triton.jit
def through_norm(y, by_y, dot, squares, S: tl.constexpr, NORMALIZE: tl.constexpr):
    """The gradient by the seed maps of a tile, from that by its normalised maps and their dot product over channels.

    ``(g - u (u . g)) / |x|`` for the unit vector u = x / |x|; without the projection where the norm was held at EPS.
    """
    if NORMALIZE == "none":
        return by_y
    projection = tl.where(squares < EPS * EPS, 0.0, dot)
    if NORMALIZE == "rms":  # y is sqrt(S) u, twice
        projection *= 1 / S
    return inverse_norm(squares, S, NORMALIZE)[:, None] * (by_y - y * projection[:, None])


@triton.jit(do_not_specialize=["units"])
def expand_backward_kernel(
    grad_ptr, seed_ptr, by_seed_ptr, period_ptr, shift_ptr, units,
    S: tl.constexpr, GENERATED: tl.constexpr, GROUPS: tl.constexpr, COPIES: tl.constexpr,
    NLF: tl.constexpr, NORMALIZE: tl.constexpr, CHANNELS_LAST: tl.constexpr, ALIGN: tl.constexpr,
    BLOCK_P: tl.constexpr, BLOCK_S: tl.constexpr,
):  # fmt: skip
    """Read a program's seed maps and the gradient by all maps, write the gradient by the seed maps."""
    pixels = units.to(tl.int64) * ALIGN
    row, first, left = tile_start(pixels, CHANNELS_LAST, BLOCK_P)
    seeds = maps_at(seed_ptr, row, first, pixels, S, CHANNELS_LAST)
    by_seeds = maps_at(by_seed_ptr, row, first, pixels, S, CHANNELS_LAST)
    grad = maps_at(grad_ptr, row, first, pixels, S + GENERATED, CHANNELS_LAST)
    dtype = by_seed_ptr.dtype.element_ty
    p = tl.arange(0, BLOCK_P)
    s = tl.arange(0, BLOCK_S)
    if BLOCK_S >= S:
        mask = (p < left)[:, None] & (s < S)[None, :]
        place = offsets(p, s, pixels, S, CHANNELS_LAST)
        y = tl.load(seeds + place, mask=mask, other=0.0).to(tl.float32)
        squares = tl.sum(y * y, axis=1)
        y *= inverse_norm(squares, S, NORMALIZE)[:, None]
        by_y = gradient_by_maps(
            y, grad, period_ptr, shift_ptr, p, s, left, pixels, S, GENERATED, GROUPS, COPIES, NLF, CHANNELS_LAST
        )
        by_seed = through_norm(y, by_y, tl.sum(by_y * y, axis=1), squares, S, NORMALIZE)
        tl.store(by_seeds + place, by_seed.to(dtype), mask=mask)
    else:
        squares = tl.zeros([BLOCK_P], tl.float32)
        dot = tl.zeros([BLOCK_P], tl.float32)
        if NORMALIZE != "none":
            squares = sum_of_squares(seeds, p, s, left, pixels, S, CHANNELS_LAST, BLOCK_P)
        inverse = inverse_norm(squares, S, NORMALIZE)[:, None]
        if NORMALIZE != "none":
            for tile in range(0, S, BLOCK_S):
                t = tile + s
                mask = (p < left)[:, None] & (t < S)[None, :]
                y = tl.load(seeds + offsets(p, t, pixels, S, CHANNELS_LAST), mask=mask, other=0.0).to(tl.float32)
                y *= inverse
                by_y = gradient_by_maps(
                    y, grad, period_ptr, shift_ptr, p, t, left, pixels, S, GENERATED, GROUPS, COPIES, NLF, CHANNELS_LAST
                )
                dot += tl.sum(by_y * y, axis=1)
        for tile in range(0, S, BLOCK_S):
            t = tile + s
            mask = (p < left)[:, None] & (t < S)[None, :]
            place = offsets(p, t, pixels, S, CHANNELS_LAST)
            y = tl.load(seeds + place, mask=mask, other=0.0).to(tl.float32) * inverse
            by_y = gradient_by_maps(
                y, grad, period_ptr, shift_ptr, p, t, left, pixels, S, GENERATED, GROUPS, COPIES, NLF, CHANNELS_LAST
            )
            by_seed = through_norm(y, by_y, dot, squares, S, NORMALIZE)
            tl.store(by_seeds + place, by_seed.to(dtype), mask=mask)


def expand_forward(
    seed_maps: Tensor, period: Tensor, shift: Tensor, generated: int, nlf: NLF, normalize: PixelNorm
) -> Tensor:
    """All maps of the layer from its seed maps, in one kernel.

    Args:
        seed_maps: Shape (N, S, H, W), float32, bfloat16 or float16; copied first unless dense in either memory format.
        period: float32, shape (nl_groups, copies), as the NLF applies it (the gaussian's is scaled already).
        shift: Likewise.
        generated: Maps to generate, at most S copies.
        nlf: Any but ``legendre``.
        normalize: See :func:`groupnl.nn.normalize_maps`.

    Returns:
        Shape (N, S + generated, H, W), dtype and memory format of ``seed_maps``.
    """
    maps = dense(seed_maps)
    images, channels, height, width = maps.shape
    shape = (images, channels + generated, height, width)
    out = torch.empty(shape, dtype=maps.dtype, device=maps.device, memory_format=memory_format(maps))
    if out.numel() > 0:
        _launch(expand_forward_kernel, (maps, out), maps, period, shift, generated, nlf, normalize)
    return out


def expand_backward(
    grad: Tensor, seed_maps: Tensor, period: Tensor, shift: Tensor, nlf: NLF, normalize: PixelNorm
) -> Tensor:
    """The gradient by the seed maps, from that by all maps.

    Args:
        grad: Shape (N, S + generated, H, W), dtype of ``seed_maps``; copied first unless in its memory format.
        seed_maps: As :func:`expand_forward` had them, like the other arguments.
        period: float32, shape (nl_groups, copies).
        shift: float32, shape (nl_groups, copies).
        nlf: Any but ``legendre``.
        normalize: See :func:`groupnl.nn.normalize_maps`.

    Returns:
        Shape (N, S, H, W), dtype and memory format of ``seed_maps``.
    """
    maps = dense(seed_maps)
    by_maps = grad.contiguous(memory_format=memory_format(maps))
    by_seed_maps = torch.empty_like(maps, memory_format=memory_format(maps))
    if maps.numel() > 0:
        generated = grad.shape[1] - maps.shape[1]
        tensors = (by_maps, maps, by_seed_maps)
        _launch(expand_backward_kernel, tensors, maps, period, shift, generated, nlf, normalize)
    return by_seed_maps


def _launch(
    kernel: triton.JITFunction,
    tensors: tuple[Tensor, ...],
    maps: Tensor,
    period: Tensor,
    shift: Tensor,
    generated: int,
    nlf: NLF,
    normalize: PixelNorm,
) -> None:
    tiling = Tiling.of(maps)
    nl_groups, copies = period.shape
    with torch.cuda.device_of(maps):  # type: ignore[no-untyped-call]  # Triton launches on the current device
        kernel[(tiling.programs,)](
            *tensors,
            period.contiguous(),
            shift.contiguous(),
            tiling.units,
            S=maps.shape[1],
            GENERATED=generated,
            GROUPS=nl_groups,
            COPIES=copies,
            NLF=nlf,
            NORMALIZE=normalize,
            CHANNELS_LAST=tiling.channels_last,
            ALIGN=tiling.align,
            BLOCK_P=tiling.block_p,
            BLOCK_S=tiling.block_s,
            num_warps=tiling.warps,
            enable_fp_fusion=True,  # a product and a sum in one instruction; Triton 3.10 no longer does so by itself
        )
