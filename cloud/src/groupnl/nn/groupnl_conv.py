"""GroupNLConv2d: a drop-in for ``nn.Conv2d`` that computes some maps and generates the others."""

import hashlib
import math
from collections.abc import Callable, Mapping
from typing import Any, Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from groupnl.nn.expand import expand
from groupnl_device import nlf as seeded
from groupnl_device.nlf import NLF, NORMALIZES, Normalize, Range

_FINGERPRINT_BYTES = 16


class GroupNLConv2d(nn.Module):
    """A small seed convolution makes ``S = ceil(out_channels / reduction)`` maps, fixed functions of them the rest.

    Input (N, C_in, H, W), output (N, C_out, H', W') with H', W' as in ``nn.Conv2d``. Source: Ding et al., GroupNL,
    arXiv 2506.12335:

    1. ``y = Conv2d(C_in, S, ...)(x)``
    2. ``y = y / max(|y|_2, 1e-12)`` per pixel (``normalize``; the output holds the normalised y)
    3. the S maps are split into ``nl_groups`` groups of near-equal size, the first ones larger
    4. copy j of group i goes through ``sin(period[i, j] (y - shift[i, j]))`` (or another ``nlf``)
    5. ``[y, generated]`` along channels

    At ``reduction=1`` it is a plain convolution.

    The pairs (period, shift) are no parameters and no buffers: they follow from ``seed`` and ``key`` alone. They stay
    float32 whatever happens to the weights, move with the module, and the state dict carries a 16-byte fingerprint of
    them, so that weights cannot be loaded into a layer with other pairs unnoticed.

    Args:
        in_channels: C_in.
        out_channels: C_out.
        kernel_size: As in ``nn.Conv2d``, like the next six.
        stride: Of the seed convolution.
        padding: Integer(s), ``"same"`` or ``"valid"``.
        dilation: Of the seed convolution.
        groups: Of the seed convolution; must divide C_in and S.
        bias: Whether the seed convolution has one.
        padding_mode: ``zeros``, ``reflect``, ``replicate`` or ``circular``.
        device: Where the weights are made.
        dtype: Of the weights.
        reduction: r, an integer of at least 1.
        nl_groups: g, from 1 to S.
        sparse: Group the seed convolution by gcd(C_in, S); not together with ``groups``.
        nlf: ``sine``, ``gaussian``, ``monomial``, ``legendre`` or ``identity``.
        period_range: Where ``period`` is drawn from; None: the NLF's own, (1, 2) for the sine.
        shift_range: Where ``shift`` is drawn from; None: the NLF's own, (1, 5) for the sine.
        normalize: ``l2``, ``rms`` or ``none``.
        seed: Any integer.
        key: The layer's qualified name. Two layers of the same seed and key have the same pairs.

    Attributes:
        seed_conv: The ``nn.Conv2d`` of step 1.
        period: float32, shape (nl_groups, copies), a plain tensor. As drawn: what the gaussian makes of it after ``l2``
            is said at ``groupnl_device.nlf.argument_scale``.
        shift: float32, shape (nl_groups, copies).
        seed_channels: S.
        copies: ceil((C_out - S) / S).

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
        padding_mode: Literal["zeros", "reflect", "replicate", "circular"] = "zeros",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        reduction: int = 2,
        nl_groups: int = 4,
        sparse: bool = False,
        nlf: NLF = "sine",
        period_range: Range | None = None,
        shift_range: Range | None = None,
        normalize: Normalize = "l2",
        seed: int = 0,
        key: str = "",
    ) -> None:
        super().__init__()
        for name, value in (("in_channels", in_channels), ("out_channels", out_channels), ("reduction", reduction)):
            _require_positive(name, value)
        _require_positive("nl_groups", nl_groups)
        _require_positive("groups", groups)
        if isinstance(seed, bool) or not isinstance(seed, int):
            raise ValueError(f"seed={seed!r}: expected an integer")
        if normalize not in NORMALIZES:
            raise ValueError(f"normalize={normalize!r}: expected one of {', '.join(NORMALIZES)}")
        seed_channels = seeded.seed_channels(out_channels, reduction)
        if nl_groups > seed_channels and reduction > 1:
            raise ValueError(
                f"nl_groups={nl_groups}: expected 1 to {seed_channels}, the number of seed maps of "
                f"out_channels={out_channels} at reduction={reduction}"
            )
        if sparse:
            if groups != 1:
                raise ValueError(
                    f"groups={groups} with sparse=True: sparse sets groups to gcd(in_channels, seed_channels) = "
                    f"{math.gcd(in_channels, seed_channels)} itself; give one of the two"
                )
            groups = math.gcd(in_channels, seed_channels)
        if in_channels % groups or seed_channels % groups:
            raise ValueError(
                f"groups={groups}: must divide in_channels={in_channels} and the {seed_channels} seed maps; allowed: "
                f"{_divisors(math.gcd(in_channels, seed_channels))}"
            )

        self.in_channels, self.out_channels, self.seed_channels = in_channels, out_channels, seed_channels
        self.reduction, self.nl_groups, self.sparse = reduction, nl_groups, sparse
        self.copies = seeded.copies(out_channels, seed_channels)
        self.nlf, self.normalize, self.seed, self.key = nlf, normalize, seed, key
        self.period_range, self.shift_range = seeded.resolve_ranges(nlf, period_range, shift_range)
        self.seed_conv = nn.Conv2d(
            in_channels,
            seed_channels,
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
        self._rebuild_pairs(self.seed_conv.weight.device)
        # weights assigned to a net made on meta bring a device; torch leaves the method untyped
        self.register_load_state_dict_post_hook(_place_pairs)  # type: ignore[no-untyped-call]

    def forward(self, x: Tensor) -> Tensor:
        """(N, C_in, H, W) to (N, C_out, H', W'), in the dtype of the seed convolution's result."""
        seed_maps = self.seed_conv(x)
        if self.copies == 0:
            return cast(Tensor, seed_maps)
        return expand(
            seed_maps, self.period, self.shift, self._source, self._pair, nlf=self.nlf, normalize=self.normalize
        )

    def extra_repr(self) -> str:
        """The options that ``seed_conv`` does not show."""
        shown = f"{self.in_channels}, {self.out_channels}, reduction={self.reduction}, nl_groups={self.nl_groups}"
        return shown + (
            f"{', sparse=True' if self.sparse else ''}, nlf={self.nlf!r}, normalize={self.normalize!r}, "
            f"seed={self.seed}, key={self.key!r}"
        )

    def _draw_pairs(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        return seeded.draw_pairs(
            nlf=self.nlf,
            nl_groups=self.nl_groups,
            copies=self.copies,
            seed=self.seed,
            key=self.key,
            period_range=self.period_range,
            shift_range=self.shift_range,
        )

    def _rebuild_pairs(self, device: torch.device) -> None:
        period, shift = self._draw_pairs()
        source, pair = seeded.channel_map(
            seed_channels=self.seed_channels,
            out_channels=self.out_channels,
            nl_groups=self.nl_groups,
            copies=self.copies,
        )
        self.period, self.shift, self._source, self._pair = (
            torch.from_numpy(array).to(device) for array in (period, shift, source, pair)
        )

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "GroupNLConv2d":
        # .to(), .cuda(), .half(), to_empty() all come through here. The pairs follow the weights' device and nothing
        # else: fn itself may cast them or leave them uninitialised.
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]  # torch leaves it untyped
        _place_pairs(self)
        return self

    def fingerprint(self) -> bytes:
        """16 bytes that differ when anything differs that the weights do not show: function, norm, layout or pairs."""
        digest = hashlib.sha256(
            f"{self.nlf},{self.normalize},{self.out_channels},{self.nl_groups},{self.copies}".encode()
        )
        on_meta = self.period.is_meta  # no values there: what the seed will give
        pairs = self._draw_pairs() if on_meta else (self.period.cpu().numpy(), self.shift.cpu().numpy())
        for values in pairs:
            digest.update(values.astype("<f4", copy=False).tobytes())
        return digest.digest()[:_FINGERPRINT_BYTES]

    def get_extra_state(self) -> Tensor:
        """The fingerprint as a uint8 tensor of shape (16,), for the state dict."""
        return torch.from_numpy(np.frombuffer(self.fingerprint(), dtype=np.uint8).copy())

    def set_extra_state(self, state: Any) -> None:
        """Compare a stored fingerprint with this layer's.

        Raises:
            ValueError: They differ.
        """
        if isinstance(state, Tensor) and state.is_meta:
            return  # shapes only: nothing to compare
        stored = bytes(state.detach().cpu().numpy().tobytes()) if isinstance(state, Tensor) else b""
        if stored != self.fingerprint():
            raise ValueError(
                f"layer {self.key!r}: the weights were made with other hyperparameters than this layer has "
                f"(nlf={self.nlf!r}, normalize={self.normalize!r}, nl_groups={self.nl_groups}, seed={self.seed}, "
                f"key={self.key!r}, period_range={self.period_range}, shift_range={self.shift_range}); build the net "
                "with those of the weights, or load the checkpoint with groupnl.load()"
            )

    def _load_from_state_dict(
        self,
        state_dict: Mapping[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        # Mismatches are collected like torch's own, so that load_state_dict reports every layer, with strict=False too.
        try:
            super()._load_from_state_dict(
                state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
            )
        except ValueError as error:
            error_msgs.append(str(error))


def _place_pairs(layer: GroupNLConv2d, *_: object) -> None:
    device = layer.seed_conv.weight.device
    if layer.period.device == device:
        return
    if layer.period.is_meta:
        layer._rebuild_pairs(device)
        return
    layer.period, layer.shift, layer._source, layer._pair = (
        tensor.to(device) for tensor in (layer.period, layer.shift, layer._source, layer._pair)
    )


def _require_positive(name: str, value: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{name}={value!r}: expected an integer of at least 1")


def _divisors(number: int) -> str:
    return ", ".join(str(d) for d in range(1, number + 1) if number % d == 0)
