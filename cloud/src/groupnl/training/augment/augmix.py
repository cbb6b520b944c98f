"""AugMix (Hendrycks et al., arXiv 1912.02781): a picture mixed with chains of operations on itself.

``x_augmix = (1 - m) x + m (w_1 chain_1(x) + w_2 chain_2(x) + ...)``, m from Beta(1, 1), w from Dirichlet(1, ..., 1)
(algorithm 1). Operations and strengths are those of the published CIFAR code; none of them is a corruption that nets
are tested with. Mixing levels and then normalising is the same as mixing normalised pictures, as that code does: the
weights sum to 1.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from groupnl.training.augment.operations import NOTHING, apply_, numbers

OPERATIONS = (
    *("autocontrast", "equalize", "posterize", "rotate", "solarize"),
    *("shear_x", "shear_y", "translate_x", "translate_y"),
)
_WEAKEST = 0.1  # of 10: strengths are drawn uniformly from here to the severity
_DEEPEST = 3  # operations in a chain, where the depth is drawn


@dataclass(frozen=True)
class AugmixDraws:
    """Everything random, on the CPU; D operations in each of W chains, V views of each of N pictures.

    Attributes:
        kinds: Numbers of operations or ``NOTHING``, int64, shape (D, V, W, N).
        values: In each operation's own unit, float64, shape (D, V, W, N).
        weights: Of the chains, in the mixed picture: ``m w``, float32, shape (V, W, N).
        own: Of the picture itself, ``1 - m``, float32, shape (V, N).
    """

    kinds: Tensor
    values: Tensor
    weights: Tensor
    own: Tensor

    def share(self, part: slice) -> "AugmixDraws":
        """The draws of some of the pictures."""
        return AugmixDraws(*(getattr(self, name)[..., part] for name in ("kinds", "values", "weights", "own")))


def draw_augmix(
    count: int,
    *,
    views: int,
    severity: float,
    width: int,
    depth: int | None,
    size: tuple[int, int],
    generator: torch.Generator,
) -> AugmixDraws:
    """Draw how a batch is augmented.

    Args:
        count: Pictures N.
        views: Augmented pictures of each, V.
        severity: Strongest operations, 0.1 to 10.
        width: Chains W.
        depth: Operations in each chain; None: 1, 2 or 3, drawn for each.
        size: Height and width of the pictures, pixels.
        generator: Of the CPU.
    """
    longest = depth or _DEEPEST
    kinds, values = draw_operations((longest, views, width, count), severity=severity, size=size, generator=generator)
    if depth is None:
        depths = torch.randint(1, _DEEPEST + 1, (views, width, count), generator=generator)
        kinds[torch.arange(longest).view(-1, 1, 1, 1) >= depths] = NOTHING
    weights = -torch.log1p(-torch.rand((views, width, count), generator=generator, dtype=torch.float64))  # Exp(1)
    weights /= weights.sum(1, keepdim=True)  # Dirichlet(1, ..., 1)
    mixed = torch.rand((views, count), generator=generator, dtype=torch.float64)  # Beta(1, 1)
    return AugmixDraws(kinds, values, (mixed.unsqueeze(1) * weights).float(), (1 - mixed).float())


def draw_operations(
    shape: tuple[int, ...], *, severity: float, size: tuple[int, int], generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Draw operations and their values, as the published code of AugMix and PixMix does.

    With s uniform from 0.1 to the severity: rotate by the integer part of 3 s degrees, shear by 0.03 s, translate by
    the integer part of a thirtieth of the side times s, each in a random direction; posterize to ``4 - int(0.4 s)``
    bits, solarize from ``256 - int(25.6 s)``.

    Args:
        shape: Of the results.
        severity: 0.1 to 10.
        size: Height and width of the pictures, pixels.
        generator: Of the CPU.

    Returns:
        Numbers of operations, int64, and values, float64, both of ``shape``.
    """
    kinds = numbers(*OPERATIONS)[torch.randint(len(OPERATIONS), shape, generator=generator)]
    weakest = min(_WEAKEST, severity)
    strength = weakest + (severity - weakest) * torch.rand(shape, generator=generator, dtype=torch.float64)
    sign = 1.0 - 2.0 * torch.randint(2, shape, generator=generator)
    height, width = size
    units = {
        "posterize": 4 - (strength * 0.4).floor(),
        "solarize": 256 - (strength * 25.6).floor(),
        "rotate": sign * (strength * 3).floor(),
        "shear_x": sign * strength * 0.03,
        "shear_y": sign * strength * 0.03,
        "translate_x": sign * (strength * width / 30).floor(),
        "translate_y": sign * (strength * height / 30).floor(),
    }
    values = torch.zeros(shape, dtype=torch.float64)
    for number, unit in zip(numbers(*units), units.values(), strict=True):
        values = torch.where(kinds == number, unit, values)
    return kinds, values


def augmix(images: Tensor, draws: AugmixDraws) -> Tensor:
    """Mix each picture with its chains.

    Args:
        images: uint8, shape (N, C, H, W), on any device.
        draws: For N pictures and V views.

    Returns:
        Levels from 0 to 255, float32, shape (V, N, C, H, W).
    """
    _, views, width, _ = draws.kinds.shape
    chains = images.repeat(views * width, 1, 1, 1)  # view by view, chain by chain
    for kinds, values in zip(draws.kinds, draws.values, strict=True):
        apply_(chains, kinds.flatten(), values.flatten())
    chains = chains.view(views, width, *images.shape)
    own, weights = (weight.to(images.device)[..., None, None, None] for weight in (draws.own, draws.weights))
    mixed = own * images.float()
    for chain in range(width):
        mixed += weights[:, chain] * chains[:, chain].float()
    return mixed
