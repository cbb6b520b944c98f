"""The patterns: as many as fit, four kinds in turn, the same for the same seed, none empty."""

import pytest
import torch
from torch import Tensor

from groupnl.training.augment import mixing_pictures as module
from groupnl.training.augment.mixing_pictures import mixing_pictures


def bank(size: tuple[int, int], seed: int = 0) -> Tensor:
    return mixing_pictures(size, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("size", "count"), [((5, 4), 512), ((12, 17), 160), ((40, 30), 24), ((70, 110), 16)])
def test_as_many_as_fit(size: tuple[int, int], count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BANK_BYTES", 10**5)
    pictures = bank(size)
    assert pictures.shape == (count, 3, *size)
    assert pictures.dtype == torch.uint8


def test_they_come_from_the_seed() -> None:
    first = bank((12, 17))
    assert torch.equal(first, bank((12, 17)))
    assert not torch.equal(first, bank((12, 17), seed=1))


def test_they_are_patterns_and_all_differ() -> None:
    pictures = bank((24, 30)).double()
    assert len({picture.numpy().tobytes() for picture in pictures}) == len(pictures)
    spread = pictures.flatten(1).std(1)
    assert (spread > 10).double().mean() > 0.98
    levels = torch.bincount(pictures.long().flatten(), minlength=256) / pictures.numel()
    assert (levels > 0.0005).all()  # every level occurs


def test_noise_is_the_roughest() -> None:
    pictures = bank((24, 30)).double()
    steps = (pictures[..., 1:] - pictures[..., :-1]).abs().mean((1, 2, 3)) / pictures.flatten(1).std(1)
    _, waves, noise, cells = (steps[kind::4].mean().item() for kind in range(4))
    assert cells < waves < noise
