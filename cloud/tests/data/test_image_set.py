import dataclasses

import numpy as np
import pytest
import torch

from groupnl.data import ImageSet


def image_set(count: int = 7, height: int = 3, width: int = 5) -> ImageSet:
    generator = torch.Generator().manual_seed(0)
    return ImageSet(
        name="made",
        split="train",
        images=torch.randint(0, 256, (count, 3, height, width), generator=generator).to(torch.uint8),
        labels=torch.arange(count) % 3,
        class_names=("a", "b", "c"),
        horizontal_flip=True,
    )


def test_subset_keeps_order_repeats_and_pairs() -> None:
    data = image_set()
    part = data.subset([4, 0, 4])
    assert len(part) == 3
    assert torch.equal(part.images, torch.stack([data.images[4], data.images[0], data.images[4]]))
    assert part.labels.tolist() == [1, 0, 1]
    assert part.class_names == data.class_names
    assert torch.equal(data.subset(torch.tensor([6])).images[0], data.images[6])


@pytest.mark.parametrize("indices", [[], [7], [-1], [0.5], [True, False], [[0]]])
def test_subset_refuses(indices: list[int]) -> None:
    with pytest.raises(ValueError, match="indices"):
        image_set().subset(indices)


def test_channel_stats_match_numpy_in_double() -> None:
    data = image_set(count=9)
    levels = data.images.numpy().astype(np.float64) / 255
    mean, std = data.channel_stats()
    assert mean == tuple(np.round(levels.mean(axis=(0, 2, 3)), 4))
    assert std == tuple(np.round(levels.std(axis=(0, 2, 3)), 4))


def test_channel_stats_of_a_constant_can_be_divided_by() -> None:
    data = dataclasses.replace(image_set(), images=torch.full((7, 3, 2, 2), 51, dtype=torch.uint8))
    assert data.channel_stats() == ((0.2,) * 3, (1e-4,) * 3)


def test_to_keeps_the_set_where_it_is_there_already() -> None:
    data = image_set()
    assert data.to("cpu") is data


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_to_moves_both_tensors() -> None:
    data = image_set()
    moved = data.to("cuda")
    assert moved.images.is_cuda
    assert moved.labels.is_cuda
    assert moved.channel_stats() == data.channel_stats()
    assert torch.equal(moved.subset([2, 1]).images.cpu(), data.subset([2, 1]).images)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": torch.zeros(7, 3, 2, 2)}, "images: torch.float32"),
        ({"images": torch.zeros(7, 1, 2, 2, dtype=torch.uint8)}, r"images: .*\(7, 1, 2, 2\)"),
        ({"images": torch.zeros(0, 3, 2, 2, dtype=torch.uint8)}, "at least one image"),
        ({"labels": torch.zeros(6, dtype=torch.int64)}, "one label an image"),
        ({"labels": torch.zeros(7, dtype=torch.int32)}, "labels: torch.int32"),
        ({"labels": torch.full((7,), 3)}, "labels from 3 to 3: expected 0 to 2"),
        ({"labels": torch.full((7,), -1)}, "labels from -1"),
    ],
)
def test_construction_refuses(change: dict[str, torch.Tensor], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(image_set(), **change)
