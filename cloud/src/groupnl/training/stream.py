"""Batches from picture files, for sets that do not fit in memory: decoded in threads, a few steps ahead."""

import math
import os
import weakref
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from groupnl.data import ImageSet, LazyImages
from groupnl.training.config import TrainConfig
from groupnl.training.feed import Feed, Normalizer
from groupnl.training.randomness import generator_for
from groupnl_device.preprocessing import Preprocessing, read_rgb

_STEPS_AHEAD = 2  # decoded while the net takes its step: enough to keep the threads busy, and little memory
_ATTEMPTS = 10  # at a crop that lies inside the picture, as in torchvision
_WIDEST = 4 / 3  # width to height of a crop; the narrowest is the inverse


def resident(data: ImageSet, device: torch.device) -> ImageSet:
    """A set on the device; one that is decoded from files stays where it is."""
    return data if isinstance(data.images, LazyImages) else data.to(device)


def create_feed(
    data: ImageSet, normalize: Normalizer, config: TrainConfig, *, process: int = 0, processes: int = 1
) -> Feed:
    """The feed that suits a set: ``Feed`` for one in memory, ``StreamFeed`` for one that is decoded from files."""
    if isinstance(data.images, LazyImages):
        return StreamFeed(data, data.images, normalize, config, process=process, processes=processes)
    return Feed(data, normalize, config, process=process, processes=processes)


class StreamFeed(Feed):
    """A feed whose pictures are decoded, cropped and resized when their step comes near."""

    def __init__(
        self,
        data: ImageSet,
        files: LazyImages,
        normalize: Normalizer,
        config: TrainConfig,
        *,
        process: int = 0,
        processes: int = 1,
    ):
        """Args: as those of ``Feed``; ``files`` are the set's images, ``config.crop_area`` is given."""
        super().__init__(data, normalize, config, process=process, processes=processes)
        self._files = files
        self._coming: dict[int, list[Future[NDArray[np.uint8]]]] = {}  # by step of the run, oldest first
        threads = max(1, (os.cpu_count() or 1) // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
        pool = ThreadPoolExecutor(threads, thread_name_prefix="decode")
        self._pool = pool
        weakref.finalize(self, pool.shutdown, wait=False, cancel_futures=True)

    def _pictures(self, chosen: Tensor, epoch: int, index: int) -> Tensor:  # noqa: ARG002  # _begin looks it up
        """This process's share of the batch, decoded; what comes after it is begun."""
        step = epoch * self.steps_per_epoch + index
        for passed in [begun for begun in self._coming if begun < step]:
            del self._coming[passed]
        end = min(step + _STEPS_AHEAD + 1, self._config.epochs * self.steps_per_epoch)
        for coming in range(step, max(end, step + 1)):
            if coming not in self._coming:
                self._coming[coming] = self._begin(*divmod(coming, self.steps_per_epoch))
        decoded = np.stack([picture.result() for picture in self._coming.pop(step)])
        return torch.from_numpy(decoded).to(self._device).permute(0, 3, 1, 2).contiguous()

    def _begin(self, epoch: int, index: int) -> list[Future[NDArray[np.uint8]]]:
        """Start decoding this process's share of a step."""
        config, size = self._config, self._config.batch_size
        generator = generator_for(config.seed, "augment", epoch, index)
        draws = torch.rand((size, _ATTEMPTS, 4), generator=generator, dtype=torch.float64).numpy()
        mirrored = torch.randint(2, (size,), generator=generator).bool().tolist()
        chosen = self.epoch_order(epoch)[index * size : (index + 1) * size].tolist()
        fit, area = self._files.fit, config.crop_area or 1.0
        return [
            self._pool.submit(
                load_crop, self._files.paths[chosen[place]], fit, area, draws[place], self._flip and mirrored[place]
            )
            for place in range(size)[self._share]
        ]


def load_crop(
    path: Path, fit: Preprocessing, smallest_area: float, draws: NDArray[np.float64], mirrored: bool
) -> NDArray[np.uint8]:
    """Decode a picture, cut out a random rectangle and resize it.

    Args:
        path: The file.
        fit: Its input size and filter.
        smallest_area: Of the rectangle, as a share of the picture's.
        draws: For ``draw_box``.
        mirrored: Left to right.

    Returns:
        Shape (H, W, 3).

    Raises:
        ValueError: The file is no readable picture.
    """
    picture = read_rgb(path)
    crop = picture.crop(draw_box(picture.width, picture.height, smallest_area, draws))
    _, height, width = fit.input_size
    resized = crop.resize((width, height), Image.Resampling[fit.interpolation.upper()])
    if mirrored:
        resized = resized.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return np.asarray(resized, dtype=np.uint8)


def draw_box(width: int, height: int, smallest_area: float, draws: NDArray[np.float64]) -> tuple[int, int, int, int]:
    """The first rectangle that lies inside the picture, as torchvision's ``RandomResizedCrop`` draws them.

    Its share of the area is uniform from ``smallest_area`` to 1, the logarithm of its width to height uniform from 3/4
    to 4/3. When none fits, it is the largest central one of such a shape.

    Args:
        width: Of the picture, pixels.
        height: Of the picture, pixels.
        smallest_area: Above 0, at most 1.
        draws: In [0, 1): area, shape, vertical and horizontal place of each attempt, shape (attempts, 4).

    Returns:
        Left, top, right, bottom, pixels.
    """
    for area, shape, vertical, horizontal in draws.tolist():
        target = width * height * (smallest_area + (1 - smallest_area) * area)
        ratio = _WIDEST ** (2 * shape - 1)
        wide, high = round(math.sqrt(target * ratio)), round(math.sqrt(target / ratio))
        if 0 < wide <= width and 0 < high <= height:
            left, top = int(horizontal * (width - wide + 1)), int(vertical * (height - high + 1))
            return left, top, left + wide, top + high
    wide, high = min(width, round(height * _WIDEST)), min(height, round(width * _WIDEST))
    left, top = (width - wide) // 2, (height - high) // 2
    return left, top, left + wide, top + high
