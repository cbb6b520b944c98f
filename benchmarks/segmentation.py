"""A small net that names the class of every pixel, how it is trained, and how its answers are counted."""

import math

import timm
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.openicons_scenes import Scenes

CHANNELS = (16, 32, 64, 128)  # of the backbone's four stages: a quarter of ResNet-18's
WIDTH = 32  # channels of the head
BATCH = 16
LR = 0.008


class SegmentationNet(nn.Module):
    """ResNet-18 at quarter width under a top-down head: the stages' maps, each brought to one width, are added up.

    The stem is a 3x3 convolution of stride 2 without pooling, for pictures of about 64x64.
    The head follows feature pyramid networks (Lin et al., arXiv 1612.03144, section 3), with one merging convolution.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        stem = nn.Conv2d(3, 64, 3, 2, 1, bias=False)
        nn.init.kaiming_normal_(stem.weight, mode="fan_out", nonlinearity="relu")  # as timm's ResNet does
        self.backbone = timm.create_model("resnet18", features_only=True, channels=CHANNELS, out_indices=(1, 2, 3, 4))
        self.backbone.conv1, self.backbone.maxpool = stem, nn.Identity()
        self.lateral = nn.ModuleList(nn.Conv2d(channels, WIDTH, 1) for channels in CHANNELS)
        self.merge = nn.Sequential(
            nn.Conv2d(WIDTH, WIDTH, 3, padding=1, bias=False), nn.BatchNorm2d(WIDTH), nn.ReLU(inplace=True)
        )
        self.classify = nn.Conv2d(WIDTH, classes, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Score every class at every pixel: (N, 3, H, W) to (N, classes, H, W)."""
        *finer, summed = (lateral(maps) for lateral, maps in zip(self.lateral, self.backbone(images), strict=True))
        for maps in reversed(finer):
            summed = maps + F.interpolate(summed, size=maps.shape[2:], mode="bilinear", align_corners=False)
        scores = self.classify(self.merge(summed))
        return F.interpolate(scores, size=images.shape[2:], mode="bilinear", align_corners=False)


def normalised(images: Tensor) -> Tensor:
    """Map levels 0 to 255 to about -2 to 2."""
    return (images.float() - 127.5) / 63.75


def train_(model: nn.Module, scenes: Scenes, *, epochs: int, seed: int) -> float:
    """Train in place by AdamW on the pixels' cross entropy: a tenth of the steps warm up, then half a cosine.

    Returns:
        The mean loss of the last hundred steps.
    """
    order = torch.Generator().manual_seed(seed)
    steps = epochs * (len(scenes.images) // BATCH)
    if steps == 0:
        raise ValueError(f"{len(scenes.images)} scenes, {epochs} epochs: expected at least one batch of {BATCH}")
    optimizer = torch.optim.AdamW(model.parameters(), lr=LR, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, 10 * (step + 1) / steps) * (1 + math.cos(math.pi * step / steps)) / 2
    )
    losses = []
    model.train()
    for _ in range(epochs):
        for batch in torch.split(torch.randperm(len(scenes.images), generator=order), BATCH):
            if len(batch) < BATCH:
                continue
            loss = F.cross_entropy(model(normalised(scenes.images[batch])), scenes.classes[batch])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            optimizer.step()
            schedule.step()
            losses.append(float(loss.detach()))
    return sum(losses[-100:]) / len(losses[-100:])


@torch.no_grad()
def predict(model: nn.Module, images: Tensor) -> Tensor:
    """Name the class of every pixel: uint8 (N, 3, H, W) to int64 (N, H, W). Puts the net into evaluation mode."""
    model.eval()
    return torch.cat([model(normalised(batch)).argmax(dim=1) for batch in torch.split(images, 50)])


def confusion_matrix(predicted: Tensor, true: Tensor, classes: int) -> Tensor:
    """Count pixels, shape (classes, classes): row = what it is, column = what the net says."""
    pairs = classes * true.flatten() + predicted.flatten()
    return torch.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def pixel_accuracy(confusion: Tensor) -> float:
    """Share of pixels that are named rightly."""
    return float(confusion.diagonal().sum() / confusion.sum())


def class_iou(confusion: Tensor) -> Tensor:
    """Intersection over union of each class, shape (classes,); NaN for a class that neither occurs nor is named."""
    both = confusion.diagonal().double()
    return both / (confusion.sum(dim=0) + confusion.sum(dim=1) - both)


def mean_iou(confusion: Tensor) -> float:
    """Mean over the classes that occur or are named, the ground included."""
    return float(class_iou(confusion).nanmean())
