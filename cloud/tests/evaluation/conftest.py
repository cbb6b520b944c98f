"""A hand-worked world: six flat pictures of three classes, and a net whose answer is read off the mean level."""

import pytest
import torch
from torch import Tensor, nn

from groupnl.data import ImageSet
from groupnl_device.preprocessing import Preprocessing

LEVELS = (10, 40, 100, 150, 200, 250)
LABELS = (0, 1, 1, 1, 2, 0)  # the net below answers 0 0 1 1 2 2: right are 10, 100, 150, 200


class ByLevel(nn.Module):
    """Class 0 below a mean level of 60, class 1 below 180, class 2 above."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.limits = nn.Parameter(torch.tensor([60 / 255, 180 / 255]))
        self.dropout = nn.Dropout(0.5)
        self.classes = classes
        self.seen: list[Tensor] = []

    def forward(self, images: Tensor) -> Tensor:
        assert not self.training
        assert not torch.is_grad_enabled()
        self.seen.append(images)
        above = self.dropout(images).mean((1, 2, 3)).unsqueeze(1) > self.limits
        return nn.functional.one_hot(above.sum(1), self.classes).to(self.limits.dtype)


@pytest.fixture
def net() -> ByLevel:
    return ByLevel()


@pytest.fixture
def flat() -> ImageSet:
    images = torch.tensor(LEVELS, dtype=torch.uint8).reshape(-1, 1, 1, 1).expand(-1, 3, 6, 8).clone()
    return ImageSet(
        name="flat",
        split="test",
        images=images,
        labels=torch.tensor(LABELS),
        class_names=("dark", "middle", "bright"),
        horizontal_flip=True,
    )


@pytest.fixture
def plain() -> Preprocessing:
    """Leaves levels in [0, 1]."""
    return Preprocessing(input_size=(3, 6, 8), mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
