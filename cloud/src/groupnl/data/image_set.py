"""One split of a dataset as two tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageSet:
    """Images and labels of one split, whole in memory; or decoded when asked for, where ``images`` are ``LazyImages``.

    Attributes:
        name: Dataset, such as "openicons".
        split: "train" or "test".
        images: uint8 RGB, shape (N, 3, H, W), N at least 1.
        labels: int64, shape (N,), each from 0 to ``len(class_names) - 1``; on the images' device.
        class_names: In label order.
        horizontal_flip: Whether a mirrored image keeps its label.
        files: Where each image comes from, as "class folder/file name", in the images' order; () where images have no
            file of their own. A corrupted copy of the set has the same names.
    """

    name: str
    split: str
    images: Tensor
    labels: Tensor
    class_names: tuple[str, ...]
    horizontal_flip: bool
    files: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        images, labels = self.images, self.labels
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3 or images.numel() == 0:
            raise ValueError(
                f"images: {images.dtype} of shape {tuple(images.shape)}; expected torch.uint8 of shape (N, 3, H, W) "
                "with at least one image"
            )
        if labels.dtype != torch.int64 or labels.shape != (len(images),):
            raise ValueError(
                f"labels: {labels.dtype} of shape {tuple(labels.shape)}; expected torch.int64 of shape "
                f"({len(images)},), one label an image"
            )
        if labels.device != images.device:
            raise ValueError(f"labels on {labels.device}, images on {images.device}: expected one device for both")
        if self.files and len(self.files) != len(images):
            raise ValueError(f"files: {len(self.files)} names; expected none, or one for each of {len(images)} images")
        object.__setattr__(self, "class_names", tuple(self.class_names))
        object.__setattr__(self, "files", tuple(self.files))
        lowest, highest = int(labels.min()), int(labels.max())
        if lowest < 0 or highest >= len(self.class_names):
            raise ValueError(
                f"labels from {lowest} to {highest}: expected 0 to {len(self.class_names) - 1}, "
                f"since there are {len(self.class_names)} class names"
            )

    def __len__(self) -> int:
        return len(self.images)

    def to(self, device: torch.device | str) -> ImageSet:
        """Return the set with its tensors on another device (itself where they are there already)."""
        images = self.images.to(device)
        if images is self.images:
            return self
        return replace(self, images=images, labels=self.labels.to(device))

    def subset(self, indices: Sequence[int] | Tensor) -> ImageSet:
        """Return the images at ``indices``, in that order, as copies.

        Args:
            indices: Integers from 0 to ``len(self) - 1``, at least one; repeats are allowed.

        Raises:
            ValueError: No index, one out of range, or not integers.
        """
        chosen = torch.as_tensor(indices)
        if chosen.ndim != 1 or chosen.numel() == 0 or chosen.dtype.is_floating_point or chosen.dtype == torch.bool:
            raise ValueError(
                f"indices: {chosen.dtype} of shape {tuple(chosen.shape)}; expected a list of integers, at least one"
            )
        chosen = chosen.to(self.images.device, torch.int64)
        lowest, highest = int(chosen.min()), int(chosen.max())
        if lowest < 0 or highest >= len(self):
            raise ValueError(f"indices from {lowest} to {highest}: expected 0 to {len(self) - 1}")
        files = tuple(self.files[index] for index in chosen.tolist()) if self.files else ()
        return replace(self, images=self.images[chosen], labels=self.labels[chosen], files=files)

    def channel_stats(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return mean and standard deviation of each channel, of levels in [0, 1], rounded to 4 digits.

        They come from a count of the 256 levels, so they are the same on every device. The standard deviation (over all
        pixels) is at least 0.0001, so that one can divide by it.
        """
        levels = torch.arange(256, dtype=torch.float64) / 255
        means, stds = [], []
        for channel in range(self.images.shape[1]):
            counts = torch.zeros(256, dtype=torch.float64)
            for start in range(0, len(self), 4096):  # bincount widens to 64 bits: a piece at a time
                piece = self.images[start : start + 4096, channel].flatten()
                counts += torch.bincount(piece, minlength=256).to(device="cpu", dtype=torch.float64)
            weights = counts / counts.sum()
            mean = (weights * levels).sum()
            means.append(round(mean.item(), 4))
            stds.append(max(round((weights * (levels - mean) ** 2).sum().sqrt().item(), 4), 1e-4))
        return tuple(means), tuple(stds)
