"""GroupNLConv2d: a drop-in for ``nn.Conv2d`` that computes some maps and generates the others."""

import math
from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from groupnl.nn.arguments import PaddingMode, require_groups, require_integer, require_seed
from groupnl.nn.backend import get_backend
from groupnl.nn.composite import scaled_pairs
from groupnl.nn.expand import expand
from groupnl.nn.seeded import SeededLayer
from groupnl.nn.sparse_conv import SparseConv2d
from groupnl_device import nlf as seeded
from groupnl_device.nlf import NLF, NORMALIZES, PIXEL_NORMS, Normalize, PixelNorm, Range

torch.fx.wrap("expand")  # one node for torch.fx, which cannot follow its choices


class GroupNLConv2d(SeededLayer):
    """A small seed convolution makes ``S = ceil(out_channels / reduction)`` maps, fixed functions of them the rest.

    Input (N, C_in, H, W), output (N, C_out, H', W') with H', W' as in ``nn.Conv2d``. Source: Ding et al., GroupNL,
    arXiv 2506.12335:

    1. ``y = Conv2d(C_in, S, ...)(x)``
    2. ``y = y / max(|y|_2, 1e-12)`` per pixel (``normalize``; the output holds the normalised y). Two bounds know each
       channel alone, for int8 (docs/int8.md): ``batch``, a batch norm divided by sqrt(S), and ``clamp``, to [-1, 1]
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
        normalize: ``l2``, ``rms``, ``none``, ``batch`` or ``clamp``.
        seed: Any integer.
        key: The layer's qualified name. Two layers of the same seed and key have the same pairs.

    Attributes:
        seed_conv: The ``nn.Conv2d`` of step 1.
        seed_norm: The batch norm of ``normalize="batch"``, without parameters; else None.
        seed_scale: What its result is multiplied by: 1/sqrt(S), so that a pixel's channels are about as large as the L2
            norm makes them.
        period: float32, shape (nl_groups, copies), a plain tensor. As drawn: what the gaussian makes of it after ``l2``
            is said at ``groupnl_device.nlf.argument_scale``.
        shift: float32, shape (nl_groups, copies).
        seed_channels: S.
        copies: ceil((C_out - S) / S).

    Raises:
        ValueError: An argument is out of its range; the message says what is allowed.
        RuntimeError: From ``load_state_dict``: the weights were trained with other pairs.
    """

    seed_norm: nn.Module | None
    period: Tensor
    shift: Tensor
    _source: Tensor
    _pair: Tensor

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
            require_integer(name, value)
        require_integer("nl_groups", nl_groups)
        require_seed(seed)
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
        require_groups(groups, in_channels, seed_channels)

        self.in_channels, self.out_channels, self.seed_channels = in_channels, out_channels, seed_channels
        self.reduction, self.nl_groups, self.sparse = reduction, nl_groups, sparse
        self.copies = seeded.copies(out_channels, seed_channels)
        self.nlf, self.normalize, self.seed, self.key = nlf, normalize, seed, key
        self.period_range, self.shift_range = seeded.resolve_ranges(nlf, period_range, shift_range)
        one_output_a_group = groups == seed_channels and groups < in_channels
        self.seed_conv = (SparseConv2d if one_output_a_group else nn.Conv2d)(
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
        # without weights: the convolution before it, and what follows the layer, have them
        has_norm = normalize == "batch" and self.copies > 0
        self.seed_scale = seed_channels**-0.5
        self.seed_norm = nn.BatchNorm2d(seed_channels, affine=False, device=device, dtype=dtype) if has_norm else None
        self._explicit: dict[str, NDArray[np.float32]] | None = None
        self._attach_constants()
        get_backend()  # a GROUPNL_BACKEND that cannot be is refused when a net is built, not when it runs

    def forward(self, x: Tensor) -> Tensor:
        """(N, C_in, H, W) to (N, C_out, H', W'), in the dtype of the seed convolution's result."""
        seed_maps: Tensor = self.seed_conv(x)
        return seed_maps if self.copies == 0 else self.expanded(seed_maps)

    def expanded(self, seed_maps: Tensor) -> Tensor:
        """Steps 2 to 5: (N, S, H', W') to (N, C_out, H', W')."""
        period, shift = self.period, self.shift
        if self.normalize not in PIXEL_NORMS:  # expand knows no such bound, nor the scale of what comes out of it
            period, shift = scaled_pairs(
                period, shift, nlf=self.nlf, normalize=self.normalize, seed_channels=self.seed_channels
            )
        y = self.bounded(seed_maps)
        return expand(y, period, shift, self._source, self._pair, nlf=self.nlf, normalize=self.pixel_norm)

    def bounded(self, seed_maps: Tensor) -> Tensor:
        """Step 2 as far as each channel has it of its own (``batch``, ``clamp``): (N, S, H', W') to the same."""
        if self.seed_norm is not None:
            y: Tensor = self.seed_norm(seed_maps)
            return y if self.seed_scale == 1 else y * self.seed_scale
        return seed_maps.clamp(-1, 1) if self.normalize == "clamp" else seed_maps

    @property
    def pixel_norm(self) -> PixelNorm:
        """What is left of step 2 after :meth:`bounded`: the norm of each pixel's channels, or ``none``."""
        return next((norm for norm in PIXEL_NORMS if norm == self.normalize), "none")

    def extra_repr(self) -> str:
        """The options that ``seed_conv`` does not show."""
        shown = f"{self.in_channels}, {self.out_channels}, reduction={self.reduction}, nl_groups={self.nl_groups}"
        return shown + (
            f"{', sparse=True' if self.sparse else ''}, nlf={self.nlf!r}, normalize={self.normalize!r}, "
            f"seed={self.seed}, key={self.key!r}"
        )

    @property
    def explicit(self) -> bool:
        """Whether the pairs were given by :meth:`set_pairs_` instead of drawn from the seed."""
        return self._explicit is not None

    def seeded_pairs(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """What the seed and the key give: (period, shift), each of shape (nl_groups, copies)."""
        return seeded.draw_pairs(
            nlf=self.nlf,
            nl_groups=self.nl_groups,
            copies=self.copies,
            seed=self.seed,
            key=self.key,
            period_range=self.period_range,
            shift_range=self.shift_range,
        )

    def set_pairs_(self, period: Tensor, shift: Tensor) -> None:
        """Use these pairs instead of the seeded ones: loaded from elsewhere, or designed.

        They are no parameters either, but nothing can draw them again: from now on the state dict holds them.

        Args:
            period: Shape (nl_groups, copies), finite.
            shift: Shape (nl_groups, copies), finite.

        Raises:
            ValueError: Another shape, or a value that is not finite.
        """
        given: dict[str, NDArray[np.float32]] = {}
        for name, values in (("period", period), ("shift", shift)):
            if tuple(values.shape) != (self.nl_groups, self.copies) or not bool(torch.isfinite(values).all()):
                raise ValueError(
                    f"{name} of shape {tuple(values.shape)}: expected finite values of shape ({self.nl_groups}, "
                    f"{self.copies}), one per group and copy"
                )
            given[name] = values.detach().to("cpu", torch.float32, copy=True).numpy()
        self._explicit = given
        self._rebuild_constants(self._home().device)

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if self._explicit is not None:
            destination[prefix + "period"], destination[prefix + "shift"] = self.period, self.shift

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
        pairs = [state_dict.get(prefix + name) for name in ("period", "shift")]
        if all(isinstance(values, Tensor) for values in pairs):
            state_dict = {k: v for k, v in state_dict.items() if k not in (prefix + "period", prefix + "shift")}
            period, shift = cast(list[Tensor], pairs)
            if not (period.is_meta or shift.is_meta):  # there: shapes only, nothing to take over
                try:
                    self.set_pairs_(period, shift)
                except ValueError as error:
                    error_msgs.append(f"layer {self.key!r}: {error}")
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )

    def _draw_constants(self) -> dict[str, NDArray[Any]]:
        if self._explicit is not None:
            period, shift = self._explicit["period"], self._explicit["shift"]
        else:
            period, shift = self.seeded_pairs()
        source, pair = seeded.channel_map(
            seed_channels=self.seed_channels,
            out_channels=self.out_channels,
            nl_groups=self.nl_groups,
            copies=self.copies,
        )
        return {"period": period, "shift": shift, "_source": source, "_pair": pair}

    def _home(self) -> Tensor:
        return self.seed_conv.weight

    def configuration(self) -> dict[str, Any]:
        """See :meth:`groupnl.nn.seeded.SeededLayer.configuration`."""
        names = ("nlf", "normalize", "out_channels", "nl_groups", "seed", "key", "period_range", "shift_range")
        return {**{name: getattr(self, name) for name in names}, "explicit": self.explicit}
