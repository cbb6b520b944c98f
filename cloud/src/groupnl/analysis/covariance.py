"""The covariance of y and sinusoids of y, in closed form: how new the generated maps are in theory."""

import math
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

Distribution = Literal["normal", "uniform"]
DISTRIBUTIONS: tuple[Distribution, ...] = get_args(Distribution)
Array = NDArray[np.float64]


def sine_covariance(
    period: Tensor, shift: Tensor, *, scale: float = 1.0, distribution: Distribution = "normal"
) -> Tensor:
    r"""Covariance matrix of y and of the maps that the sine NLF makes of it.

    y is symmetric around 0 with the characteristic function chi(t) = E exp(i t y) = E cos(t y). From
    ``sin(w (y - p)) = sin(w y) cos(w p) - cos(w y) sin(w p)`` and since odd and even functions of y are uncorrelated::

        E sin(w (y - p))   = -sin(w p) chi(w)
        Cov(y, sin(w (y - p)))  = -cos(w p) chi'(w)
        Cov(sin(w (y - p)), sin(v (y - q))) = cos(w p) cos(v q) [chi(w - v) - chi(w + v)] / 2
                                 + sin(w p) sin(v q) ([chi(w - v) + chi(w + v)] / 2 - chi(w) chi(v))

    with ``chi(t) = exp(-s^2 t^2 / 2)`` for y ~ N(0, s^2) and ``chi(t) = sin(a t) / (a t)``, a = sqrt(3) s, for y
    uniform on [-a, a]; both have the standard deviation s. Source: the sine NLF is Ding et al., arXiv 2506.12335; the
    formulas follow from the product rules of sine and cosine.

    Args:
        period: w, in radians per unit of y, shape (c,).
        shift: p, in units of y, shape (c,).
        scale: s, the standard deviation of y, positive.
        distribution: Of y: ``normal`` or ``uniform``.

    Returns:
        float64, shape (1 + c, 1 + c); y comes first.

    Raises:
        ValueError: The shapes differ or are no vectors, the scale is not positive, or the distribution is unknown.
    """
    if period.ndim != 1 or period.shape != shift.shape:
        raise ValueError(
            f"period of shape {tuple(period.shape)}, shift of shape {tuple(shift.shape)}: expected two vectors (c,)"
        )
    check_distribution(scale, distribution)
    w = period.detach().cpu().numpy().astype(np.float64)
    phase = w * shift.detach().cpu().numpy().astype(np.float64)
    matrix = np.empty((len(w) + 1, len(w) + 1))
    matrix[0, 0] = scale**2
    matrix[0, 1:] = matrix[1:, 0] = with_y(w, phase, scale, distribution)
    matrix[1:, 1:] = between(w[:, None], phase[:, None], w, phase, scale, distribution)
    return torch.from_numpy(matrix)


def check_distribution(scale: float, distribution: str) -> None:
    """Refuse what no y has.

    Raises:
        ValueError: The scale is not a positive finite number, or the distribution is unknown.
    """
    if distribution not in DISTRIBUTIONS:
        raise ValueError(f"distribution={distribution!r}: expected one of {', '.join(DISTRIBUTIONS)}")
    if not (math.isfinite(scale) and scale > 0):
        raise ValueError(f"scale={scale!r}: expected the standard deviation of y, a positive number")


def with_y(w: ArrayLike, phase: ArrayLike, scale: float, distribution: Distribution) -> Array:
    """Cov(y, sin(w y - phase)), elementwise."""
    w, phase = np.asarray(w, np.float64), np.asarray(phase, np.float64)
    if distribution == "normal":
        minus_slope = scale**2 * w * np.exp(-((scale * w) ** 2) / 2)
    else:
        a = math.sqrt(3) * scale
        minus_slope = a * _minus_sinc_slope(a * w)
    return np.asarray(np.cos(phase) * minus_slope)


def between(
    w: ArrayLike, w_phase: ArrayLike, v: ArrayLike, v_phase: ArrayLike, scale: float, distribution: Distribution
) -> Array:
    """Cov(sin(w y - w_phase), sin(v y - v_phase)), elementwise over arguments that broadcast."""
    w, v = np.asarray(w, np.float64), np.asarray(v, np.float64)
    if distribution == "normal":  # as above, rearranged so that small scales lose no digits
        odd_sign = np.sign(w) * np.sign(v)
        product = np.abs(w * v) * scale**2
        near = np.exp(-(((np.abs(w) - np.abs(v)) * scale) ** 2) / 2)
        odd = odd_sign * near * -np.expm1(-2 * product) / 2
        even = near * np.expm1(-product) ** 2 / 2
    else:
        a = math.sqrt(3) * scale
        difference, total = _sinc(a * (w - v)), _sinc(a * (w + v))
        odd = (difference - total) / 2
        even = (difference + total) / 2 - _sinc(a * w) * _sinc(a * v)
    return np.asarray(np.cos(w_phase) * np.cos(v_phase) * odd + np.sin(w_phase) * np.sin(v_phase) * even)


def _sinc(t: Array) -> Array:
    return np.asarray(np.sinc(t / np.pi))


def _minus_sinc_slope(t: Array) -> Array:
    """-(d/dt) sin(t)/t = (sin(t)/t - cos(t))/t; its series where the difference would lose digits."""
    small = np.abs(t) < 0.1  # the series' next term is below 1e-12 of the first
    safe = np.where(small, 1.0, t)
    series = t / 3 * (1 - t**2 / 10 * (1 - t**2 / 28 * (1 - t**2 / 54)))
    return np.asarray(np.where(small, series, (np.sin(safe) / safe - np.cos(safe)) / safe))
