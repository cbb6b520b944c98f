"""Batches: every image once an epoch, the same for any number of processes, normalised as on the device."""

import dataclasses
import itertools
from types import ModuleType

import numpy as np
import pytest
import torch

from groupnl.training import TrainConfig
from groupnl.training.feed import Feed, Normalizer

CPU = torch.device("cpu")
PLAIN = {"crop_padding": 0, "flip": False}


def feed(tiny: ModuleType, config: TrainConfig, **place: int) -> Feed:
    return Feed(tiny.image_set(), Normalizer(tiny.PREPROCESSING, CPU, channels_last=False), config, **place)


@pytest.mark.parametrize("channels_last", [False, True])
def test_normalises_as_the_device_does(channels_last: bool, tiny: ModuleType) -> None:
    images = tiny.image_set().images
    normalised = Normalizer(tiny.PREPROCESSING, CPU, channels_last=channels_last)(images)
    np.testing.assert_allclose(normalised.numpy(), tiny.PREPROCESSING.normalize(images.numpy()), rtol=1e-5, atol=1e-6)
    assert normalised.is_contiguous(memory_format=torch.channels_last) == channels_last
    assert images.dtype == torch.uint8


@pytest.mark.parametrize("size", [8, 20, 40])
def test_every_image_comes_once_an_epoch(size: int, tiny: ModuleType) -> None:
    batches = feed(tiny, tiny.config(batch_size=size, **PLAIN))
    images = Normalizer(tiny.PREPROCESSING, CPU, channels_last=False)(tiny.image_set().images)
    assert batches.steps_per_epoch == 40 // size
    epochs = []
    for epoch in range(2):
        seen = [batches.batch(epoch, index) for index in range(batches.steps_per_epoch)]
        shown = torch.cat([batch.images for batch in seen])
        order = [int((images == image).flatten(1).all(1).nonzero()[0]) for image in shown]
        assert sorted(order) == list(range(40))
        assert torch.equal(torch.cat([batch.labels for batch in seen]), tiny.image_set().labels[order])
        epochs.append(order)
    assert epochs[0] != epochs[1]


def test_an_incomplete_batch_is_dropped(tiny: ModuleType) -> None:
    assert feed(tiny, tiny.config(batch_size=16)).steps_per_epoch == 2


def test_a_step_does_not_depend_on_what_came_before(tiny: ModuleType) -> None:
    config = tiny.config(mixup_alpha=1.0)
    walked, jumped = feed(tiny, config), feed(tiny, config)
    for index in range(4):
        walked.batch(1, index)
    assert torch.equal(walked.batch(2, 3).images, jumped.batch(2, 3).images)
    assert not torch.equal(walked.batch(2, 3).images, walked.batch(2, 2).images)


def test_the_seed_changes_order_and_augmentation(tiny: ModuleType) -> None:
    first, second = (feed(tiny, tiny.config(seed=seed)).batch(0, 0) for seed in (0, 1))
    assert not torch.equal(first.images, second.images)


def test_every_step_of_every_epoch_has_draws_of_its_own(tiny: ModuleType) -> None:
    data = tiny.image_set()
    same = dataclasses.replace(data, images=data.images[:1].expand(40, -1, -1, -1).contiguous())
    batches = Feed(same, Normalizer(tiny.PREPROCESSING, CPU, channels_last=False), tiny.config())
    drawn = [batches.batch(epoch, index).images for epoch in range(3) for index in range(3)]
    assert not any(torch.equal(a, b) for a, b in itertools.combinations(drawn, 2))


@pytest.mark.parametrize("processes", [2, 4])
def test_the_processes_shares_are_the_whole_batch(processes: int, tiny: ModuleType) -> None:
    config = tiny.config(cutmix_alpha=1.0)
    whole = feed(tiny, config).batch(1, 2)
    shares = [feed(tiny, config, process=p, processes=processes).batch(1, 2) for p in range(processes)]
    assert torch.equal(torch.cat([share.images for share in shares]), whole.images)
    assert torch.equal(torch.cat([share.labels for share in shares]), whole.labels)
    assert {share.mix for share in shares} == {whole.mix}


@pytest.mark.parametrize(
    ("allowed", "flip", "mirrored"), [(True, None, True), (False, None, False), (True, False, False)]
)
def test_mirrors_only_where_the_label_allows(
    allowed: bool, flip: bool | None, mirrored: bool, tiny: ModuleType
) -> None:
    data = tiny.image_set(horizontal_flip=allowed)
    config = tiny.config(crop_padding=0, flip=flip, batch_size=40)
    normalize = Normalizer(tiny.PREPROCESSING, CPU, channels_last=False)
    shown = Feed(data, normalize, config).batch(0, 0).images
    originals = normalize(data.images)
    untouched = sum(bool((originals == image).flatten(1).all(1).any()) for image in shown)
    assert (untouched < 40) == mirrored
    assert untouched > 5
