"""Mixup and CutMix on batches that already lie on the training device.

timm's ``Mixup`` draws from numpy's global generator and mixes image i with image N - 1 - i, so its result would change
with the number of processes and could not be repeated after a kill. Here the draws come from (seed, epoch, step), and
neighbours (2i, 2i + 1) are mixed: the order is random anyway, and the neighbours are the same however the batch is
shared out.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from groupnl.training.config import TrainConfig
from groupnl.training.randomness import derived_seed


@dataclass(frozen=True)
class Mix:
    """How one batch is mixed.

    Attributes:
        share: Of the image itself in [0, 1]; the partner has the rest.
        box: (top, bottom, left, right) in pixels that CutMix takes from the partner; None for mixup.
    """

    share: float
    box: tuple[int, int, int, int] | None


def draw_mix(config: TrainConfig, epoch: int, step: int, *, height: int, width: int) -> Mix | None:
    """Draw how the batch of one step is mixed; None when mixing is off.

    CutMix's box has the area ``1 - lambda`` of the image before it is cut at the border, and the share follows the cut
    box (Yun et al., arXiv 1905.04899, section 3.1 and their published code).

    Args:
        config: ``mixup_alpha``, ``cutmix_alpha`` and ``seed`` are used.
        epoch: From 0.
        step: Within the epoch, from 0.
        height: Of the images, pixels.
        width: Of the images, pixels.
    """
    if config.mixup_alpha <= 0 and config.cutmix_alpha <= 0:
        return None
    generator = np.random.default_rng(derived_seed(config.seed, "mix", epoch, step))
    both = config.mixup_alpha > 0 and config.cutmix_alpha > 0
    cut = generator.random() < 0.5 if both else config.cutmix_alpha > 0
    alpha = config.cutmix_alpha if cut else config.mixup_alpha
    share = float(generator.beta(alpha, alpha))
    if not cut:
        return Mix(share, None)
    side = math.sqrt(1 - share)
    half_height, half_width = int(height * side) / 2, int(width * side) / 2
    center_y, center_x = int(generator.integers(height)), int(generator.integers(width))
    top, bottom = max(0, math.floor(center_y - half_height)), min(height, math.floor(center_y + half_height))
    left, right = max(0, math.floor(center_x - half_width)), min(width, math.floor(center_x + half_width))
    return Mix(1 - (bottom - top) * (right - left) / (height * width), (top, bottom, left, right))


def mix_images(images: Tensor, mix: Mix) -> Tensor:
    """Mix each image with its neighbour.

    Args:
        images: Float, shape (N, C, H, W), N even.
        mix: From ``draw_mix``.

    Returns:
        Shape (N, C, H, W).
    """
    partners = _neighbours(images)
    if mix.box is None:
        return torch.lerp(partners, images, mix.share)
    top, bottom, left, right = mix.box
    mixed = images.clone()
    mixed[..., top:bottom, left:right] = partners[..., top:bottom, left:right]
    return mixed


def mix_targets(labels: Tensor, mix: Mix, *, classes: int, smoothing: float) -> Tensor:
    """The mixed target distributions, label smoothing included.

    Args:
        labels: Class indices, shape (N,), N even.
        mix: From ``draw_mix``.
        classes: Number of classes K.
        smoothing: Share that is spread evenly over all classes, in [0, 1).

    Returns:
        float32, shape (N, K); rows sum to 1.
    """
    own = F.one_hot(labels, classes).float()
    mixed = torch.lerp(_neighbours(own), own, mix.share)
    return mixed * (1 - smoothing) + smoothing / classes


def heavier_labels(labels: Tensor, mix: Mix | None) -> Tensor:
    """The label with the larger share of each image, for the training accuracy; shape (N,)."""
    return labels if mix is None or mix.share >= 0.5 else _neighbours(labels)


def _neighbours(batch: Tensor) -> Tensor:
    """Swap elements 2i and 2i + 1."""
    return batch.reshape(-1, 2, *batch.shape[1:]).flip(1).reshape_as(batch)
