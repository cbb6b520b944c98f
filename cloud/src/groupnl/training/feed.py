"""Batches from a data set that lies whole, as uint8, on the training device: no per-image Python, no workers.

Sets that are decoded from files are fed by ``groupnl.training.stream``.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from groupnl.data import ImageSet
from groupnl.data.augment import random_crop_flip
from groupnl.training.augment import Augmenter
from groupnl.training.config import TrainConfig
from groupnl.training.mixing import Mix, draw_mix, mix_images
from groupnl.training.randomness import generator_for
from groupnl_device.preprocessing import Preprocessing


class Normalizer:
    """``(x / 255 - mean) / std`` on the images' device."""

    def __init__(self, preprocessing: Preprocessing, device: torch.device, *, channels_last: bool):
        """Args: ``channels_last`` gives the result in NHWC memory order."""
        self.device = device
        self._mean = torch.tensor(preprocessing.mean, device=device).mul_(255).view(1, -1, 1, 1)
        self._std = torch.tensor(preprocessing.std, device=device).mul_(255).view(1, -1, 1, 1)
        self._format = torch.channels_last if channels_last else torch.contiguous_format

    def __call__(self, images: Tensor) -> Tensor:
        """Levels of shape (N, C, H, W), uint8 or (then perhaps in place) float32, to float32 of the same shape."""
        return images.to(torch.float32, memory_format=self._format).sub_(self._mean).div_(self._std)


@dataclass(frozen=True)
class Batch:
    """This process's share of one step's batch.

    Attributes:
        images: Normalised float32, shape (N, C, H, W); with a divergence the pictures and then twice their augmented
            views, shape (3N, C, H, W).
        labels: Class indices, shape (N,).
        mix: How images were mixed, or None.
    """

    images: Tensor
    labels: Tensor
    mix: Mix | None


class Feed:
    """The batches of every (epoch, step) as a pure function of the seed, so that a run can resume anywhere.

    All processes make the same permutation and the same draws for the whole batch, and each takes its contiguous
    share: the images of a step do not depend on the number of processes.
    """

    def __init__(
        self, data: ImageSet, normalize: Normalizer, config: TrainConfig, *, process: int = 0, processes: int = 1
    ):
        """Args: ``data`` on the training device; process ``process`` of ``processes``, which divide the batch."""
        self._data = data
        self._device = normalize.device
        self._labels = data.labels.to(self._device)
        self._normalize = normalize
        self._config = config
        share = config.batch_size // processes
        self._share = slice(process * share, (process + 1) * share)
        self._flip = data.horizontal_flip if config.flip is None else config.flip
        self._augmenter: Augmenter | None = None
        if config.augment != "plain":
            height, width = data.images.shape[2:]
            self._augmenter = Augmenter(config, size=(height, width), device=self._device)
        self._order: tuple[int, Tensor] | None = None
        self.steps_per_epoch = len(data) // config.batch_size

    def batch(self, epoch: int, index: int) -> Batch:
        """The batch of step ``index`` (from 0) of ``epoch`` (from 0)."""
        config = self._config
        size = config.batch_size
        chosen = self.epoch_order(epoch)[index * size : (index + 1) * size]
        labels = self._labels[chosen[self._share]]
        own = self._pictures(chosen, epoch, index)
        if self._augmenter is not None:
            own = self._augmenter(own, self._share, epoch=epoch, index=index)
        inputs = self._normalize(own)
        mix = draw_mix(config, epoch, index, height=inputs.shape[2], width=inputs.shape[3])
        return Batch(inputs if mix is None else mix_images(inputs, mix), labels, mix)

    def _pictures(self, chosen: Tensor, epoch: int, index: int) -> Tensor:
        """This process's share of the pictures ``chosen`` for the batch, cropped and mirrored; uint8, (N, C, H, W)."""
        images = self._data.images[chosen]
        if self._config.crop_padding or self._flip:
            generator = generator_for(self._config.seed, "augment", epoch, index)
            padding = self._config.crop_padding
            images = random_crop_flip(images, padding=padding, flip=self._flip, generator=generator)
        return images[self._share]

    def epoch_order(self, epoch: int) -> Tensor:
        """The permutation of an epoch, on the data's device; shape (len(data),)."""
        if self._order is None or self._order[0] != epoch:
            generator = generator_for(self._config.seed, "order", epoch)
            order = torch.randperm(len(self._data), generator=generator)
            self._order = (epoch, order.to(self._device))
        return self._order[1]
