"""PixMix against a plain loop, and the distribution of its draws."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from groupnl.training.augment.operations import NAMES, NOTHING
from groupnl.training.augment.pixmix import PixmixDraws, draw_pixmix, pixmix

SIZE, BANK = (24, 29), 7


def draw(count: int, *, seed: int = 0, views: int = 2) -> PixmixDraws:
    generator = torch.Generator().manual_seed(seed)
    return draw_pixmix(count, views=views, severity=3.0, rounds=4, bank=BANK, size=SIZE, generator=generator)


def patterns() -> Tensor:
    return torch.randint(0, 256, (BANK, 3, *SIZE), generator=torch.Generator().manual_seed(8), dtype=torch.uint8)


def test_as_a_plain_loop(images: Tensor, as_pillow: Callable[..., np.ndarray]) -> None:
    bank, draws = patterns(), draw(len(images))
    mixed = pixmix(images, bank, draws).numpy() / 255

    def operated(picture: np.ndarray, kinds: Tensor, values: Tensor) -> np.ndarray:
        kind = int(kinds)
        return as_pillow(picture, "nothing" if kind == NOTHING else NAMES[kind], float(values)) / 255

    assert mixed.shape == (2, len(images), 3, *SIZE)
    for v in range(2):
        for i, picture in enumerate(images.numpy()):
            expected = operated(picture, draws.first_kinds[v, i], draws.first_values[v, i])
            for k in range(4):
                if not draws.active[k, v, i]:
                    continue
                partner = operated(picture, draws.kinds[k, v, i], draws.values[k, v, i])
                if draws.patterned[k, v, i]:
                    partner = bank[draws.patterns[v, i]].numpy() / 255
                a, b = float(draws.own[k, v, i]), float(draws.other[k, v, i])
                if draws.multiplied[k, v, i]:
                    result = (2 * expected) ** a * np.maximum(2 * partner, 1e-37) ** b / 2
                else:
                    result = (a * (2 * expected - 1) + b * (2 * partner - 1) + 1) / 2
                expected = result.clip(0, 1)
            # A level that rounds differently in a turned picture is rare, and small.
            difference = np.abs(mixed[v, i] - expected)
            assert np.quantile(difference, 0.97) < 1e-5
            assert difference.mean() < 2e-4


def test_draws_are_those_of_the_published_code() -> None:
    draws = draw(20000, views=1)
    rounds = torch.bincount(draws.active.sum(0).flatten(), minlength=5) / 20000
    assert rounds.tolist() == pytest.approx([0.2] * 5, abs=0.015)
    for coin in (draws.patterned, draws.multiplied, draws.first_kinds == NOTHING):
        assert coin.double().mean().item() == pytest.approx(0.5, abs=0.015)
    assert set(draws.patterns.flatten().tolist()) == set(range(BANK))
    away = draws.other < 0  # a = 1 + Beta(1, 3), b = -Beta(1, 3); else Beta(3, 1) and Beta(1, 3): means 3/4 and 1/4
    assert away.double().mean().item() == pytest.approx(0.5, abs=0.01)
    for a, b, where in ((1.25, -0.25, away), (0.75, 0.25, ~away)):
        assert draws.own[where].mean().item() == pytest.approx(a, abs=0.005)
        assert draws.other[where].mean().item() == pytest.approx(b, abs=0.005)
        for coefficient in (draws.own, draws.other):  # variance of Beta(3, 1): 3/80
            assert coefficient[where].var().item() == pytest.approx(3 / 80, rel=0.04)


def test_black_and_white_stay_finite() -> None:
    extremes = torch.stack([torch.zeros(3, *SIZE), torch.full((3, *SIZE), 255.0)]).to(torch.uint8)
    for seed in range(4):
        mixed = pixmix(extremes.repeat(10, 1, 1, 1), extremes.repeat(4, 1, 1, 1)[:BANK], draw(20, seed=seed))
        assert mixed.isfinite().all()
        assert mixed.min() >= 0
        assert mixed.max() <= 255


def test_a_share_of_the_draws_is_that_share_of_the_pictures(images: Tensor) -> None:
    bank, draws = patterns(), draw(len(images))
    parts = [pixmix(images[part], bank, draws.share(part)) for part in (slice(0, 7), slice(7, 20))]
    assert torch.equal(torch.cat(parts, 1), pixmix(images, bank, draws))
