"""Which corruptions there are: for each its function, its draws, and its constants at severities 1-5.

Constants: Hendrycks & Dietterich, arXiv 1903.12261, as published for CIFAR-10-C (``cifar``, 32x32) and ImageNet-C
(``imagenet``, 224x224). A new corruption is a row here, a function of (images, draws, constants) in the file of its
kind, and an oracle in the tests.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from torch import Tensor

from groupnl.corruptions.blur import defocus_blur, gaussian_blur
from groupnl.corruptions.compression import jpeg_compression
from groupnl.corruptions.draw_plans import (
    Constants,
    PictureShape,
    camera_angles,
    elastic_moves,
    fog_map,
    frost_place,
    glass_offsets,
    no_draws,
    normal_noise,
    pixel_noise,
    snow_flakes,
    uniform_fractions,
)
from groupnl.corruptions.draws import DrawSource
from groupnl.corruptions.elastic import elastic_transform
from groupnl.corruptions.fog import fog
from groupnl.corruptions.frost import frost
from groupnl.corruptions.glass import glass_blur
from groupnl.corruptions.motion import motion_blur
from groupnl.corruptions.noise import gaussian_noise, impulse_noise, shot_noise, speckle_noise
from groupnl.corruptions.resampling import pixelate
from groupnl.corruptions.snow import snow
from groupnl.corruptions.spatter import spatter
from groupnl.corruptions.tone import brightness, contrast, saturate
from groupnl.corruptions.zoom import zoom_blur

Variant = Literal["cifar", "imagenet"]
Family = Literal["noise", "blur", "weather", "digital"]
Selection = Literal["all", "mce15"] | Family

VARIANTS: tuple[Variant, ...] = get_args(Variant)
FAMILIES: tuple[Family, ...] = get_args(Family)
SEVERITIES = (1, 2, 3, 4, 5)
EXTRA = ("speckle_noise", "gaussian_blur", "spatter", "saturate")  # set aside for validation, not among mCE's 15


def _steps(**constants: Sequence[float]) -> tuple[Constants, ...]:
    """Turn one sequence a constant into one mapping a severity."""
    return tuple(dict(zip(constants, values, strict=True)) for values in zip(*constants.values(), strict=True))


@dataclass(frozen=True, kw_only=True)
class Corruption:
    """One corruption: ``apply(images, **draws(source, shape, constants), **constants)``, a pure function."""

    family: Family
    apply: Callable[..., Tensor]  # (uint8 (N, C, H, W), keyword-only draws and constants) -> uint8, the same shape
    draws: Callable[[DrawSource, PictureShape, Constants], dict[str, Tensor]] = no_draws
    cifar: tuple[Constants, ...]  # keyword arguments of apply at severities 1-5
    imagenet: tuple[Constants, ...]

    def constants(self, variant: Variant, severity: int) -> Constants:
        """Keyword arguments of ``apply`` at a severity from 1 to 5."""
        return (self.cifar if variant == "cifar" else self.imagenet)[severity - 1]


CORRUPTIONS: Mapping[str, Corruption] = {
    "gaussian_noise": Corruption(
        family="noise",
        apply=gaussian_noise,
        draws=normal_noise,
        cifar=_steps(scale=(0.04, 0.06, 0.08, 0.09, 0.10)),
        imagenet=_steps(scale=(0.08, 0.12, 0.18, 0.26, 0.38)),
    ),
    "shot_noise": Corruption(
        family="noise",
        apply=shot_noise,
        draws=uniform_fractions,
        cifar=_steps(photons=(500, 250, 100, 75, 50)),
        imagenet=_steps(photons=(60, 25, 12, 5, 3)),
    ),
    "impulse_noise": Corruption(
        family="noise",
        apply=impulse_noise,
        draws=uniform_fractions,
        cifar=_steps(amount=(0.01, 0.02, 0.03, 0.05, 0.07)),
        imagenet=_steps(amount=(0.03, 0.06, 0.09, 0.17, 0.27)),
    ),
    "defocus_blur": Corruption(
        family="blur",
        apply=defocus_blur,
        cifar=_steps(radius=(0.3, 0.4, 0.5, 1, 1.5), alias_sigma=(0.4, 0.5, 0.6, 0.2, 0.1)),
        imagenet=_steps(radius=(3, 4, 6, 8, 10), alias_sigma=(0.1, 0.5, 0.5, 0.5, 0.5)),
    ),
    "glass_blur": Corruption(
        family="blur",
        apply=glass_blur,
        draws=glass_offsets,
        cifar=_steps(sigma=(0.05, 0.25, 0.4, 0.25, 0.4), reach=(1, 1, 1, 1, 1), iterations=(1, 1, 1, 2, 2)),
        imagenet=_steps(sigma=(0.7, 0.9, 1, 1.1, 1.5), reach=(1, 2, 2, 3, 4), iterations=(2, 1, 3, 2, 2)),
    ),
    "motion_blur": Corruption(
        family="blur",
        apply=motion_blur,
        draws=camera_angles,
        cifar=_steps(radius=(6, 6, 6, 8, 9), sigma=(1, 1.5, 2, 2, 2.5)),
        imagenet=_steps(radius=(10, 15, 15, 15, 20), sigma=(3, 5, 8, 12, 15)),
    ),
    "zoom_blur": Corruption(
        family="blur",
        apply=zoom_blur,
        cifar=_steps(stop=(1.06, 1.11, 1.16, 1.21, 1.26), step=(0.01,) * 5),
        imagenet=_steps(stop=(1.11, 1.16, 1.21, 1.26, 1.31), step=(0.01, 0.01, 0.02, 0.02, 0.03)),
    ),
    "snow": Corruption(
        family="weather",
        apply=snow,
        draws=snow_flakes,
        cifar=_steps(
            mean=(0.1, 0.1, 0.15, 0.25, 0.3),
            scale=(0.2, 0.2, 0.3, 0.3, 0.3),
            zoom=(1, 1, 1.75, 2.25, 1.25),
            threshold=(0.6, 0.5, 0.55, 0.6, 0.65),
            radius=(8, 10, 10, 12, 14),
            sigma=(3, 4, 4, 6, 12),
            keep=(0.95, 0.9, 0.9, 0.85, 0.8),
        ),
        imagenet=_steps(
            mean=(0.1, 0.2, 0.55, 0.55, 0.55),
            scale=(0.3,) * 5,
            zoom=(3, 2, 4, 4.5, 2.5),
            threshold=(0.5, 0.5, 0.9, 0.85, 0.85),
            radius=(10, 12, 12, 12, 12),
            sigma=(4, 4, 8, 8, 12),
            keep=(0.8, 0.7, 0.7, 0.65, 0.55),
        ),
    ),
    "frost": Corruption(
        family="weather",
        apply=frost,
        draws=frost_place,
        cifar=_steps(keep=(1, 1, 0.9, 0.85, 0.75), weight=(0.2, 0.3, 0.4, 0.4, 0.45), every=(5,) * 5),
        imagenet=_steps(keep=(1, 0.8, 0.7, 0.65, 0.6), weight=(0.4, 0.6, 0.7, 0.7, 0.75), every=(1,) * 5),
    ),
    "fog": Corruption(
        family="weather",
        apply=fog,
        draws=fog_map,
        cifar=_steps(amount=(0.2, 0.5, 0.75, 1, 1.5), decay=(3, 3, 2.5, 2, 1.75)),
        imagenet=_steps(amount=(1.5, 2, 2.5, 2.5, 3), decay=(2, 2, 1.7, 1.5, 1.4)),
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
    "elastic_transform": Corruption(
        family="digital",
        apply=elastic_transform,
        draws=elastic_moves,
        cifar=_steps(
            alpha=[32 * share for share in (0, 0.05, 0.08, 0.1, 0.1)],
            sigma=[32 * share for share in (0, 0.2, 0.06, 0.04, 0.03)],
            jitter=[32 * share for share in (0.08, 0.07, 0.06, 0.05, 0.03)],
        ),
        imagenet=_steps(
            alpha=[244 * share for share in (2, 2, 0.05, 0.07, 0.12)],  # 244 as published, for pictures of 224
            sigma=[244 * share for share in (0.7, 0.08, 0.01, 0.01, 0.01)],
            jitter=[244 * share for share in (0.1, 0.2, 0.02, 0.02, 0.02)],
        ),
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
    # From here on: EXTRA.
    "speckle_noise": Corruption(
        family="noise",
        apply=speckle_noise,
        draws=normal_noise,
        cifar=_steps(scale=(0.06, 0.1, 0.12, 0.16, 0.2)),
        imagenet=_steps(scale=(0.15, 0.2, 0.35, 0.45, 0.6)),
    ),
    "gaussian_blur": Corruption(
        family="blur",
        apply=gaussian_blur,
        cifar=_steps(sigma=(0.4, 0.6, 0.7, 0.8, 1)),
        imagenet=_steps(sigma=(1, 2, 3, 4, 6)),
    ),
    "spatter": Corruption(
        family="weather",
        apply=spatter,
        draws=pixel_noise,
        cifar=_steps(
            mean=(0.62, 0.65, 0.65, 0.65, 0.65),
            scale=(0.1, 0.1, 0.3, 0.1, 0.1),
            sigma=(0.7, 0.8, 1, 0.7, 0.5),
            threshold=(0.7, 0.7, 0.69, 0.69, 0.68),
            strength=(0.5, 0.5, 0.5, 0.6, 0.6),
            mud=(0, 0, 0, 1, 1),
        ),
        imagenet=_steps(
            mean=(0.65, 0.65, 0.65, 0.65, 0.67),
            scale=(0.3, 0.3, 0.3, 0.3, 0.4),
            sigma=(4, 3, 2, 1, 1),
            threshold=(0.69, 0.68, 0.68, 0.65, 0.65),
            strength=(0.6, 0.6, 0.5, 1.5, 1.5),
            mud=(0, 0, 0, 1, 1),
        ),
    ),
    "saturate": Corruption(
        family="digital",
        apply=saturate,
        cifar=_steps(gain=(0.3, 0.1, 1.5, 2, 2.5), offset=(0, 0, 0, 0.1, 0.2)),
        imagenet=_steps(gain=(0.3, 0.1, 2, 5, 20), offset=(0, 0, 0, 0.1, 0.2)),
    ),
}


def names(selection: Selection = "all") -> tuple[str, ...]:
    """Names of the corruptions, in the order of the paper's tables, the four extra ones last.

    Args:
        selection: ``all`` 19; ``mce15``, those that mCE is defined over; or one family, extra ones included:
            ``noise``, ``blur``, ``weather``, ``digital``.

    Raises:
        ValueError: The selection is unknown.
    """
    if selection == "all":
        return tuple(CORRUPTIONS)
    if selection == "mce15":
        return tuple(name for name in CORRUPTIONS if name not in EXTRA)
    if selection not in FAMILIES:
        raise ValueError(f"selection={selection!r}: expected 'all', 'mce15' or a family: {', '.join(FAMILIES)}")
    return tuple(name for name, corruption in CORRUPTIONS.items() if corruption.family == selection)
