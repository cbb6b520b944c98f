"""Which sinusoids to use: the pairs (period, shift) whose maps are newest beside y and each other."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from groupnl.analysis.covariance import Distribution, check_distribution, sine_covariance
from groupnl.analysis.pair_search import NOISE, Pairs, Problem, search
from groupnl.nn import GroupNLConv2d
from groupnl_device.nlf import Range, resolve_ranges

LEAST_VARIANCE = 0.01  # a map then has a tenth of the standard deviation of y or more
SCALES = (1e-3, 1e3)  # below, float64 cannot tell a sinusoid from a line; above, every sinusoid looks like noise


@dataclass(frozen=True, kw_only=True)
class DesignedLayer:
    """What :func:`design_pairs_` gave one layer."""

    layer: str  # qualified name
    copies: int
    scale: float  # standard deviation of y that the design was made for
    log_determinant: float  # of the correlation matrix of y and the maps; 0 is the best there is
    variance_ratio: float  # the least variance of a map, relative to that of y


def design_nlf(
    reduction: int,
    scale: float = 1.0,
    *,
    nl_groups: int = 4,
    period_range: Range | None = None,
    shift_range: Range | None = None,
    distribution: Distribution = "normal",
    least_variance: float = LEAST_VARIANCE,
) -> tuple[Tensor, Tensor]:
    """The pairs of the sine NLF that maximise the log-determinant of the correlation matrix of y and its maps.

    The matrix is that of ``[y, sin(w1 (y - p1)), ..., sin(wc (y - pc))]``, c = reduction - 1, in closed form
    (:func:`groupnl.analysis.sine_covariance`). Its log-determinant is 0 where all are uncorrelated and falls to minus
    infinity where one is a linear function of the others.

    *Why a least variance.* Correlation does not see how much a map varies: where the period may be small, an almost
    constant cosine is as good as any other. But y and its maps share a tensor, and in int8 one scale: what hardly
    varies is lost in the rounding. The default, 0.01, asks for a tenth of y's standard deviation (3.3 of 8 bits less
    than y has). Among pairs that are equally good the one with the largest variance is taken.

    *What comes out.* For one copy: ``w p`` an odd multiple of pi/2, so that the map is +cos(w y) or -cos(w y), an even
    function, which is uncorrelated with y; w is the largest one allowed unless the scale is large. Where the even
    function varies too little (``scale`` below about 0.035 at the default), just as much of the odd one is mixed in as
    the bound demands.

    *Groups.* Each group is copied by its own pairs, and groups hold different seed maps, so the best pairs of one are
    the best of all. They are not given the same ones, though: a map with its sign changed, and the map of -y, are
    exactly as good, but not the same to the ReLU behind the layer. Groups take turns: as found, signs changed, mirrored
    (y to -y), both; a variant that the shift range has no room for is left as found.

    No random numbers: greedy start, then one pair at a time is replaced by the best one on a refined grid, until
    nothing improves. That finds a local optimum.

    Args:
        reduction: r, at least 2.
        scale: Standard deviation of y: 1/sqrt(S) after ``l2``, 1 after ``rms``; from 0.001 to 1000.
        nl_groups: g.
        period_range: Where each period lies, radians per unit of y; None: (1, 2), the NLF's own.
        shift_range: Where each shift lies, units of y; None: (1, 5), the NLF's own.
        distribution: Of y around 0: ``normal`` or ``uniform``.
        least_variance: Least variance of each map relative to that of y, at least 0.

    Returns:
        ``(period, shift)``, each float32 of shape (nl_groups, reduction - 1), for
        :meth:`groupnl.nn.GroupNLConv2d.set_pairs_`.

    Raises:
        ValueError: An argument is out of its range, or no pair within the ranges has so much variance; the message says
            how much there is.
    """
    for name, value, least in (("reduction", reduction, 2), ("nl_groups", nl_groups, 1)):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ValueError(f"{name}={value!r}: expected an integer of at least {least}")
    check_distribution(scale, distribution)
    if not SCALES[0] <= scale <= SCALES[1]:
        raise ValueError(f"scale={scale!r}: expected the standard deviation of y, from {SCALES[0]} to {SCALES[1]:g}")
    if not (math.isfinite(least_variance) and least_variance >= 0):
        raise ValueError(f"least_variance={least_variance!r}: expected a finite number, at least 0")
    periods, shifts = resolve_ranges("sine", period_range, shift_range)
    if periods is None or shifts is None or periods[0] <= 0:
        raise ValueError(f"period_range={period_range!r}: expected positive periods")
    pairs = search(Problem(scale, distribution, periods, shifts, least_variance), reduction - 1)
    period = np.empty((nl_groups, reduction - 1), np.float64)
    shift = np.empty_like(period)
    for group in range(nl_groups):
        flip, mirror = group % 2 == 1, group // 2 % 2 == 1
        period[group] = [w for w, _ in pairs]
        shift[group] = _shifts(pairs, shifts, flip=flip, mirror=mirror)
    return torch.from_numpy(period.astype(np.float32)), torch.from_numpy(shift.astype(np.float32))


def design_pairs_(
    model: nn.Module,
    *,
    scales: Mapping[str, float] | None = None,
    distribution: Distribution = "normal",
    least_variance: float = LEAST_VARIANCE,
) -> tuple[DesignedLayer, ...]:
    """Give every sine layer of a net designed pairs, within the layer's own ranges.

    Args:
        model: Its GroupNL layers with ``nlf="sine"`` that generate maps are changed in place; others are left alone.
        scales: Standard deviation of y by the layer's qualified name, where it was measured
            (``LayerDiversity.seed_std``). Else it follows from the norm: 1/sqrt(S) for ``l2`` and ``batch``, 1
            for ``rms``.
        distribution: See :func:`design_nlf`.
        least_variance: See :func:`design_nlf`.

    Returns:
        What was done, in the net's order.

    Raises:
        ValueError: The net has no such layer, ``scales`` names another one, a layer without a norm (``none``,
            ``clamp``) has no measured scale, or :func:`design_nlf` refuses. Nothing has been changed then.
    """
    layers = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, GroupNLConv2d) and module.nlf == "sine" and module.copies > 0
    }
    if not layers:
        raise ValueError("the net has no GroupNL layer with nlf='sine': convert it first (groupnl.convert_)")
    measured = dict(scales or {})
    if unknown := sorted(set(measured) - set(layers)):
        raise ValueError(f"scales names {', '.join(unknown)}: expected sine layers, {', '.join(layers)}")
    designs, done = [], []
    for name, layer in layers.items():
        scale = measured[name] if name in measured else _norm_scale(name, layer)
        try:
            period, shift = design_nlf(
                layer.copies + 1,
                scale,
                nl_groups=layer.nl_groups,
                period_range=layer.period_range,
                shift_range=layer.shift_range,
                distribution=distribution,
                least_variance=least_variance,
            )
        except ValueError as error:
            raise ValueError(f"layer {name!r}: {error}") from error
        matrix = sine_covariance(period[0], shift[0], scale=scale, distribution=distribution)
        designs.append((layer, period, shift))
        done.append(
            DesignedLayer(
                layer=name,
                copies=layer.copies,
                scale=scale,
                log_determinant=log_determinant(matrix),
                variance_ratio=float(matrix.diagonal()[1:].min() / matrix[0, 0]),
            )
        )
    for layer, period, shift in designs:
        layer.set_pairs_(period, shift)
    return tuple(done)


def log_determinant(covariance: Tensor) -> float:
    """Log-determinant of the correlation matrix, each variance raised by ``NOISE`` so that it is always finite.

    Args:
        covariance: Positive semidefinite with a positive diagonal, shape (n, n).
    """
    std = covariance.diagonal().sqrt()
    correlation = covariance / std / std[:, None]
    values: Tensor = torch.linalg.eigvalsh(correlation.double())
    return float((values.clamp(min=0) + NOISE).log().sum())


def _norm_scale(name: str, layer: GroupNLConv2d) -> float:
    if layer.normalize in ("none", "clamp"):
        raise ValueError(
            f"layer {name!r} has normalize={layer.normalize!r}, so the scale of its y is not known: measure it and "
            "give it, scales={layer.layer: layer.seed_std for layer in groupnl.analysis.diversity(model, images)}"
        )
    return 1.0 if layer.normalize == "rms" else 1 / math.sqrt(layer.seed_channels)


def _shifts(pairs: Pairs, allowed: Range, *, flip: bool, mirror: bool) -> list[float]:
    """Shifts that make the maps of these phases, or where there is room for it an equally good variant of them."""
    shifts = []
    for w, phase in pairs:
        # sin(-y - a) = sin(y - (pi - a)), and minus a sine is the sine half a turn further
        wanted = (math.pi - phase if mirror else phase) + (math.pi if flip else 0.0)
        shift = _shift_of(wanted, w, allowed, 2 * math.pi)
        if shift is None:  # no room for this sign
            shift = _shift_of(wanted, w, allowed, math.pi)
        if shift is None:  # nor for the mirror, which copies take together or not at all: it changes their covariance
            return _shifts(pairs, allowed, flip=flip, mirror=False)
        shifts.append(shift)
    return shifts


def _shift_of(phase: float, w: float, allowed: Range, turn: float) -> float | None:
    """The smallest allowed shift whose phase is this one up to whole turns."""
    slack = 1e-9 * max(1.0, abs(allowed[0]), abs(allowed[1]))  # of rounding; the result is clipped
    shift = (phase + math.ceil((w * (allowed[0] - slack) - phase) / turn) * turn) / w
    return None if shift > allowed[1] + slack else min(max(shift, allowed[0]), allowed[1])
