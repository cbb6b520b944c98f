"""AugMix against a plain loop with Pillow, and the distribution of its draws."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from groupnl.training.augment.augmix import OPERATIONS, AugmixDraws, augmix, draw_augmix
from groupnl.training.augment.operations import NAMES, NOTHING

SIZE = (24, 29)


def draw(count: int, *, seed: int = 0, size: tuple[int, int] = SIZE, **changes: float | None) -> AugmixDraws:
    settings = {"views": 2, "severity": 3.0, "width": 3, "depth": None, **changes}
    return draw_augmix(count, size=size, generator=torch.Generator().manual_seed(seed), **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("changes", [{}, {"severity": 10.0, "width": 2, "views": 1}, {"depth": 5, "width": 1}], ids=str)
def test_as_a_plain_loop(changes: dict[str, float], images: Tensor, as_pillow: Callable[..., np.ndarray]) -> None:
    draws = draw(len(images), **changes)
    mixed = augmix(images, draws).numpy()
    depth, views, width, count = draws.kinds.shape
    assert mixed.shape == (views, count, 3, *SIZE)
    for view in range(views):
        for i, picture in enumerate(images.numpy()):
            expected = float(draws.own[view, i]) * picture.astype(float)
            for chain in range(width):
                changed = picture
                for step in range(depth):
                    kind = int(draws.kinds[step, view, chain, i])
                    name = "nothing" if kind == NOTHING else NAMES[kind]
                    changed = as_pillow(changed, name, float(draws.values[step, view, chain, i]))
                expected += float(draws.weights[view, chain, i]) * changed.astype(float)
            difference = np.abs(mixed[view, i] - expected)
            # A level that rounds differently in a turned picture may be stretched later: rare, and small.
            assert np.quantile(difference, 0.97) < 1e-3
            assert difference.mean() < 0.05


def test_weights_are_those_of_the_paper() -> None:
    draws = draw(20000)
    torch.testing.assert_close(draws.own + draws.weights.sum(1), torch.ones(2, 20000))
    # Beta(1, 1) is uniform; a share of Dirichlet(1, 1, 1) is Beta(1, 2): mean 1/3, variance 1/18
    assert draws.own.mean().item() == pytest.approx(1 / 2, abs=0.006)
    assert draws.own.var().item() == pytest.approx(1 / 12, rel=0.03)
    shares = draws.weights / (1 - draws.own).unsqueeze(1)
    assert shares.mean((0, 2)).tolist() == pytest.approx([1 / 3] * 3, abs=0.006)
    assert shares.var((0, 2)).tolist() == pytest.approx([1 / 18] * 3, rel=0.03)


def test_chains_have_one_two_or_three_operations() -> None:
    kinds = draw(20000).kinds
    depths = (kinds != NOTHING).sum(0)
    counts = torch.bincount(depths.flatten(), minlength=4) / depths.numel()
    assert counts.tolist() == pytest.approx([0, 1 / 3, 1 / 3, 1 / 3], abs=0.01)
    assert not ((kinds[0] == NOTHING) | ((kinds[1] == NOTHING) & (kinds[2] != NOTHING))).any()
    used = torch.bincount(kinds[kinds != NOTHING], minlength=len(NAMES))
    assert {NAMES[number] for number in used.nonzero().flatten()} == set(OPERATIONS)
    assert (used[used > 0] / used.sum()).tolist() == pytest.approx([1 / 9] * 9, abs=0.005)
    assert (draw(100, depth=2).kinds != NOTHING).all()


def test_no_operation_is_a_corruption_that_is_tested_with() -> None:
    assert not {"brightness", "contrast", "color", "sharpness"} & set(OPERATIONS)


def test_strengths_are_those_of_the_published_code() -> None:
    # severity 3: int(U(0.1, 3) * maximum / 10), maximum 30 degrees, 4 bits, 256 levels, a third of the side; shear 0.3
    draws = draw(20000, size=(32, 64))

    def values(name: str) -> Tensor:
        return draws.values[draws.kinds == NAMES.index(name)]

    assert set(values("posterize").tolist()) == {3.0, 4.0}
    assert set(values("solarize").tolist()) == {float(level) for level in range(256 - 76, 255)}
    assert set(values("rotate").tolist()) == {float(angle) for angle in range(-8, 9)}
    assert set(values("translate_x").tolist()) == {float(pixels) for pixels in range(-6, 7)}
    assert set(values("translate_y").tolist()) == {float(pixels) for pixels in range(-3, 4)}
    for name in ("shear_x", "shear_y"):
        slopes = values(name)
        assert slopes.abs().min() >= 0.003
        assert slopes.abs().max() <= 0.09
        assert slopes.abs().mean().item() == pytest.approx(0.0465, rel=0.02)
        assert (slopes > 0).double().mean().item() == pytest.approx(0.5, abs=0.02)


def test_a_share_of_the_draws_is_that_share_of_the_pictures(images: Tensor) -> None:
    draws = draw(len(images))
    whole = augmix(images, draws)
    parts = [augmix(images[part], draws.share(part)) for part in (slice(0, 7), slice(7, 20))]
    assert torch.equal(torch.cat(parts, 1), whole)


def test_the_pictures_stay_as_they_are(images: Tensor) -> None:
    before = images.clone()
    augmix(images, draw(len(images)))
    assert torch.equal(images, before)
