import numpy as np
import pytest
import torch
from torch import Tensor

from groupnl.corruptions import FrostPhotographs, corrupt
from groupnl.corruptions.frost import frost


def photographs(*sizes: tuple[int, int]) -> FrostPhotographs:
    rng = np.random.default_rng(5)
    images = tuple(torch.from_numpy(rng.integers(0, 256, (3, *size)).astype(np.uint8)) for size in sizes)
    return FrostPhotographs(images=images, source="test")


@pytest.mark.parametrize("every", [1, 5])
@pytest.mark.parametrize(("keep", "weight"), [(1, 0.4), (0.75, 0.45)])
def test_frost_is_its_definition(pictures: Tensor, every: int, keep: float, weight: float) -> None:
    given = photographs((200, 181), (143, 309), (164, 271))
    fractions = np.random.default_rng(1).random((len(pictures), 3))
    found = frost(
        pictures, fractions=torch.from_numpy(fractions), keep=keep, weight=weight, every=every, photographs=given
    )
    for picture, corrupted, (which, down, right) in zip(pictures.numpy(), found.numpy(), fractions, strict=True):
        photograph = given.images[int(which * 3)].numpy()
        if every == 5:  # linear interpolation at (i + 0.5) * 5 - 0.5 = 5 i + 2
            rows, columns = (round(size / 5) for size in photograph.shape[1:])
            photograph = photograph[:, 5 * np.arange(rows)[:, None] + 2, 5 * np.arange(columns) + 2]
        top, left = int(down * (photograph.shape[1] - 27)), int(right * (photograph.shape[2] - 34))
        crop = photograph[:, top : top + 27, left : left + 34]
        assert np.array_equal(corrupted, np.uint8(np.clip(keep * picture + weight * crop, 0, 255)))


def test_every_photograph_and_place_comes_up() -> None:
    levels = [torch.full((3, 10, 11), level, dtype=torch.uint8) for level in (10, 20, 30)]
    given = FrostPhotographs(images=tuple(levels), source="test")
    images = torch.zeros(3000, 3, 8, 8, dtype=torch.uint8)
    fractions = torch.rand(3000, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    found = frost(images, fractions=fractions, keep=1, weight=1, every=1, photographs=given)
    assert torch.equal(found, found[:, :1, :1, :1].expand_as(found))
    counts = torch.bincount(found[:, 0, 0, 0].int())[[10, 20, 30]]
    assert (counts - 1000).abs().max() < 100


def test_the_last_row_and_column_are_left_out_as_published() -> None:
    photograph = torch.zeros(3, 9, 12, dtype=torch.uint8)
    photograph[:, -1] = photograph[:, :, -1] = 200
    given = FrostPhotographs(images=(photograph,), source="test")
    fractions = torch.full((1, 3), 1 - 2.0**-33, dtype=torch.float64)
    images = torch.zeros(1, 3, 8, 8, dtype=torch.uint8)
    assert not frost(images, fractions=fractions, keep=1, weight=1, every=1, photographs=given).any()


@pytest.mark.parametrize("size", [(40, 30), (30, 64), (200, 150), (27, 34)])
def test_a_photograph_too_small_is_enlarged(size: tuple[int, int]) -> None:
    smooth = torch.arange(27, dtype=torch.uint8).reshape(1, -1, 1).mul(8).expand(3, 27, 34).contiguous()
    given = FrostPhotographs(images=(smooth,), source="test")
    fractions = torch.tensor([[0.5, 0.0, 0.0]], dtype=torch.float64)
    images = torch.zeros(1, 3, *size, dtype=torch.uint8)
    found = frost(images, fractions=fractions, keep=1, weight=1, every=1, photographs=given)[0, 0].int()
    assert found.shape == size
    steps = found[1:] - found[:-1]
    assert steps.min() >= -1  # the ramp is still one, but for rounding
    assert found.max() > 100
    assert (found - found[:, :1]).abs().max() <= 1


def test_corrupt_uses_the_photographs_given(pictures: Tensor) -> None:
    black = FrostPhotographs(images=(torch.zeros(3, 300, 300, dtype=torch.uint8),), source="black")
    assert torch.equal(corrupt(pictures, "frost", severity=1, frost_photographs=black), pictures)
    white = FrostPhotographs(images=(torch.full((3, 300, 300), 255, dtype=torch.uint8),), source="white")
    lighter = corrupt(pictures, "frost", severity=1, frost_photographs=white)
    assert torch.equal(lighter, (pictures.double() + 0.2 * 255).clamp(max=255).to(torch.uint8))
