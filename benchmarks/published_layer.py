"""The published arithmetic of a GroupNL layer, step by step as METHOD's formula has it: the peer of ours."""

import torch
from torch import Tensor, nn

from groupnl.nn import GroupNLConv2d


class PublishedLayer(nn.Module):
    """Normalise, split, repeat, sine, concatenate: each a tensor operation on whole maps.

    Args:
        layer: Where the seed convolution and the pairs come from; its sparse convolution becomes the library's.
    """

    def __init__(self, layer: GroupNLConv2d) -> None:
        super().__init__()
        held = layer.seed_conv
        self.seed_conv = nn.Conv2d(
            held.in_channels,
            held.out_channels,
            held.kernel_size,  # type: ignore[arg-type]
            held.stride,  # type: ignore[arg-type]
            held.padding,  # type: ignore[arg-type]
            held.dilation,  # type: ignore[arg-type]
            held.groups,
            held.bias is not None,
        )
        self.seed_conv.load_state_dict(held.state_dict())
        self.out_channels, self.copies = layer.out_channels, layer.copies
        sizes = [len(part) for part in torch.arange(layer.seed_channels).tensor_split(layer.nl_groups)]
        self.sizes = sizes
        self.register_buffer("period", torch.cat(self._wide(layer.period, sizes)), persistent=False)
        self.register_buffer("shift", torch.cat(self._wide(layer.shift, sizes)), persistent=False)

    @staticmethod
    def _wide(values: Tensor, sizes: list[int]) -> list[Tensor]:
        return [row.repeat_interleave(size).reshape(-1, 1, 1) for row, size in zip(values, sizes, strict=True)]

    def forward(self, x: Tensor) -> Tensor:
        """(N, C_in, H, W) to (N, C_out, H', W')."""
        y = self.seed_conv(x)
        y = y / torch.linalg.vector_norm(y, dim=1, keepdim=True).clamp_min(1e-12).expand_as(y)
        repeated = torch.cat([group.repeat(1, self.copies, 1, 1) for group in torch.split(y, self.sizes, dim=1)], dim=1)
        generated = torch.sin(self.get_buffer("period") * (repeated - self.get_buffer("shift")))
        return torch.cat([y, generated], dim=1)[:, : self.out_channels]
