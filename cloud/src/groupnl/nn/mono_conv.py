"""MonoConv2d: the baseline that generates filters instead of maps, by fixed monomials of a few learned ones."""

import math
from typing import Any, cast

import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from groupnl.nn.arguments import PaddingMode, require_integer, require_seed
from groupnl.nn.seeded import SeededLayer
from groupnl_device.nlf import Range, uniform
from groupnl_device.nlf import copies as copies_of
from groupnl_device.nlf import seed_channels as seed_channels_of

_STANDARDIZATION_EPS = 1e-5  # added to the standard deviation, as Qiao et al. do


class MonoConv2d(SeededLayer):
    """``S = ceil(out_channels / reduction)`` filters are learned, the others are fixed monomials of them.

    Input (N, C_in, H, W), output (N, C_out, H', W') with H', W' as in ``nn.Conv2d``. Source: Ding, Lu et al., MonoCNN,
    TMC 2022: copy j of the learned filters w is ``sign(w) |w|^e`` with one fixed random exponent e per output and input
    channel; all C_out filters are then standardised (zero mean, unit standard deviation per filter; Qiao et al., arXiv
    1903.10520) and used in one full convolution. It saves parameters, not arithmetic.

    The exponents are no parameters and no buffers; see :class:`groupnl.nn.seeded.SeededLayer`.

    Args:
        in_channels: C_in.
        out_channels: C_out.
        kernel_size: As in ``nn.Conv2d``, like the next eight.
        stride: Of the convolution.
        padding: Of the convolution.
        dilation: Of the convolution.
        groups: Of the convolution; must divide C_in and C_out.
        bias: Whether it has one, of C_out values.
        padding_mode: Of the convolution.
        device: Where the weights are made.
        dtype: Of the weights.
        reduction: f, an integer of at least 2: one of f filters is learned.
        exponent_range: Where the exponents are drawn from; at least 1, since below the slope at 0 is infinite.
        seed: Any integer.
        key: The layer's qualified name.

    Attributes:
        conv: An ``nn.Conv2d`` whose weight holds the S learned filters.
        bias: Of all C_out filters, or None.
        exponent: float32, shape (C_out - S, C_in / groups, 1, 1), a plain tensor.

    Raises:
        ValueError: An argument is out of its range; the message says what is allowed.
        RuntimeError: From ``load_state_dict``: the weights were trained with other exponents.
    """

    exponent: Tensor

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
        exponent_range: Range = (1.0, 7.0),
        seed: int = 0,
        key: str = "",
    ) -> None:
        super().__init__()
        require_integer("in_channels", in_channels)
        require_integer("out_channels", out_channels)
        require_integer("groups", groups)
        require_integer("reduction", reduction, least=2)
        require_seed(seed)
        if in_channels % groups or out_channels % groups:
            raise ValueError(f"groups={groups}: must divide in_channels={in_channels} and out_channels={out_channels}")
        low, high = exponent_range
        if not (math.isfinite(high) and 1 <= low <= high):
            raise ValueError(f"exponent_range={exponent_range!r}: expected (low, high), finite, with 1 <= low <= high")
        self.in_channels, self.out_channels, self.reduction = in_channels, out_channels, reduction
        self.seed_channels = seed_channels_of(out_channels, reduction)
        self.copies = copies_of(out_channels, self.seed_channels)
        self.exponent_range, self.seed, self.key, self.groups = (float(low), float(high)), seed, key, groups
        # groups act on the full set of filters: the learned ones are held apart from the convolution's own bookkeeping
        self.conv = nn.Conv2d(
            in_channels // groups,
            self.seed_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            1,
            False,
            padding_mode,
            device,
            dtype,
        )
        self.bias = nn.Parameter(torch.empty(out_channels, device=device, dtype=dtype)) if bias else None
        if self.bias is not None:
            bound = 1 / math.sqrt(self.conv.weight[0].numel())  # as nn.Conv2d draws it
            nn.init.uniform_(self.bias, -bound, bound)
        if self.conv.weight[0].numel() < 2:
            raise ValueError(
                f"in_channels={in_channels}, groups={groups}, kernel_size={kernel_size}: a filter of one value cannot "
                "be standardised; expected at least two"
            )
        self._attach_constants()

    def forward(self, x: Tensor) -> Tensor:
        """(N, C_in, H, W) to (N, C_out, H', W')."""
        conv, weight = self.conv, self.filters()
        padding: Any = conv.padding
        if conv.padding_mode != "zeros":
            x = F.pad(x, conv._reversed_padding_repeated_twice, mode=conv.padding_mode)
            padding = 0
        stride, dilation = cast(Any, conv.stride), cast(Any, conv.dilation)
        return F.conv2d(x, weight, self.bias, stride, padding, dilation, self.groups)

    def filters(self) -> Tensor:
        """All standardised filters, shape (C_out, C_in / groups, kH, kW)."""
        learned = self.conv.weight
        base = learned.repeat(self.copies, 1, 1, 1)[: self.out_channels - self.seed_channels]
        generated = base.sign() * base.abs().pow(self.exponent)
        weight = torch.cat([learned, generated.to(learned.dtype)])
        centred = weight - weight.mean(dim=(1, 2, 3), keepdim=True)
        return centred / (weight.std(dim=(1, 2, 3), keepdim=True) + _STANDARDIZATION_EPS)

    def as_conv2d(self) -> nn.Conv2d:
        """A plain convolution with today's filters, in the layer's mode: for inference, they need not be made anew."""
        conv, weight = self.conv, self.filters().detach()
        plain = nn.Conv2d(
            self.in_channels,
            self.out_channels,
            cast(Any, conv.kernel_size),
            cast(Any, conv.stride),
            cast(Any, conv.padding),
            cast(Any, conv.dilation),
            self.groups,
            self.bias is not None,
            conv.padding_mode,
            weight.device,
            weight.dtype,
        )
        with torch.no_grad():
            plain.weight.copy_(weight)
            if plain.bias is not None and self.bias is not None:
                plain.bias.copy_(self.bias)
        return plain.train(self.training)

    def extra_repr(self) -> str:
        """The options that the parts do not show."""
        return (
            f"{self.in_channels}, {self.out_channels}, reduction={self.reduction}, groups={self.groups}, "
            f"seed={self.seed}, key={self.key!r}"
        )

    def _draw_constants(self) -> dict[str, NDArray[Any]]:
        shape = (self.out_channels - self.seed_channels, self.in_channels // self.groups, 1, 1)
        return {"exponent": uniform(self.seed, self.key, "exponent", shape, *self.exponent_range)}

    def _home(self) -> Tensor:
        return self.conv.weight

    def configuration(self) -> dict[str, Any]:
        """See :meth:`groupnl.nn.seeded.SeededLayer.configuration`."""
        names = ("out_channels", "reduction", "groups", "seed", "key", "exponent_range")
        return {"layer": "mono", **{name: getattr(self, name) for name in names}}
