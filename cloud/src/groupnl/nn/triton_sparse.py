"""The sparse seed convolution and the expansion in one kernel, in Triton: the seed maps need not be written and read.

For groups of M inputs and one output each, as a sparse layer of C channels has (M = reduction): then the convolution is
a depthwise one followed by sums of M neighbouring channels, which lie together in channels_last. A program makes some
output pixels with all their channels: products in float32 over the taps, the sums, the norm, then all maps.
"""

# mypy: allow-untyped-defs, allow-untyped-decorators, allow-incomplete-defs

import torch
import triton
import triton.language as tl
from torch import Tensor

from groupnl.nn.backend import TRITON_DTYPES, TRITON_NLFS
from groupnl.nn.triton_expand import inverse_norm, write_maps
from groupnl.nn.triton_tiles import TILE, tile_start
from groupnl_device.nlf import NLF, PixelNorm

MOST_CHANNELS = 2048  # inputs of a pixel that are held at once


@triton.jit(do_not_specialize=["pixels", "height", "width", "out_height", "out_width"])
def sparse_expand_kernel(
    x_ptr, weight_ptr, bias_ptr, seed_ptr, out_ptr, period_ptr, shift_ptr,
    pixels, height, width, out_height, out_width,
    M: tl.constexpr, S: tl.constexpr, GENERATED: tl.constexpr, GROUPS: tl.constexpr, COPIES: tl.constexpr,
    NLF: tl.constexpr, NORMALIZE: tl.constexpr, HAS_BIAS: tl.constexpr, KEEP: tl.constexpr,
    KERNEL_H: tl.constexpr, KERNEL_W: tl.constexpr, STRIDE_H: tl.constexpr, STRIDE_W: tl.constexpr,
    PADDING_H: tl.constexpr, PADDING_W: tl.constexpr, DILATION_H: tl.constexpr, DILATION_W: tl.constexpr,
    BLOCK_P: tl.constexpr, BLOCK_S: tl.constexpr,
):  # fmt: skip
    """Weights come as (taps, S M), so that those of one tap lie together."""
    pixels = pixels.to(tl.int64)
    _, first, left = tile_start(pixels, True, BLOCK_P)
    p = tl.arange(0, BLOCK_P)
    s = tl.arange(0, BLOCK_S)
    c = tl.arange(0, BLOCK_S * M)
    area = out_height * out_width
    first_image = first // area
    place = (first - first_image * area).to(tl.int32) + p  # 32 bits from here on: divisions are dear
    image = first_image + place // area
    place = place % area
    top = (place // out_width) * STRIDE_H - PADDING_H
    side = (place % out_width) * STRIDE_W - PADDING_W

    products = tl.zeros([BLOCK_P, BLOCK_S * M], tl.float32)
    for tap in tl.range(KERNEL_H * KERNEL_W, loop_unroll_factor=KERNEL_W):
        h = top + (tap // KERNEL_W) * DILATION_H
        w = side + (tap % KERNEL_W) * DILATION_W
        inside = (p < left) & (h >= 0) & (h < height) & (w >= 0) & (w < width)
        pixel = ((image * height + h) * width + w) * (S * M)
        mask = inside[:, None] & (c < S * M)[None, :]
        x = tl.load(x_ptr + pixel[:, None] + c[None, :], mask=mask, other=0.0).to(tl.float32)
        weight = tl.load(weight_ptr + tap * (S * M) + c, mask=c < S * M, other=0.0).to(tl.float32)
        products += x * weight[None, :]
    y = tl.sum(tl.reshape(products, [BLOCK_P, BLOCK_S, M]), axis=2)
    if HAS_BIAS:
        y += tl.load(bias_ptr + s, mask=s < S, other=0.0).to(tl.float32)[None, :]

    dtype = out_ptr.dtype.element_ty
    rounded = y.to(dtype)  # as backward will read them
    if KEEP:
        mask = (p < left)[:, None] & (s < S)[None, :]
        tl.store(seed_ptr + first * S + p[:, None] * S + s[None, :], rounded, mask=mask)
    y = rounded.to(tl.float32)
    if NORMALIZE != "none":
        y *= inverse_norm(tl.sum(y * y, axis=1), S, NORMALIZE)[:, None]
    out = out_ptr + first * (S + GENERATED)
    write_maps(y, out, period_ptr, shift_ptr, p, s, left, pixels, S, GENERATED, GROUPS, COPIES, NLF, True)


def sparse_expand_forward(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
    period: Tensor,
    shift: Tensor,
    generated: int,
    nlf: NLF,
    normalize: PixelNorm,
    *,
    keep_seed_maps: bool = True,
) -> tuple[Tensor, Tensor | None]:
    """A sparse GroupNL layer's forward pass, in one kernel.

    Args:
        x: Shape (N, S M, H, W), float32, bfloat16 or float16; copied first unless in channels_last.
        weight: Shape (S, M, k, k), M a power of two, dtype of ``x``: S groups of one output each.
        bias: Shape (S,), or None.
        stride: (height, width), like the next two.
        padding: Zeros on both sides.
        dilation: Steps between taps.
        period: float32, shape (nl_groups, copies), as the NLF applies it (the gaussian's is scaled already).
        shift: Likewise.
        generated: Maps to generate, at most S copies.
        nlf: Any but ``legendre``.
        normalize: See :func:`groupnl.nn.normalize_maps`.
        keep_seed_maps: Also write the seed maps, which backward needs.

    Returns:
        All maps, shape (N, S + generated, H', W'), and the seed maps, shape (N, S, H', W'), or None; channels_last.

    Raises:
        ValueError: Groups of another form, another dtype, or too many channels.
    """
    seeds, inputs, kernel_h, kernel_w = weight.shape
    images, channels, height, width = x.shape
    if channels != seeds * inputs or inputs & (inputs - 1) != 0:
        raise ValueError(
            f"{channels} channels, weight {tuple(weight.shape)}: expected S groups of 1, 2, 4, ... inputs, one output"
        )
    if x.dtype not in TRITON_DTYPES or nlf not in TRITON_NLFS:
        raise ValueError(f"dtype {x.dtype}, nlf={nlf!r}: expected float32, bfloat16 or float16, any NLF but legendre")
    block_s = triton.next_power_of_2(seeds)
    if block_s * inputs > MOST_CHANNELS:
        raise ValueError(f"{channels} channels: expected at most {MOST_CHANNELS}; use a convolution and expand_forward")
    x = x.contiguous(memory_format=torch.channels_last)
    out_height, out_width = (
        (size + 2 * padding[i] - dilation[i] * (kernel - 1) - 1) // stride[i] + 1
        for i, (size, kernel) in enumerate(((height, kernel_h), (width, kernel_w)))
    )

    def empty(maps: int) -> Tensor:
        shape = (images, maps, out_height, out_width)
        return torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)

    out, seed_maps = empty(seeds + generated), empty(seeds) if keep_seed_maps else None
    if out.numel() == 0:
        return out, seed_maps
    if out_height * out_width >= 2**30:
        raise ValueError(f"maps of {out_height} x {out_width}: expected fewer than 2^30 pixels an image")
    nl_groups, copies = period.shape
    block_p = max(2 * TILE // (block_s * inputs), 1)
    pixels = images * out_height * out_width
    with torch.cuda.device_of(x):  # type: ignore[no-untyped-call]
        sparse_expand_kernel[(triton.cdiv(pixels, block_p),)](
            x,
            weight.reshape(channels, kernel_h * kernel_w).t().contiguous(),
            x if bias is None else bias,
            out if seed_maps is None else seed_maps,
            out,
            period.contiguous(),
            shift.contiguous(),
            pixels,
            height,
            width,
            out_height,
            out_width,
            M=inputs,
            S=seeds,
            GENERATED=generated,
            GROUPS=nl_groups,
            COPIES=copies,
            NLF=nlf,
            NORMALIZE=normalize,
            HAS_BIAS=bias is not None,
            KEEP=seed_maps is not None,
            KERNEL_H=kernel_h,
            KERNEL_W=kernel_w,
            STRIDE_H=stride[0],
            STRIDE_W=stride[1],
            PADDING_H=padding[0],
            PADDING_W=padding[1],
            DILATION_H=dilation[0],
            DILATION_W=dilation[1],
            BLOCK_P=block_p,
            BLOCK_S=block_s,
            num_warps=4,
            enable_fp_fusion=True,
        )
    return out, seed_maps
