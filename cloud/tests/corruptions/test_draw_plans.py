import numpy as np
import pytest
import scipy.stats
import torch

from groupnl.corruptions import CORRUPTIONS, SEVERITIES, corrupt, names
from groupnl.corruptions.draw_plans import camera_angles, glass_offsets, snow_flakes
from groupnl.corruptions.draws import DrawSource


def source(name: str, count: int, *, first_index: int = 0) -> DrawSource:
    device = torch.device("cpu")
    return DrawSource(seed=2, corruption=name, severity=3, first_index=first_index, count=count, device=device)


@pytest.mark.parametrize("name", names("all"))
@pytest.mark.parametrize("severity", SEVERITIES)
def test_every_draw_has_the_pictures_on_its_first_axis(name: str, severity: int) -> None:
    corruption = CORRUPTIONS[name]
    for variant in ("cifar", "imagenet"):
        constants = corruption.constants(variant, severity)  # type: ignore[arg-type]
        whole = corruption.draws(source(name, 5), (3, 11, 14), constants)
        later = corruption.draws(source(name, 2, first_index=3), (3, 11, 14), constants)
        assert whole.keys() == later.keys()
        for key, draws in whole.items():
            assert draws.shape[0] == 5
            assert torch.equal(draws[3:], later[key])


@pytest.mark.parametrize(("plan", "low"), [(camera_angles, -45), (snow_flakes, -135)])
def test_angles_are_uniform_over_a_quarter_turn(plan, low: int) -> None:  # type: ignore[no-untyped-def]
    angles = plan(source("motion_blur", 20_000), (3, 2, 2), {})["angles"].numpy()
    assert angles.shape == (20_000,)
    assert scipy.stats.kstest(angles, scipy.stats.uniform(low, 90).cdf).pvalue > 1e-3


@pytest.mark.parametrize("reach", [1, 2, 3, 4])
def test_glass_offsets_are_uniform_and_lack_the_upper_end(reach: int) -> None:
    offsets = glass_offsets(source("glass_blur", 40), (3, 30, 26), {"reach": reach, "iterations": 2})["offsets"]
    assert offsets.shape == (40, 2, 30 - 2 * reach, 26 - 2 * reach, 2)
    assert offsets.dtype == torch.int64
    pairs = offsets.reshape(-1, 2).numpy() + reach
    assert pairs.min() == 0
    counts = np.bincount(pairs[:, 0] * 2 * reach + pairs[:, 1])
    assert len(counts) == (2 * reach) ** 2
    assert scipy.stats.chisquare(counts).pvalue > 1e-3


@pytest.mark.parametrize(("severity", "amount"), [(1, 0.01), (3, 0.03), (5, 0.07)])
def test_impulse_noise_turns_the_published_share_half_to_white(severity: int, amount: float) -> None:
    grey = torch.full((60, 3, 40, 40), 100, dtype=torch.uint8)
    corrupted = corrupt(grey, "impulse_noise", severity=severity)
    white, black = (corrupted == 255), (corrupted == 0)
    assert (white | black | (corrupted == 100)).all()
    for hit in (white, black):
        assert abs(hit.double().mean().item() - amount / 2) < 4 * (amount / 2 / grey.numel()) ** 0.5
    hits = (white | black).double()
    both = (hits[:, 0] * hits[:, 1]).mean().item()
    assert abs(both - amount**2) < 5 * amount / (60 * 1600) ** 0.5  # the channels go wrong independently


@pytest.mark.parametrize(("severity", "scale"), [(1, 0.06), (3, 0.12), (5, 0.2)])
def test_speckle_noise_grows_with_the_light(severity: int, scale: float) -> None:
    for level in (30, 120):
        flat = torch.full((60, 3, 40, 40), level, dtype=torch.uint8)
        residual = (corrupt(flat, "speckle_noise", severity=severity).double() + 0.5 - level).flatten().numpy()
        spread = (scale**2 * level**2 + 1 / 12) ** 0.5  # the truncation adds a uniform error of one level
        assert abs(residual.mean()) < 4 * spread / len(residual) ** 0.5
        assert abs(residual.std() / spread - 1) < 0.01
        assert abs(scipy.stats.skew(residual)) < 0.03
