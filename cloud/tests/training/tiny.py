"""A net, data and settings that train in a fraction of a second; loaded by path (conftest.py, run_server.py)."""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from groupnl.data import ImageSet
from groupnl.training import TrainConfig
from groupnl_device.preprocessing import Preprocessing

HEIGHT, WIDTH, CLASSES = 8, 10, 4  # H != W: a swapped axis must fail
PREPROCESSING = Preprocessing(input_size=(3, HEIGHT, WIDTH), mean=(0.5, 0.4, 0.3), std=(0.2, 0.25, 0.3))


def image_set(count: int = 40, *, split: str = "train", seed: int = 0, horizontal_flip: bool = True) -> ImageSet:
    """Noisy pictures whose brightness gives the class away."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, CLASSES, (count,), generator=generator)
    noise = torch.randint(0, 40, (count, 3, HEIGHT, WIDTH), generator=generator)
    images = (noise + 60 * labels.view(-1, 1, 1, 1)).clamp(max=255).to(torch.uint8)
    names = tuple(f"class{index}" for index in range(CLASSES))
    return ImageSet(
        name="tiny", split=split, images=images, labels=labels, class_names=names, horizontal_flip=horizontal_flip
    )


def net(*, norm: str = "batch", dropout: float = 0.0, seed: int = 0, classes: int = CLASSES) -> nn.Module:
    """A convolution, a norm, dropout and a linear layer, with the same initial weights at every call."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1, bias=False),
            nn.BatchNorm2d(8) if norm == "batch" else nn.GroupNorm(2, 8),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(8, classes),
        )


def config(**changes: Any) -> TrainConfig:
    """Three epochs of five steps on 40 images."""
    settings: dict[str, Any] = {"epochs": 3, "batch_size": 8, "lr": 0.05, "warmup_epochs": 0.5, "crop_padding": 2}
    return TrainConfig(**{**settings, **changes})


def save(model: nn.Module, path: Path) -> None:
    """Stands in for groupnl.models.save_checkpoint, which wants a net of the zoo."""
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, path)
