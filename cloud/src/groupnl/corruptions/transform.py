"""A corruption as a step of a training pipeline of torchvision or timm: picture in, picture out."""

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from groupnl.corruptions.engine import corrupt
from groupnl.corruptions.frost_photographs import FrostPhotographs
from groupnl.corruptions.registry import CORRUPTIONS, SEVERITIES, VARIANTS, Variant, names


class RandomCorruption:
    """Corrupt a picture with a random corruption at a random severity.

    Put it where the picture still has its 256 levels: before ``ToTensor`` and normalisation. The choice and the
    draws follow torch's global random state, which data loaders seed differently in every worker.

    A net trained on corruptions of a benchmark is not comparable on that benchmark: train on ``EXTRA``, the four
    that the benchmark sets aside for this, or say so beside the result.

        transforms.Compose([RandomCorruption(EXTRA, probability=0.5), transforms.ToTensor()])
    """

    def __init__(
        self,
        corruptions: Sequence[str] | None = None,
        *,
        severities: Sequence[int] = SEVERITIES,
        variant: Variant = "cifar",
        probability: float = 1.0,
        frost_photographs: FrostPhotographs | None = None,
    ) -> None:
        """Check the choice.

        Args:
            corruptions: Names to choose from, each as likely as the others (default: all).
            severities: To choose from, each from 1 to 5.
            variant: Whose constants: ``cifar`` for pictures of about 32x32, ``imagenet`` for about 224x224.
            probability: Of corrupting a picture at all, in [0, 1].
            frost_photographs: What ``frost`` lays over a picture; by default what ``find_frost_photographs`` finds.

        Raises:
            ValueError: A name, severity or variant is unknown, none is given, or the probability is no share.
        """
        self.corruptions = names() if corruptions is None else tuple(corruptions)
        self.severities = tuple(severities)
        self.variant = variant
        self.probability = probability
        self.frost_photographs = frost_photographs
        unknown = [name for name in self.corruptions if name not in CORRUPTIONS]
        if unknown or not self.corruptions or isinstance(corruptions, str):
            raise ValueError(f"corruptions={corruptions!r}: expected a list of {', '.join(CORRUPTIONS)}")
        if not self.severities or not set(self.severities) <= set(SEVERITIES):
            raise ValueError(f"severities={severities!r}: expected a list of integers from 1 (mild) to 5 (strong)")
        if variant not in VARIANTS:
            raise ValueError(f"variant={variant!r}: expected {' or '.join(map(repr, VARIANTS))}")
        if not 0.0 <= probability <= 1.0:
            raise ValueError(f"probability={probability!r}: expected a share from 0 to 1")

    def __call__(self, picture: Image.Image | Tensor) -> Image.Image | Tensor:
        """Corrupt one picture, or leave it as it is.

        Args:
            picture: A Pillow image of any mode (it becomes RGB), or uint8 of shape (3, H, W), RGB.

        Returns:
            A new picture of the same kind and size, or ``picture`` itself where it is left alone.

        Raises:
            ValueError: The picture is neither.
        """
        if isinstance(picture, Image.Image):
            if self._passes():
                return picture
            pixels = torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1)
            return Image.fromarray(self._corrupt(pixels).permute(1, 2, 0).contiguous().numpy())
        if not isinstance(picture, Tensor) or picture.dtype != torch.uint8 or picture.dim() != 3:
            given = f"{picture.dtype} {tuple(picture.shape)}" if isinstance(picture, Tensor) else type(picture).__name__
            raise ValueError(
                f"the picture is {given}: expected a Pillow image, or torch.uint8 of shape (3, H, W); corrupt before "
                "ToTensor and normalisation"
            )
        return picture if self._passes() else self._corrupt(picture)

    def __repr__(self) -> str:
        """As torchvision shows its transforms."""
        return (
            f"{type(self).__name__}({list(self.corruptions)}, severities={list(self.severities)}, "
            f"variant={self.variant!r}, probability={self.probability})"
        )

    def _passes(self) -> bool:
        return bool(torch.rand(()) >= self.probability)

    def _corrupt(self, pixels: Tensor) -> Tensor:
        """Corrupt uint8 of shape (3, H, W)."""
        return corrupt(
            pixels.unsqueeze(0),
            self.corruptions[_below(len(self.corruptions))],
            severity=self.severities[_below(len(self.severities))],
            variant=self.variant,
            seed=_below(1 << 62),
            frost_photographs=self.frost_photographs,
        )[0]


def _below(limit: int) -> int:
    return int(torch.randint(limit, ()))
