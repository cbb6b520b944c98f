"""The benchmark of augmentation: every figure is there, and its plain AugMix is AugMix."""

import numpy as np
import pytest
import torch
from benchmarks.augment import METHODS, NETS, augmix_by_pillow, draw, measure, pictures

from groupnl.training import TrainConfig
from groupnl.training.augment import Augmenter


def test_every_figure_is_there() -> None:
    figures = measure(2, 16, torch.device("cpu"), at_least=0.0)
    assert list(figures["images_per_second"]) == list(METHODS)
    assert len(figures["one_at_a_time_images_per_second"]) == 3
    rates = [*figures["images_per_second"].values(), *figures["one_at_a_time_images_per_second"].values()]
    assert min(rates) > 0
    assert list(figures["steps"]) == list(NETS)
    for step in figures["steps"].values():
        expected = step["augmix_ms"] / (step["augmix_ms"] + step["three_views_step_ms"])
        assert step["augmix_share"] == pytest.approx(expected)


def test_the_reference_does_what_ours_does() -> None:
    images = pictures(256, 32)
    arrays, random = images.permute(0, 2, 3, 1).numpy(), np.random.default_rng(0)
    theirs = np.stack([augmix_by_pillow(array, random) for array in arrays])
    config = TrainConfig(augment="augmix", batch_size=256, jsd_weight=0.0)
    augment = Augmenter(config, size=(32, 32), device=torch.device("cpu"))
    ours = augment(images, slice(0, 256), epoch=0, index=0).permute(0, 2, 3, 1).numpy()
    change = [np.abs(views - arrays).mean() for views in (theirs, ours)]
    assert change[1] == pytest.approx(change[0], rel=0.15)  # four standard errors of the mean over 256 pictures
    assert ours.mean() == pytest.approx(theirs.mean(), abs=4)


def test_the_picture_begins_with_the_pictures_as_they_are() -> None:
    images = pictures(3, 16)
    axes = draw(images).axes
    assert [axis.get_ylabel() for axis in axes] == [
        "plain",
        "augmix, view 1",
        "augmix, view 2",
        "pixmix",
        "randaugment",
    ]
    strips = [np.asarray(axis.images[0].get_array()) for axis in axes]
    assert np.array_equal(strips[0], np.concatenate(list(images.permute(0, 2, 3, 1).numpy()), 1))
    assert all(not np.array_equal(strip, strips[0]) for strip in strips[1:])
