"""SineFMConv2d: the baseline that mixes several batch-normalised sinusoids of each seed map."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from groupnl.nn.arguments import PaddingMode, require_groups, require_integer, require_seed
from groupnl.nn.seeded import SeededLayer
from groupnl_device.nlf import Range, resolve_ranges, uniform
from groupnl_device.nlf import seed_channels as seed_channels_of


class SineFMConv2d(SeededLayer):
    """A seed convolution makes ``S = ceil(out_channels / reduction)`` maps, sinusoids and a grouped 1x1 the rest.

    Input (N, C_in, H, W), output (N, C_out, H', W') with H', W' as in ``nn.Conv2d``. Source: Lu, Ding et al., SineFM,
    ICWS 2023:

    1. ``y = Conv2d(C_in, S, ...)(x)``
    2. for each of t sinusoids ``BatchNorm(sin(period[k] (y - shift[k])))``
    3. interleaved, so that the t versions of each seed map lie together: (N, S t, H', W')
    4. a 1x1 convolution with S groups makes ``S (reduction - 1)`` maps of them
    5. ``[y, those]`` along channels, cut to C_out

    The pairs are no parameters and no buffers; see :class:`groupnl.nn.seeded.SeededLayer`.

    Args:
        in_channels: C_in.
        out_channels: C_out.
        kernel_size: Of the seed convolution, as in ``nn.Conv2d``, like the next eight.
        stride: Of the seed convolution.
        padding: Of the seed convolution.
        dilation: Of the seed convolution.
        groups: Of the seed convolution; must divide C_in and S.
        bias: Whether the seed convolution has one.
        padding_mode: Of the seed convolution.
        device: Where the weights are made.
        dtype: Of the weights.
        reduction: Ratio r, an integer of at least 2.
        sinusoids: t, at least 1.
        period_range: Where ``period`` is drawn from.
        shift_range: Where ``shift`` is drawn from.
        seed: Any integer.
        key: The layer's qualified name.

    Attributes:
        period: float32, shape (t,), a plain tensor.
        shift: float32, shape (t,).

    Raises:
        ValueError: An argument is out of its range; the message says what is allowed.
        RuntimeError: From ``load_state_dict``: the weights were trained with other pairs.
    """

    period: Tensor
    shift: Tensor

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
        sinusoids: int = 2,
        period_range: Range | None = None,
        shift_range: Range | None = None,
        seed: int = 0,
        key: str = "",
    ) -> None:
        super().__init__()
        require_integer("in_channels", in_channels)
        require_integer("out_channels", out_channels)
        require_integer("reduction", reduction, least=2)
        require_integer("sinusoids", sinusoids)
        require_seed(seed)
        self.in_channels, self.out_channels, self.reduction = in_channels, out_channels, reduction
        self.seed_channels = seed_channels_of(out_channels, reduction)
        require_groups(groups, in_channels, self.seed_channels)
        self.sinusoids, self.seed, self.key = sinusoids, seed, key
        self.period_range, self.shift_range = resolve_ranges("sine", period_range, shift_range)
        self.seed_conv = nn.Conv2d(
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
        )
        self.norms = nn.ModuleList(
            nn.BatchNorm2d(self.seed_channels, device=device, dtype=dtype) for _ in range(sinusoids)
        )
        self.mix = nn.Conv2d(
            self.seed_channels * sinusoids,
            self.seed_channels * (reduction - 1),
            1,
            groups=self.seed_channels,
            bias=False,
            device=device,
            dtype=dtype,
        )
        self._attach_constants()

    def forward(self, x: Tensor) -> Tensor:
        """(N, C_in, H, W) to (N, C_out, H', W')."""
        seed_maps = self.seed_conv(x)
        waves = [
            norm(torch.sin(self.period[k] * (seed_maps - self.shift[k])).to(seed_maps.dtype))
            for k, norm in enumerate(self.norms)
        ]
        interleaved = torch.stack(waves, dim=2).flatten(1, 2)
        return torch.cat([seed_maps, self.mix(interleaved)], dim=1)[:, : self.out_channels]

    def extra_repr(self) -> str:
        """The options that the parts do not show."""
        return (
            f"{self.in_channels}, {self.out_channels}, reduction={self.reduction}, sinusoids={self.sinusoids}, "
            f"seed={self.seed}, key={self.key!r}"
        )

    def _draw_constants(self) -> dict[str, NDArray[Any]]:
        ranges = {"period": self.period_range, "shift": self.shift_range}
        drawn: dict[str, NDArray[Any]] = {}
        for name, bounds in ranges.items():
            low, high = bounds or (0.0, 0.0)  # the sine draws both, so neither is None
            drawn[name] = uniform(self.seed, self.key, name, (self.sinusoids,), low, high).astype(np.float32)
        return drawn

    def _home(self) -> Tensor:
        return self.seed_conv.weight

    def configuration(self) -> dict[str, Any]:
        """See :meth:`groupnl.nn.seeded.SeededLayer.configuration`."""
        names = ("out_channels", "reduction", "sinusoids", "seed", "key", "period_range", "shift_range")
        return {"layer": "sinefm", **{name: getattr(self, name) for name in names}}
