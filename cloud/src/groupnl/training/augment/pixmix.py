"""PixMix (Hendrycks et al., arXiv 2112.05135): a picture mixed, again and again, with patterns or with itself.

As the published code: a picture, or an operation on it, is mixed up to k times with a pattern or an operation on the
picture, by adding or by multiplying. The paper's patterns are fractals and feature visualisations from the internet;
ours are made from the seed (``mixing_pictures``).
"""

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from groupnl.training.augment.augmix import draw_operations
from groupnl.training.augment.operations import NOTHING, apply_

_BETA = 3.0  # of the mixing coefficients' Beta distributions, as in the published code


@dataclass(frozen=True)
class PixmixDraws:
    """Everything random, on the CPU; K rounds at most for V views of each of N pictures.

    Attributes:
        first_kinds: Operation on the picture before the first round, or ``NOTHING``, shape (V, N).
        first_values: Its value, float64, shape (V, N).
        active: Whether there is such a round, shape (K, V, N).
        patterned: Whether the partner is the pattern, not an operation on the picture, shape (K, V, N).
        patterns: Place of the pattern in the bank, shape (V, N).
        kinds: Operations on the picture that make the other partners, shape (K, V, N).
        values: Their values, float64, shape (K, V, N).
        multiplied: Whether the two are multiplied, not added, shape (K, V, N).
        own: The coefficient a of what is mixed so far, float32, shape (K, V, N).
        other: The coefficient b of the partner, float32, shape (K, V, N).
    """

    first_kinds: Tensor
    first_values: Tensor
    active: Tensor
    patterned: Tensor
    patterns: Tensor
    kinds: Tensor
    values: Tensor
    multiplied: Tensor
    own: Tensor
    other: Tensor

    def share(self, part: slice) -> "PixmixDraws":
        """The draws of some of the pictures."""
        return PixmixDraws(*(getattr(self, field.name)[..., part] for field in fields(self)))


def draw_pixmix(
    count: int,
    *,
    views: int,
    severity: float,
    rounds: int,
    bank: int,
    size: tuple[int, int],
    generator: torch.Generator,
) -> PixmixDraws:
    """Draw how a batch is augmented.

    The coefficients are, with even odds, a from Beta(3, 1) and b from Beta(1, 3), or ``a = 1 + Beta(1, 3)`` and
    ``b = -Beta(1, 3)``.

    Args:
        count: Pictures N.
        views: Augmented pictures of each, V.
        severity: Strongest operations, 0.1 to 10.
        rounds: Most rounds K; each picture has 0 to K, all as likely.
        bank: Number of patterns.
        size: Height and width of the pictures, pixels.
        generator: Of the CPU.
    """
    once, each = (views, count), (rounds, views, count)

    def coin(shape: tuple[int, ...]) -> Tensor:
        return torch.randint(2, shape, generator=generator).bool()

    def root() -> Tensor:  # Beta(3, 1); one minus it is Beta(1, 3)
        return torch.rand(each, generator=generator, dtype=torch.float64) ** (1 / _BETA)

    first_kinds, first_values = draw_operations(once, severity=severity, size=size, generator=generator)
    first_kinds[coin(once)] = NOTHING
    kinds, values = draw_operations(each, severity=severity, size=size, generator=generator)
    active = torch.arange(rounds).view(-1, 1, 1) < torch.randint(rounds + 1, once, generator=generator)
    between, first, second = coin(each), root(), root()
    return PixmixDraws(
        first_kinds=first_kinds,
        first_values=first_values,
        active=active,
        patterned=coin(each),
        patterns=torch.randint(bank, once, generator=generator),
        kinds=kinds,
        values=values,
        multiplied=coin(each),
        own=torch.where(between, first, 2 - first).float(),
        other=torch.where(between, 1 - second, second - 1).float(),
    )


def pixmix(images: Tensor, patterns: Tensor, draws: PixmixDraws) -> Tensor:
    """Mix each picture with patterns and with operations on itself.

    Args:
        images: uint8, shape (N, C, H, W), on any device.
        patterns: The bank, uint8, shape (P, C, H, W), on the same device.
        draws: For N pictures, V views and P patterns.

    Returns:
        Levels from 0 to 255, float32, shape (V, N, C, H, W).
    """
    views = len(draws.first_kinds)
    originals = images.repeat(views, 1, 1, 1)
    mixed = originals.clone()
    apply_(mixed, draws.first_kinds.flatten(), draws.first_values.flatten())
    mixed = mixed.float().div_(255)
    for turn, active in enumerate(draws.active.flatten(1)):
        for multiplied in (False, True):
            chosen = (active & (draws.multiplied[turn].flatten() == multiplied)).nonzero().squeeze(1)
            if not len(chosen):
                continue
            patterned = draws.patterned[turn].flatten()[chosen]
            own, other = (c[turn].flatten()[chosen].to(images.device) for c in (draws.own, draws.other))
            kinds = draws.kinds[turn].flatten()[chosen].masked_fill(patterned, NOTHING)
            places = chosen.to(images.device)
            partners = originals[places]
            apply_(partners, kinds, draws.values[turn].flatten()[chosen])
            which = patterned.nonzero().squeeze(1)
            partners[which.to(images.device)] = patterns[draws.patterns.flatten()[chosen[which]].to(images.device)]
            mix = _multiply if multiplied else _add
            mixed[places] = mix(mixed[places], partners.float().div_(255), own, other).clamp_(0, 1)
    return mixed.mul_(255).view(views, *images.shape)


def _add(first: Tensor, second: Tensor, own: Tensor, other: Tensor) -> Tensor:
    """``a x + b y`` of levels in [-1, 1]; arguments and result in [0, 1]."""
    a, b = own.view(-1, 1, 1, 1), other.view(-1, 1, 1, 1)
    return (a * (2 * first - 1) + b * (2 * second - 1) + 1) / 2


def _multiply(first: Tensor, second: Tensor, own: Tensor, other: Tensor) -> Tensor:
    """``x^a y^b`` of levels in [0, 2]; arguments and result in [0, 1]."""
    a, b = own.view(-1, 1, 1, 1), other.view(-1, 1, 1, 1)
    return (2 * first) ** a * (2 * second).clamp_(min=1e-37) ** b / 2  # b > -1: finite
