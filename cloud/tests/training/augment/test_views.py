"""Views depend on seed, epoch and step alone, whatever the processes; with a divergence the plain pictures lead."""

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor

from groupnl.training import TrainConfig
from groupnl.training.augment import Augmenter, mixing_pictures

CPU = torch.device("cpu")
AUGMENTS = ("augmix", "pixmix", "randaugment")
every = pytest.mark.parametrize("augment", AUGMENTS)
WHOLE = slice(0, 20)


@pytest.fixture(autouse=True)
def _few_patterns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mixing_pictures, "_MOST", 32)


def augmenter(augment: str, **changes: Any) -> Augmenter:
    config = TrainConfig(augment=augment, batch_size=20, **changes)  # type: ignore[arg-type]
    return Augmenter(config, size=(24, 29), device=CPU)


@every
def test_a_pure_function_of_seed_epoch_and_step(augment: str, images: Tensor) -> None:
    first = augmenter(augment)
    shown = [first(images, WHOLE, epoch=epoch, index=index) for epoch in range(2) for index in range(2)]
    shown.append(augmenter(augment, seed=1)(images, WHOLE, epoch=0, index=0))
    assert not any(torch.equal(a, b) for a, b in itertools.combinations(shown, 2))
    assert torch.equal(augmenter(augment)(images, WHOLE, epoch=1, index=1), shown[3])


@every
@pytest.mark.parametrize("jsd_weight", [0.0, 12.0])
def test_what_is_shown(augment: str, jsd_weight: float, images: Tensor) -> None:
    shown = augmenter(augment, jsd_weight=jsd_weight)(images, WHOLE, epoch=0, index=0)
    assert shown.dtype == torch.float32
    if not jsd_weight:
        assert shown.shape == images.shape
        return
    plain, first, second = shown.unflatten(0, (3, 20))
    assert torch.equal(plain, images.float())
    assert not torch.equal(first, second)
    for view in (first, second):
        changed = (view != plain).flatten(1).any(1)
        assert changed.sum() >= 12  # PixMix leaves a tenth as they are, RandAugment fewer
        assert view.min() >= 0
        assert view.max() <= 255.001


@every
@pytest.mark.parametrize("jsd_weight", [0.0, 12.0])
def test_the_processes_shares_are_the_whole_batch(augment: str, jsd_weight: float, images: Tensor) -> None:
    views = 3 if jsd_weight else 1
    make = augmenter(augment, jsd_weight=jsd_weight)
    whole = make(images, WHOLE, epoch=2, index=3).unflatten(0, (views, 20))
    shares = [
        make(images[part], part, epoch=2, index=3).unflatten(0, (views, 5))
        for part in (slice(start, start + 5) for start in range(0, 20, 5))
    ]
    assert torch.equal(torch.cat(shares, 1), whole)


@pytest.mark.parametrize(
    ("augment", "changes"),
    [
        ("augmix", {"augment_severity": 6.0}),
        ("augmix", {"augment_width": 1}),
        ("augmix", {"augment_depth": 1}),
        ("pixmix", {"augment_severity": 6.0}),
        ("pixmix", {"augment_depth": 1}),
        ("randaugment", {"augment_severity": 20.0}),
        ("randaugment", {"augment_depth": 1}),
    ],
)
def test_every_setting_counts(augment: str, changes: dict[str, Any], images: Tensor) -> None:
    usual, other = augmenter(augment), augmenter(augment, **changes)
    assert not torch.equal(usual(images, WHOLE, epoch=0, index=0), other(images, WHOLE, epoch=0, index=0))
