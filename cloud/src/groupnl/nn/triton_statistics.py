"""The expansion that also returns the batch statistics of its maps, so that a batch norm need not read them for these.

Each program walks over many tiles. At each place of the tile it keeps a running mean and sum of squared deviations by
Welford's update, exact also where the mean is large beside the deviation; then it merges its places, and a second,
small kernel merges the programs. Formulas: Chan, Golub and LeVeque, The American Statistician 37(3), 1983.
"""

# mypy: allow-untyped-defs, allow-untyped-decorators, allow-incomplete-defs
# mypy: disable-error-code="assignment, misc"
# (a kernel's tuples grow)
# ruff: noqa: RUF005 (Triton knows a sum of tuples, but no unpacking)

import torch
import triton
import triton.language as tl
from torch import Tensor

from groupnl.nn.backend import TRITON_DTYPES, TRITON_NLFS
from groupnl.nn.triton_expand import generate, inverse_norm
from groupnl.nn.triton_tiles import TILE, generated_channel
from groupnl_device.nlf import NLF, PixelNorm

MOST_SEEDS = 1024  # of a tile
MOST_COPIES = 3  # each keeps two numbers for every element of the tile in registers
PROGRAMS_PER_MULTIPROCESSOR = 4
MERGED_ROWS, MERGED_CHANNELS = 256, 16


@triton.jit
def welford(value, mask, share, mean, squares):
    """The mean and sum of squared deviations after one value more, whose share in the mean is 1 / count."""
    deviation = tl.where(mask, value - mean, 0.0)
    mean += deviation * share
    return mean, squares + deviation * (value - mean)


@triton.jit
def write_partial(mean, squares, counts, partial_ptr, count_ptr, programs, channel, mask, C: tl.constexpr):
    """Merge the places [pixels, channels] of this program into one mean and sum for each channel, and store them."""
    program = tl.program_id(0)
    total = tl.sum(counts, axis=0)
    merged = tl.sum(mean * counts[:, None], axis=0) / total
    apart = mean - merged[None, :]
    around = tl.sum(squares + apart * apart * counts[:, None], axis=0)
    tl.store(partial_ptr + program * C + channel, merged, mask=mask)
    tl.store(partial_ptr + (programs + program) * C + channel, around, mask=mask)
    tl.store(count_ptr + program, total)


@triton.jit(do_not_specialize=["pixels", "programs"])
def expand_with_statistics_kernel(
    seed_ptr, out_ptr, period_ptr, shift_ptr, partial_ptr, count_ptr, pixels, programs,
    S: tl.constexpr, GENERATED: tl.constexpr, GROUPS: tl.constexpr, COPIES: tl.constexpr,
    NLF: tl.constexpr, NORMALIZE: tl.constexpr, BLOCK_P: tl.constexpr, BLOCK_S: tl.constexpr,
):  # fmt: skip
    """Write all maps of every ``programs``-th tile, and this program's statistics of them."""
    C: tl.constexpr = S + GENERATED
    dtype = out_ptr.dtype.element_ty
    pixels = pixels.to(tl.int64)
    p = tl.arange(0, BLOCK_P)
    s = tl.arange(0, BLOCK_S)
    counts = tl.zeros([BLOCK_P], tl.float32)
    means = ()
    squares = ()
    for _ in tl.static_range(COPIES + 1):
        means = means + (tl.zeros([BLOCK_P, BLOCK_S], tl.float32),)
        squares = squares + (tl.zeros([BLOCK_P, BLOCK_S], tl.float32),)

    first = tl.program_id(0).to(tl.int64) * BLOCK_P
    step = programs.to(tl.int64) * BLOCK_P
    seen = 0.0  # tiles of this program: how often each place has had a value, but for the last pixels
    for _ in range(0, tl.cdiv(pixels - first, step)):
        present = p < pixels - first
        counts += tl.where(present, 1.0, 0.0)
        seen += 1.0
        share = 1.0 / seen
        inside = present[:, None] & (s < S)[None, :]
        place = p[:, None] * S + s[None, :]
        y = tl.load(seed_ptr + first * S + place, mask=inside, other=0.0).to(tl.float32)
        if NORMALIZE != "none":
            y *= inverse_norm(tl.sum(y * y, axis=1), S, NORMALIZE)[:, None]
        rounded = y.to(dtype)
        out = out_ptr + first * C + p[:, None] * C
        tl.store(out + s[None, :], rounded, mask=inside)
        mean, around = welford(rounded.to(tl.float32), present[:, None], share, means[0], squares[0])
        new_means = (mean,)
        new_squares = (around,)
        for copy in tl.static_range(COPIES):
            generated, channel = generate(y, copy, period_ptr, shift_ptr, s, S, GROUPS, COPIES, NLF)
            rounded = generated.to(dtype)
            tl.store(out + channel[None, :], rounded, mask=inside & (channel < C)[None, :])
            mean, around = welford(rounded.to(tl.float32), present[:, None], share, means[copy + 1], squares[copy + 1])
            new_means = new_means + (mean,)
            new_squares = new_squares + (around,)
        means = new_means
        squares = new_squares
        first += step

    write_partial(means[0], squares[0], counts, partial_ptr, count_ptr, programs, s, s < S, C)
    for copy in tl.static_range(COPIES):
        channel, _ = generated_channel(s, copy, S, GROUPS, COPIES)
        mask = (s < S) & (channel < C)
        write_partial(means[copy + 1], squares[copy + 1], counts, partial_ptr, count_ptr, programs, channel, mask, C)


@triton.jit(do_not_specialize=["programs"])
def merge_kernel(
    partial_ptr, count_ptr, mean_ptr, var_ptr, programs,
    C: tl.constexpr, BLOCK_R: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    """Merge what the programs found for some channels: first their means, then the squares about the common one."""
    channel = tl.program_id(0) * BLOCK_C + tl.arange(0, BLOCK_C)
    row = tl.arange(0, BLOCK_R)
    weighted = tl.zeros([BLOCK_C], tl.float32)
    total = 0.0
    for start in range(0, programs, BLOCK_R):
        count = tl.load(count_ptr + start + row, mask=start + row < programs, other=0.0)
        mask = (start + row < programs)[:, None] & (channel < C)[None, :]
        mean = tl.load(partial_ptr + (start + row)[:, None] * C + channel[None, :], mask=mask, other=0.0)
        weighted += tl.sum(mean * count[:, None], axis=0)
        total += tl.sum(count, axis=0)
    common = weighted / total
    around = tl.zeros([BLOCK_C], tl.float32)
    for start in range(0, programs, BLOCK_R):
        count = tl.load(count_ptr + start + row, mask=start + row < programs, other=0.0)
        mask = (start + row < programs)[:, None] & (channel < C)[None, :]
        place = (start + row)[:, None] * C + channel[None, :]
        apart = tl.load(partial_ptr + place, mask=mask, other=0.0) - common[None, :]
        squares = tl.load(partial_ptr + programs * C + place, mask=mask, other=0.0)
        around += tl.sum(squares + apart * apart * count[:, None], axis=0)
    tl.store(mean_ptr + channel, common, mask=channel < C)
    tl.store(var_ptr + channel, around / total, mask=channel < C)


def expand_forward_with_statistics(
    seed_maps: Tensor, period: Tensor, shift: Tensor, generated: int, nlf: NLF, normalize: PixelNorm
) -> tuple[Tensor, Tensor, Tensor]:
    """All maps of the layer, and their mean and variance over images and pixels.

    Args:
        seed_maps: Shape (N, S, H, W), float32, bfloat16 or float16; copied first unless in channels_last. At least a
            pixel.
        period: float32, shape (nl_groups, copies), as the NLF applies it (the gaussian's is scaled already).
        shift: Likewise.
        generated: Maps to generate, at most S copies.
        nlf: Any but ``legendre``.
        normalize: See :func:`groupnl.nn.normalize_maps`.

    Returns:
        The maps, shape (N, S + generated, H, W), in channels_last; their mean and their biased variance, float32, shape
        (S + generated,), both of the maps as rounded to the dtype of ``seed_maps``.

    Raises:
        ValueError: No pixels, another dtype, or too many seed maps or copies.
    """
    images, seeds, height, width = seed_maps.shape
    nl_groups, copies = period.shape
    pixels = images * height * width
    if seed_maps.dtype not in TRITON_DTYPES or nlf not in TRITON_NLFS:
        raise ValueError(
            f"dtype {seed_maps.dtype}, nlf={nlf!r}: expected float32, bfloat16 or float16, any NLF but legendre"
        )
    if pixels == 0 or seeds > MOST_SEEDS or copies > MOST_COPIES:
        raise ValueError(
            f"seed maps {tuple(seed_maps.shape)}, {copies} copies: expected a pixel or more, at most {MOST_SEEDS} seed "
            f"maps and {MOST_COPIES} copies; use expand_forward and torch.var_mean"
        )
    maps = seed_maps.contiguous(memory_format=torch.channels_last)
    channels = seeds + generated
    out = torch.empty(
        (images, channels, height, width), dtype=maps.dtype, device=maps.device, memory_format=torch.channels_last
    )
    block_s = triton.next_power_of_2(seeds)
    block_p = max(TILE // block_s, 2)
    programs = min(triton.cdiv(pixels, block_p), _programs(maps.device))
    partial = torch.empty((2, programs, channels), device=maps.device)
    count = torch.empty(programs, device=maps.device)
    mean, var = torch.empty((2, channels), device=maps.device)
    with torch.cuda.device_of(maps):  # type: ignore[no-untyped-call]
        expand_with_statistics_kernel[(programs,)](
            maps,
            out,
            period.contiguous(),
            shift.contiguous(),
            partial,
            count,
            pixels,
            programs,
            S=seeds,
            GENERATED=generated,
            GROUPS=nl_groups,
            COPIES=copies,
            NLF=nlf,
            NORMALIZE=normalize,
            BLOCK_P=block_p,
            BLOCK_S=block_s,
            num_warps=4 if copies == 1 else 8,  # for the registers
            enable_fp_fusion=True,
        )
        merge_kernel[(triton.cdiv(channels, MERGED_CHANNELS),)](
            partial,
            count,
            mean,
            var,
            programs,
            C=channels,
            BLOCK_R=MERGED_ROWS,
            BLOCK_C=MERGED_CHANNELS,
            num_warps=8,
            enable_fp_fusion=True,
        )
    return out, mean, var


def _programs(device: torch.device) -> int:
    if device.type != "cuda":  # in the interpreter: several, so that they are merged, each with several tiles
        return 3
    return PROGRAMS_PER_MULTIPROCESSOR * torch.cuda.get_device_properties(device).multi_processor_count
