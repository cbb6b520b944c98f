"""Which corruptions there are: for each its function, its draws, and its constants at severities 1-5.

Constants: Hendrycks & Dietterich, arXiv 1903.12261, as published for CIFAR-10-C (``cifar``, 32x32) and ImageNet-C
(``imagenet``, 224x224). A new corruption is a row here, a function of (images, draws, constants) in the file of its
kind, and an oracle in the tests.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from torch import Tensor

from groupnl.corruptions.blur import defocus_blur
from groupnl.corruptions.compression import jpeg_compression
from groupnl.corruptions.draws import DrawSource
from groupnl.corruptions.noise import gaussian_noise, shot_noise
from groupnl.corruptions.resampling import pixelate
from groupnl.corruptions.tone import brightness, contrast

Variant = Literal["cifar", "imagenet"]
Family = Literal["noise", "blur", "weather", "digital"]
Selection = Literal["all"] | Family

VARIANTS: tuple[Variant, ...] = get_args(Variant)
FAMILIES: tuple[Family, ...] = get_args(Family)
SEVERITIES = (1, 2, 3, 4, 5)

Constants = Mapping[str, float]
PictureShape = tuple[int, int, int]  # (C, H, W)


def _no_draws(_source: DrawSource, _shape: PictureShape, _constants: Constants) -> dict[str, Tensor]:
    """A deterministic corruption draws nothing."""
    return {}


def _normal_noise(source: DrawSource, shape: PictureShape, _constants: Constants) -> dict[str, Tensor]:
    """One standard normal draw a value."""
    return {"noise": source.normals(shape, stream="noise")}


def _uniform_fractions(source: DrawSource, shape: PictureShape, _constants: Constants) -> dict[str, Tensor]:
    """One uniform draw a value."""
    return {"fractions": source.fractions(shape, stream="fractions")}


def _steps(**constants: Sequence[float]) -> tuple[Constants, ...]:
    """Turn one sequence a constant into one mapping a severity."""
    return tuple(dict(zip(constants, values, strict=True)) for values in zip(*constants.values(), strict=True))


@dataclass(frozen=True, kw_only=True)
class Corruption:
    """One corruption: ``apply(images, **draws(source, shape, constants), **constants)``, a pure function."""

    family: Family
    apply: Callable[..., Tensor]  # (uint8 (N, C, H, W), keyword-only draws and constants) -> uint8, the same shape
    draws: Callable[[DrawSource, PictureShape, Constants], dict[str, Tensor]] = _no_draws
    cifar: tuple[Constants, ...]  # keyword arguments of apply at severities 1-5
    imagenet: tuple[Constants, ...]

    def constants(self, variant: Variant, severity: int) -> Constants:
        """Keyword arguments of ``apply`` at a severity from 1 to 5."""
        return (self.cifar if variant == "cifar" else self.imagenet)[severity - 1]


CORRUPTIONS: Mapping[str, Corruption] = {
    "gaussian_noise": Corruption(
        family="noise",
        apply=gaussian_noise,
        draws=_normal_noise,
        cifar=_steps(scale=(0.04, 0.06, 0.08, 0.09, 0.10)),
        imagenet=_steps(scale=(0.08, 0.12, 0.18, 0.26, 0.38)),
    ),
    "shot_noise": Corruption(
        family="noise",
        apply=shot_noise,
        draws=_uniform_fractions,
        cifar=_steps(photons=(500, 250, 100, 75, 50)),
        imagenet=_steps(photons=(60, 25, 12, 5, 3)),
    ),
    "defocus_blur": Corruption(
        family="blur",
        apply=defocus_blur,
        cifar=_steps(radius=(0.3, 0.4, 0.5, 1, 1.5), alias_sigma=(0.4, 0.5, 0.6, 0.2, 0.1)),
        imagenet=_steps(radius=(3, 4, 6, 8, 10), alias_sigma=(0.1, 0.5, 0.5, 0.5, 0.5)),
    ),
    "brightness": Corruption(
        family="weather",
        apply=brightness,
        cifar=_steps(amount=(0.05, 0.1, 0.15, 0.2, 0.3)),
        imagenet=_steps(amount=(0.1, 0.2, 0.3, 0.4, 0.5)),
    ),
    "contrast": Corruption(
        family="digital",
        apply=contrast,
        cifar=_steps(keep=(0.75, 0.5, 0.4, 0.3, 0.15)),
        imagenet=_steps(keep=(0.4, 0.3, 0.2, 0.1, 0.05)),
    ),
    "pixelate": Corruption(
        family="digital",
        apply=pixelate,
        cifar=_steps(scale=(0.95, 0.9, 0.85, 0.75, 0.65)),
        imagenet=_steps(scale=(0.6, 0.5, 0.4, 0.3, 0.25)),
    ),
    "jpeg_compression": Corruption(
        family="digital",
        apply=jpeg_compression,
        cifar=_steps(quality=(80, 65, 58, 50, 40)),
        imagenet=_steps(quality=(25, 18, 15, 10, 7)),
    ),
}


def names(selection: Selection = "all") -> tuple[str, ...]:
    """Names of the corruptions, in the order of the paper's tables.

    Args:
        selection: ``all``, or one family: ``noise``, ``blur``, ``weather``, ``digital``.

    Raises:
        ValueError: The selection is unknown.
    """
    if selection == "all":
        return tuple(CORRUPTIONS)
    if selection not in FAMILIES:
        raise ValueError(f"selection={selection!r}: expected 'all' or a family: {', '.join(FAMILIES)}")
    return tuple(name for name, corruption in CORRUPTIONS.items() if corruption.family == selection)
