"""Mixup and CutMix against plain loops, and the draws' distribution."""

from types import ModuleType

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from groupnl.training import TrainConfig
from groupnl.training.mixing import Mix, draw_mix, heavier_labels, mix_images, mix_targets

MIXUP, CUTMIX = Mix(0.7, None), Mix(1 - 6 / 35, (1, 3, 2, 5))


def reference_images(images: np.ndarray, mix: Mix) -> np.ndarray:
    mixed = images.copy()
    for i in range(len(images)):
        partner = images[i + 1] if i % 2 == 0 else images[i - 1]
        if mix.box is None:
            mixed[i] = mix.share * images[i] + (1 - mix.share) * partner
        else:
            for y in range(mix.box[0], mix.box[1]):
                for x in range(mix.box[2], mix.box[3]):
                    mixed[i, :, y, x] = partner[:, y, x]
    return mixed


@pytest.mark.parametrize("mix", [MIXUP, CUTMIX])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_images_match_a_plain_loop(mix: Mix, memory_format: torch.memory_format) -> None:
    images = torch.randn(6, 3, 5, 7, generator=torch.Generator().manual_seed(0)).to(memory_format=memory_format)
    expected = torch.from_numpy(reference_images(images.numpy(), mix))
    torch.testing.assert_close(mix_images(images, mix), expected)


@pytest.mark.parametrize("mix", [MIXUP, CUTMIX])
def test_targets_are_smoothed_and_mixed(mix: Mix) -> None:
    targets = mix_targets(torch.tensor([2, 0, 1, 1]), mix, classes=4, smoothing=0.2)
    a, b = mix.share, 1 - mix.share
    rows = [[b, 0, a, 0], [a, 0, b, 0], [0, 1, 0, 0], [0, 1, 0, 0]]
    torch.testing.assert_close(targets, 0.8 * torch.tensor(rows, dtype=torch.float32) + 0.05)


def test_heavier_labels() -> None:
    labels = torch.tensor([3, 4, 5, 6])
    assert heavier_labels(labels, None).tolist() == [3, 4, 5, 6]
    assert heavier_labels(labels, Mix(0.6, None)).tolist() == [3, 4, 5, 6]
    assert heavier_labels(labels, Mix(0.4, None)).tolist() == [4, 3, 6, 5]


@pytest.mark.parametrize("mix", [MIXUP, CUTMIX])
def test_parts_of_the_batch_mixed_apart_are_the_batch_mixed_whole(mix: Mix) -> None:
    images = torch.randn(8, 3, 5, 7, generator=torch.Generator().manual_seed(1))
    parts = torch.cat([mix_images(images[:4], mix), mix_images(images[4:], mix)])
    assert torch.equal(parts, mix_images(images, mix))


def test_off_by_default() -> None:
    assert draw_mix(TrainConfig(), 0, 0, height=32, width=32) is None


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**40), step=st.integers(0, 10**6), height=st.integers(1, 40), width=st.integers(1, 40))
def test_the_share_is_what_cutmix_leaves(seed: int, step: int, height: int, width: int) -> None:
    config = TrainConfig(cutmix_alpha=1.0, seed=seed)
    mix = draw_mix(config, 3, step, height=height, width=width)
    assert mix is not None
    assert mix.box is not None
    assert mix == draw_mix(config, 3, step, height=height, width=width)
    own = torch.zeros(1, 1, height, width)
    mixed = mix_images(torch.cat([own, own + 1]), mix)
    assert mixed[1].mean().item() == pytest.approx(mix.share, abs=1e-5)


def test_shares_follow_the_beta_distribution(tiny: ModuleType) -> None:
    config = tiny.config(mixup_alpha=0.4)
    drawn = [draw_mix(config, 0, step, height=8, width=8) for step in range(4000)]
    shares = np.array([mix.share for mix in drawn if mix is not None])
    # Beta(a, a): mean 1/2, variance 1 / (4 (2 a + 1)); within four standard errors
    assert shares.mean() == pytest.approx(0.5, abs=4 * np.sqrt(1 / 7.2 / 4000))
    assert shares.var() == pytest.approx(1 / 7.2, rel=0.06)


def test_both_kinds_take_turns() -> None:
    config = TrainConfig(mixup_alpha=1.0, cutmix_alpha=1.0)
    drawn = [draw_mix(config, 0, step, height=32, width=32) for step in range(400)]
    cut = sum(mix is not None and mix.box is not None for mix in drawn)
    assert 150 < cut < 250
