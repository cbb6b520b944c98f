"""The nonlinear functions (NLFs), channel by channel, in plain differentiable PyTorch."""

import torch
from torch import Tensor

from groupnl_device.nlf import LOWEST_LEGENDRE_DEGREE, NLF, NLFS


def apply_nlf(nlf: NLF, maps: Tensor, period: Tensor, shift: Tensor, *, copies: int = 1) -> Tensor:
    """Generate one map from each given map with its own constants.

    Sources: ``sine`` is Ding et al., GroupNL, arXiv 2506.12335; the others are its alternatives:

    - ``sine``: ``sin(period (y - shift))``
    - ``gaussian``: ``exp(-(period (y - shift))^2)``
    - ``monomial``: ``sign(y) |y|^period`` (shift unused)
    - ``legendre``: ``P_n(clamp(y, -1, 1))``, n = period, an integer of at least 2 (shift unused)
    - ``identity``: ``y``

    Args:
        nlf: Name of the function.
        maps: y, shape (N, G, H, W).
        period: Shape (G,). Radians per unit of activation for the sine.
        shift: Shape (G,). In units of activation.
        copies: Copies of each seed map among ``maps``; Legendre degrees run from 2 to ``copies + 1``.

    Returns:
        Shape (N, G, H, W), dtype as type promotion gives (float32 constants never lower the precision).

    Raises:
        ValueError: ``nlf`` is unknown.
    """
    period = period.reshape(-1, 1, 1)
    shift = shift.reshape(-1, 1, 1)
    if nlf == "sine":
        return torch.sin(period * (maps - shift))
    if nlf == "gaussian":
        return torch.exp(-(period * (maps - shift)).square())
    if nlf == "monomial":
        return maps.sign() * maps.abs().pow(period)
    if nlf == "legendre":
        return _legendre(maps.clamp(-1, 1), period, copies + LOWEST_LEGENDRE_DEGREE - 1)
    if nlf == "identity":
        return maps
    raise ValueError(f"nlf={nlf!r}: expected one of {', '.join(NLFS)}")


def nlf_slope(nlf: NLF, maps: Tensor, period: Tensor, shift: Tensor, *, copies: int = 1) -> Tensor:
    """The derivative of :func:`apply_nlf` with respect to y; arguments, shape and errors are the same."""
    period = period.reshape(-1, 1, 1)
    shift = shift.reshape(-1, 1, 1)
    if nlf == "sine":
        return period * torch.cos(period * (maps - shift))
    if nlf == "gaussian":
        argument = period * (maps - shift)
        return -2 * period * argument * torch.exp(-argument.square())
    if nlf == "monomial":
        return period * maps.abs().pow(period - 1)
    if nlf == "legendre":
        inside = (maps >= -1) & (maps <= 1)
        return _legendre_slope(maps.clamp(-1, 1), period, copies + LOWEST_LEGENDRE_DEGREE - 1) * inside
    if nlf == "identity":
        return torch.ones_like(maps)
    raise ValueError(f"nlf={nlf!r}: expected one of {', '.join(NLFS)}")


def _legendre(maps: Tensor, degree: Tensor, highest: int) -> Tensor:
    # Bonnet's recursion, (n + 1) P_{n+1} = (2n + 1) y P_n - n P_{n-1}: Abramowitz & Stegun 22.7.10
    before, polynomial = torch.ones_like(maps), maps
    result = torch.zeros_like(maps)
    for n in range(1, highest):
        before, polynomial = polynomial, ((2 * n + 1) * maps * polynomial - n * before) / (n + 1)
        result = torch.where(degree == n + 1, polynomial, result)
    return result


def _legendre_slope(maps: Tensor, degree: Tensor, highest: int) -> Tensor:
    # P'_{n+1} = (n + 1) P_n + y P'_n: the derivative of Abramowitz & Stegun 8.5.4
    before, polynomial = torch.ones_like(maps), maps
    slope = torch.ones_like(maps)
    result = torch.zeros_like(maps)
    for n in range(1, highest):
        slope = (n + 1) * polynomial + maps * slope
        before, polynomial = polynomial, ((2 * n + 1) * maps * polynomial - n * before) / (n + 1)
        result = torch.where(degree == n + 1, slope, result)
    return result
