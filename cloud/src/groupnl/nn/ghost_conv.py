"""GhostConv2d: the baseline that makes its cheap maps with a depthwise convolution."""

import torch
from torch import Tensor, nn

from groupnl.nn.arguments import PaddingMode, require_groups, require_integer
from groupnl_device.nlf import seed_channels as seed_channels_of


class GhostConv2d(nn.Module):
    """A primary convolution makes ``S = ceil(out_channels / reduction)`` maps, a depthwise one of them the rest.

    Input (N, C_in, H, W), output (N, C_out, H', W') with H', W' as in ``nn.Conv2d``. Source: Han et al., GhostNet, CVPR
    2020 (arXiv 1911.11907), section 3.1; each of the two convolutions is followed by a batch norm and, with
    ``activation``, a ReLU; both results are concatenated and cut to ``out_channels``. The names of its parts are
    those of timm's ``GhostModule``, whose weights it loads.

    Args:
        in_channels: C_in.
        out_channels: C_out.
        kernel_size: Of the primary convolution, as in ``nn.Conv2d``, like the next seven.
        stride: Of the primary convolution.
        padding: Of the primary convolution.
        dilation: Of the primary convolution.
        groups: Of the primary convolution; must divide C_in and S.
        bias: Whether the primary convolution has one; the batch norm after it has one anyway.
        padding_mode: Of the primary convolution.
        device: Where the weights are made.
        dtype: Of the weights.
        reduction: Ratio r, an integer of at least 2.
        cheap_kernel_size: d, an odd integer: the depthwise kernel is d x d.
        activation: Whether a ReLU follows each inner batch norm, as in a conv-bn-relu slot.

    Raises:
        ValueError: An argument is out of its range; the message says what is allowed.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] | str = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: PaddingMode = "zeros",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        reduction: int = 2,
        cheap_kernel_size: int = 3,
        activation: bool = True,
    ) -> None:
        super().__init__()
        require_integer("in_channels", in_channels)
        require_integer("out_channels", out_channels)
        require_integer("reduction", reduction, least=2)
        require_integer("cheap_kernel_size", cheap_kernel_size)
        if cheap_kernel_size % 2 == 0:
            raise ValueError(
                f"cheap_kernel_size={cheap_kernel_size}: expected an odd integer, so that maps keep their size"
            )
        self.in_channels, self.out_channels, self.reduction = in_channels, out_channels, reduction
        self.seed_channels = seed_channels_of(out_channels, reduction)
        require_groups(groups, in_channels, self.seed_channels)
        cheap_channels = self.seed_channels * (reduction - 1)
        self.primary_conv = nn.Sequential(
            nn.Conv2d(
                in_channels,
                self.seed_channels,
                kernel_size,
                stride,
                padding,
                dilation,
                groups,
                bias,
                padding_mode,
                device,
                dtype,
            ),
            nn.BatchNorm2d(self.seed_channels, device=device, dtype=dtype),
            nn.ReLU(inplace=True) if activation else nn.Identity(),
        )
        self.cheap_operation = nn.Sequential(
            nn.Conv2d(
                self.seed_channels,
                cheap_channels,
                cheap_kernel_size,
                padding=cheap_kernel_size // 2,
                groups=self.seed_channels,
                bias=False,
                device=device,
                dtype=dtype,
            ),
            nn.BatchNorm2d(cheap_channels, device=device, dtype=dtype),
            nn.ReLU(inplace=True) if activation else nn.Identity(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C_in, H, W) to (N, C_out, H', W')."""
        seed_maps = self.primary_conv(x)
        return torch.cat([seed_maps, self.cheap_operation(seed_maps)], dim=1)[:, : self.out_channels]

    def extra_repr(self) -> str:
        """The options that the parts do not show."""
        return f"{self.in_channels}, {self.out_channels}, reduction={self.reduction}"
