"""HadamardMix: every channel into every other, by additions alone."""

import torch
from torch import Tensor, nn

from groupnl.nn.arguments import require_integer


class HadamardMix(nn.Module):
    """An orthonormal Walsh-Hadamard transform of the channels: no parameters, no multiply-adds.

    Input and output (N, C, H, W). The channels are taken in C / b blocks of b, the largest power of two that divides C:
    ``out[s C / b + q] = sum_p H_b[s, p] x[q b + p] / sqrt(b)``, ``H_1 = 1, H_2b = [[H_b, H_b], [H_b, -H_b]]``
    (Sylvester's matrix). It takes log2(b) rounds of additions and subtractions of neighbours, each of which leaves the
    sums in front and the differences behind (Pease, Journal of the ACM 15, 1968: constant geometry), and one scaling. A
    following convolution that sees few channels thereby hears of all channels of the block.

    Args:
        channels: C, even.

    Raises:
        ValueError: C is odd: there is nothing to mix.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        require_integer("channels", channels, least=2)
        self.channels = channels
        self.block = channels & -channels
        if self.block == 1:
            raise ValueError(f"channels={channels}: expected an even number, a Hadamard transform works on pairs")

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, H, W)."""
        for _ in range(self.block.bit_length() - 1):
            even, odd = x[:, 0::2], x[:, 1::2]
            x = torch.cat([even + odd, even - odd], dim=1)
        mixed: Tensor = x * self.block**-0.5
        return mixed

    def extra_repr(self) -> str:
        """The channels and how many of them are mixed together."""
        return f"{self.channels}, block={self.block}"
