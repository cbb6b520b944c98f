"""Tiles [pixels, channels] of feature maps in either memory format: how maps are cut into them, where they lie.

channels_last: the pixels of the whole batch form one row, and a pixel's channels lie beside each other. Contiguous:
one row of pixels for each image, and a channel's pixels lie beside each other. Places in memory are 64 bits wide.
"""

# mypy: allow-untyped-defs, allow-untyped-decorators, allow-incomplete-defs

import math
from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor

TILE = 2048  # elements, 16 for each thread of 4 warps
LARGEST_TILE = 4096  # elements, 16 for each thread of 8 warps: with more, registers run short
WIDEST = 2048  # channels of a tile in channels_last
SECTORS = 32  # pixels of a tile in contiguous maps: 64 bytes of memory at least


@dataclass(frozen=True)
class Tiling:
    """How maps are cut into tiles; a program takes whole pixels, in several tiles if their channels need them."""

    channels_last: bool
    rows: int
    units: int  # pixels of a row / align
    align: int  # the power of two, at most 16, known to divide the pixels of a row: how wide a memory access may be
    block_p: int
    block_s: int

    @classmethod
    def of(cls, maps: Tensor) -> "Tiling":
        """The tiling of maps of shape (N, C, H, W), dense in either memory format."""
        images, channels, height, width = maps.shape
        whole = triton.next_power_of_2(channels)
        if height * width == 1 or not maps.is_contiguous():  # a single pixel is the same in both, and faster here
            block_s = min(whole, WIDEST)
            block_p = max(TILE // block_s, 2)
            return cls(True, 1, images * height * width, 1, block_p, block_s)
        pixels = height * width
        block_p = min(triton.next_power_of_2(pixels), max(TILE // whole, SECTORS))
        block_s = whole if whole * block_p <= LARGEST_TILE else max(TILE // block_p, 1)
        align = math.gcd(pixels, 16)
        return cls(False, images, pixels // align, align, block_p, block_s)

    @property
    def programs(self) -> int:
        """How many programs cover all pixels."""
        return self.rows * -(-self.units * self.align // self.block_p)

    @property
    def warps(self) -> int:
        """Warps of a program."""
        return 8 if self.block_p * self.block_s > TILE else 4


def dense(maps: Tensor) -> Tensor:
    """The maps themselves if dense in either memory format, else a contiguous copy."""
    return maps if maps.is_contiguous(memory_format=torch.channels_last) else maps.contiguous()


def memory_format(maps: Tensor) -> torch.memory_format:
    """The format of dense maps; where both fit (one channel, one pixel), contiguous."""
    return torch.contiguous_format if maps.is_contiguous() else torch.channels_last


@triton.jit
def tile_start(pixels, CHANNELS_LAST: tl.constexpr, BLOCK_P: tl.constexpr):
    """This program's row, its first pixel in the row, and how many pixels the row has from there on."""
    program = tl.program_id(0).to(tl.int64)
    if CHANNELS_LAST:
        first = program * BLOCK_P
        return program * 0, first, pixels - first
    else:
        blocks = tl.cdiv(pixels, BLOCK_P)
        row = program // blocks
        first = (program - row * blocks) * BLOCK_P
        return row, first, pixels - first


@triton.jit
def maps_at(pointer, row, first, pixels, CHANNELS: tl.constexpr, CHANNELS_LAST: tl.constexpr):
    """Pointer to channel 0 of a program's first pixel, in maps of CHANNELS channels."""
    if CHANNELS_LAST:
        return pointer + first * CHANNELS
    else:
        return pointer + row * pixels * CHANNELS + first


@triton.jit
def offsets(p, channel, pixels, CHANNELS: tl.constexpr, CHANNELS_LAST: tl.constexpr):
    """Offsets from :func:`maps_at` of the tile of pixels p (from the first) and the given channels."""
    if CHANNELS_LAST:
        return p[:, None] * CHANNELS + channel[None, :]
    else:
        return channel[None, :].to(tl.int64) * pixels + p[:, None]


@triton.jit
def generated_channel(s, copy, S: tl.constexpr, GROUPS: tl.constexpr, COPIES: tl.constexpr):
    """Which of all maps is this copy of seed map s, and the group of s.

    Groups are of S // GROUPS seed maps, the first S % GROUPS of one more. Before the maps of the group that starts at
    seed map f lie all S seed maps and COPIES f generated ones; in the group, copy lies after copy.
    """
    size: tl.constexpr = S // GROUPS
    larger: tl.constexpr = S % GROUPS
    if larger == 0:  # apart from the general case, since from this form the compiler sees which maps lie side by side
        group = s // size
        return S + s + (COPIES - 1) * size * group + copy * size, group
    else:
        rest = s - larger * (size + 1)
        group = tl.where(rest < 0, s // (size + 1), larger + rest // (size if size > 0 else 1))
        first = group * size + tl.minimum(group, larger)
        return S + s + (COPIES - 1) * first + copy * tl.where(group < larger, size + 1, size), group
