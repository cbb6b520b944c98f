"""What a net is shown of a batch: augmented views of its pictures, with or without the pictures themselves."""

import torch
from torch import Tensor

from groupnl.training.augment.augmix import augmix, draw_augmix
from groupnl.training.augment.mixing_pictures import mixing_pictures
from groupnl.training.augment.pixmix import draw_pixmix, pixmix
from groupnl.training.augment.randaugment import draw_randaugment, randaugment
from groupnl.training.config import TrainConfig
from groupnl.training.randomness import generator_for


class Augmenter:
    """Augmented views of the pictures of a step, as a pure function of (seed, epoch, step)."""

    def __init__(self, config: TrainConfig, *, size: tuple[int, int], device: torch.device):
        """Args: ``config`` with an ``augment`` other than ``plain``; ``size`` is the pictures' height and width."""
        self._config = config
        self._size = size
        self._views = 2 if config.jsd_weight else 1
        self._patterns = torch.empty(0)
        if config.augment == "pixmix":
            self._patterns = mixing_pictures(size, generator_for(config.seed, "mixing pictures")).to(device)

    def __call__(self, images: Tensor, share: slice, *, epoch: int, index: int) -> Tensor:
        """Augment this process's share of a batch.

        Args:
            images: The share, cropped and mirrored, uint8, shape (N, C, H, W).
            share: Its place in the batch of ``config.batch_size``: the draws are the whole batch's.
            epoch: From 0.
            index: Of the step within the epoch, from 0.

        Returns:
            Levels from 0 to 255, float32: one view of each picture, shape (N, C, H, W); with a divergence the plain
            picture and two views, one after the other, shape (3N, C, H, W).
        """
        views = self._augmented(images, share, epoch, index).flatten(0, 1)
        return torch.cat([images.float(), views]) if self._config.jsd_weight else views

    def _augmented(self, images: Tensor, share: slice, epoch: int, index: int) -> Tensor:
        """The views, shape (V, N, C, H, W)."""
        config, size, views, count = self._config, self._size, self._views, self._config.batch_size
        severity, depth = config.augment_severity or 0.0, config.augment_depth
        generator = generator_for(config.seed, config.augment, epoch, index)
        if config.augment == "augmix":
            width = config.augment_width or 1
            draws = draw_augmix(
                count, views=views, severity=severity, width=width, depth=depth, size=size, generator=generator
            )
            return augmix(images, draws.share(share))
        if config.augment == "pixmix":
            bank, rounds = len(self._patterns), depth or 1
            mixes = draw_pixmix(
                count, views=views, severity=severity, rounds=rounds, bank=bank, size=size, generator=generator
            )
            return pixmix(images, self._patterns, mixes.share(share))
        shape = (depth or 1, views, count)
        kinds, values = draw_randaugment(shape, magnitude=severity, size=size, generator=generator)
        return randaugment(images, kinds[..., share], values[..., share])
