"""What the int8 operators should give, from the float formulas of ``reference`` in float64: channels last, uint8."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import reference
from numpy.typing import NDArray

ROUNDING = 1e-6  # what the README promises of a value before it is rounded, relative to the terms it is made of

Array = NDArray[np.float64]
Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Expected:
    """Outputs before rounding, N C H W, in steps of the output from its zero point, and how far off they may be."""

    steps: Array
    slack: Array
    zero_point: int

    def assert_holds(self, found: Bytes) -> None:
        """Each byte, (N, H, W, C), is that of the exact value, or of one as near to it as promised."""
        assert found.dtype == np.uint8
        low, high = (self._bytes(self.steps + slack).transpose(0, 2, 3, 1) for slack in (-self.slack, self.slack))
        assert found.shape == low.shape
        wrong = (found < low) | (found > high)
        assert not wrong.any(), f"{wrong.sum()} of {wrong.size}, as {found[wrong][:5]} for {low[wrong][:5]}"

    def _bytes(self, steps: Array) -> Bytes:
        found: Bytes = np.clip(np.rint(steps) + self.zero_point, 0, 255).astype(np.uint8)
        return found


def real(x: Bytes, scale: np.float32, zero_point: int) -> Array:
    """DequantizeLinear, and to N C H W."""
    return ((x.astype(np.float64) - zero_point) * np.float64(scale)).transpose(0, 3, 1, 2)


def expand(
    y: Array,
    terms: Array,
    *,
    period: NDArray[np.float32],
    shift: NDArray[np.float32],
    source: NDArray[np.int64] | None,
    scale: NDArray[np.float32] | None,
    offset: NDArray[np.float32] | None,
    y_scale: np.float32,
    y_zero_point: int,
    normalize: str = "l2",
    activation: str = "none",
) -> Expected:
    """The float operator's formula, then QuantizeLinear.

    Args:
        y: Seed maps, shape (N, S, H, W).
        terms: The sum of the absolute values that each was summed from, likewise.
        period: Shape (G,).
        shift: Shape (G,).
        source: Shape (G,).
        scale: Shape (S + G,).
        offset: Shape (S + G,).
        y_scale: Of the output.
        y_zero_point: Of the output.
        normalize: ``l2``, ``rms``, ``none`` or ``clamp``.
        activation: ``none``, ``relu``, ``relu6`` or ``hardswish``.
    """
    named: dict[str, Any] = {"period": period, "shift": shift, "source": source}
    kind = "none" if normalize == "clamp" else normalize
    if normalize == "clamp":
        y = np.clip(y, -1, 1)
    maps = reference.expand(y, **named, scale=scale, offset=offset, normalize=kind, activation=activation)
    raw = reference.expand(y, **named, normalize=kind)
    norm = np.maximum(np.sqrt((y * y).sum(axis=1, keepdims=True)), 1e-12)
    gain = 1.0 if kind == "none" else (np.sqrt(y.shape[1]) if kind == "rms" else 1.0) / norm
    unit_error = ROUNDING * (terms * gain)
    if kind != "none":  # and that of the norm
        largest = np.sqrt((terms * terms).sum(axis=1, keepdims=True))
        unit_error = unit_error + ROUNDING * np.abs(y * gain) * (1 + largest / norm)
    read = unit_error[:, : len(period)] if source is None else unit_error[:, source]
    omega = np.abs(period.astype(np.float64))[:, None, None]
    error = np.concatenate([unit_error, omega * read + ROUNDING], axis=1)
    factor = np.ones(raw.shape[1]) if scale is None else np.abs(scale.astype(np.float64))
    added = np.zeros(raw.shape[1]) if offset is None else np.abs(offset.astype(np.float64))
    slack = factor[:, None, None] * (error + ROUNDING * np.abs(raw)) + ROUNDING * added[:, None, None]
    steps = np.float64(y_scale)
    return Expected(maps / steps, 1.5 * slack / steps, y_zero_point)  # 1.5: the steepest slope of hardswish


def sparse_seed_maps(
    x: Array,
    weight: NDArray[np.int8],
    weight_scale: NDArray[np.float32],
    bias: NDArray[np.float32] | None,
    **window: Any,
) -> tuple[Array, Array]:
    """The convolution, and what the absolute values of its two terms (products, bias) add up to.

    Args:
        x: Shape (N, S m, H, W).
        weight: Shape (S, m, kH, kW).
        weight_scale: Shape (S,) or (1,).
        bias: Shape (S,).
        **window: strides, pads, dilations.
    """
    real_weight = weight.astype(np.float64) * weight_scale.astype(np.float64).reshape(-1, 1, 1, 1)
    products = reference.convolution(x, real_weight, None, **window)
    added = np.zeros(len(weight)) if bias is None else bias.astype(np.float64)
    added = added[:, None, None]
    return products + added, np.abs(products) + np.abs(added)
