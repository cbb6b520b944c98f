"""Batches from files: crops against a plain loop, the same for any number of processes and wherever a run begins."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from groupnl.data import ImageSet, LazyImages
from groupnl.training import TrainConfig, train
from groupnl.training.feed import Normalizer
from groupnl.training.stream import StreamFeed, create_feed, draw_box, load_crop
from groupnl_device.preprocessing import Preprocessing

FIT = Preprocessing(input_size=(3, 16, 20), mean=(0.5, 0.4, 0.3), std=(0.2, 0.25, 0.3))
COUNT = 12


@pytest.fixture
def data(tmp_path: Path) -> ImageSet:
    """Twelve noisy pictures of different sizes, whose brightness gives the class away."""
    random = np.random.default_rng(0)
    paths = []
    for index in range(COUNT):
        size = (24 + 3 * index, 60 - 2 * index, 3)
        levels = random.integers(0, 60, size) + 60 * (index % 3)
        paths.append(tmp_path / f"{index}.png")
        Image.fromarray(levels.astype(np.uint8)).save(paths[-1])
    labels = torch.arange(COUNT) % 3
    names = ("dark", "middle", "bright")
    return ImageSet(
        name="files",
        split="train",
        images=LazyImages(paths, FIT),
        labels=labels,
        class_names=names,
        horizontal_flip=True,
        files=tuple(path.name for path in paths),
    )


def settings(**changes: Any) -> TrainConfig:
    values: dict[str, Any] = {"epochs": 2, "batch_size": 4, "lr": 0.05, "crop_area": 0.08}
    return TrainConfig(**{**values, **changes})


def feed(data: ImageSet, config: TrainConfig, **place: int) -> StreamFeed:
    normalize = Normalizer(FIT, torch.device("cpu"), channels_last=False)
    made = create_feed(data, normalize, config, **place)
    assert isinstance(made, StreamFeed)
    return made


def net() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)
        )


def test_boxes_lie_inside_and_have_the_shapes_that_were_asked_for() -> None:
    draws = np.random.default_rng(0).random((3000, 10, 4))
    boxes = np.array([draw_box(120, 90, 0.08, one) for one in draws])
    wide, high = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    assert (boxes >= 0).all()
    assert (boxes[:, 2] <= 120).all()
    assert (boxes[:, 3] <= 90).all()
    assert (wide / high).min() > 0.7
    assert (wide / high).max() < 1.4
    share = wide * high / (120 * 90)
    assert share.min() < 0.09
    assert share.max() > 0.95
    corners = {(left == 0, top == 0) for left, top, *_ in boxes.tolist()}
    assert len(corners) == 4
    # as long as all fit, the area is uniform: mean of 0.08 to 0.5
    small = [draw_box(100, 100, 0.08, np.array([[a / 0.92 * 0.42, *rest]])) for a, *rest in draws[:, 0] * 0.92]
    area = np.array([(right - left) * (bottom - top) / 10**4 for left, top, right, bottom in small])
    assert area.mean() == pytest.approx(0.08 + 0.92 * 0.42 / 2, rel=0.03)


def test_a_crop_that_never_fits_becomes_the_central_one() -> None:
    whole = np.ones((10, 4)) - 1e-9  # all of the area, 4/3 wide: too wide for a tall picture
    assert draw_box(30, 90, 1.0, whole) == (0, 25, 30, 65)
    assert draw_box(90, 30, 1.0, whole) == (25, 0, 65, 30)
    assert draw_box(40, 30, 1.0, whole) == (0, 0, 40, 30)


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_crop_is_pillows(mirrored: bool, data: ImageSet) -> None:
    draws = np.random.default_rng(2).random((10, 4))
    assert isinstance(data.images, LazyImages)
    with Image.open(data.images.paths[5]) as picture:
        box = draw_box(*picture.size, 0.3, draws)
        expected = np.asarray(picture.crop(box).resize((20, 16), Image.Resampling.BILINEAR))
    loaded = load_crop(data.images.paths[5], FIT, 0.3, draws, mirrored)
    np.testing.assert_array_equal(loaded, expected[:, ::-1] if mirrored else expected)


def test_every_picture_comes_once_an_epoch(data: ImageSet) -> None:
    batches = feed(data, settings())
    assert batches.steps_per_epoch == 3
    for epoch in range(2):
        shown = [batches.batch(epoch, index) for index in range(3)]
        order = torch.cat([batch.labels for batch in shown])
        assert sorted(order.tolist()) == sorted(data.labels.tolist())
        assert torch.equal(order, data.labels[batches.epoch_order(epoch)])
        assert all(batch.images.shape == (4, 3, 16, 20) for batch in shown)
        # the brightness of each picture is its class's
        means = torch.cat([batch.images.mean((1, 2, 3)) for batch in shown])
        assert max(means[order == 0]) < min(means[order == 1])
        assert max(means[order == 1]) < min(means[order == 2])


def test_a_step_does_not_depend_on_what_came_before(data: ImageSet) -> None:
    walked, jumped = feed(data, settings()), feed(data, settings())
    for index in range(3):
        walked.batch(0, index)
    assert torch.equal(walked.batch(1, 2).images, jumped.batch(1, 2).images)
    assert torch.equal(walked.batch(0, 1).images, jumped.batch(0, 1).images)  # and back
    assert not torch.equal(walked.batch(1, 2).images, walked.batch(1, 1).images)


@pytest.mark.parametrize("augment", ["plain", "augmix"])
def test_the_processes_shares_are_the_whole_batch(augment: str, data: ImageSet) -> None:
    config = settings(augment=augment)
    views = 3 if augment == "augmix" else 1
    whole = feed(data, config).batch(1, 2)
    shares = [feed(data, config, process=p, processes=2).batch(1, 2) for p in range(2)]
    images = [share.images.unflatten(0, (views, 2)) for share in shares]
    assert torch.equal(torch.cat(images, 1).flatten(0, 1), whole.images)
    assert torch.equal(torch.cat([share.labels for share in shares]), whole.labels)


def test_mirrors_only_where_the_label_allows(data: ImageSet) -> None:
    def shown(**changes: Any) -> torch.Tensor:
        allowed = dataclasses.replace(data, horizontal_flip=changes.pop("allowed"))
        return feed(allowed, settings(batch_size=12, **changes)).batch(0, 0).images

    never, some = shown(allowed=False), shown(allowed=True)
    mirrored = [torch.equal(a.flip(2), b) for a, b in zip(never, some, strict=True)]
    assert 0 < sum(mirrored) < 12
    assert all(m or torch.equal(a, b) for m, a, b in zip(mirrored, never, some, strict=True))
    assert torch.equal(shown(allowed=True, flip=False), never)


def test_a_damaged_picture_is_named(data: ImageSet) -> None:
    assert isinstance(data.images, LazyImages)
    data.images.paths[3].write_bytes(b"no picture")
    batches = feed(data, settings(batch_size=12))
    with pytest.raises(ValueError, match=r"3\.png: not a picture that can be read"):
        batches.batch(0, 0)


def test_a_run_on_files_and_resumed(data: ImageSet, tmp_path: Path) -> None:
    arguments: dict[str, Any] = {"preprocessing": FIT, "config": settings(), "progress": False}
    first, model = net(), net()
    result = train(first, data, dataclasses.replace(data, split="test"), run_dir=tmp_path / "whole", **arguments)
    assert result.steps == 6
    assert result.train_minus_test == 0
    (tmp_path / "cut").mkdir()

    class StoppedError(Exception):
        pass

    calls = iter(range(100))

    def stop(*_: object) -> None:
        if next(calls) == 4:
            raise StoppedError

    hook = model[0].register_forward_pre_hook(stop)
    arguments["config"] = dataclasses.replace(settings(), checkpoint_seconds=0.0)
    with pytest.raises(StoppedError):
        train(model, data, dataclasses.replace(data, split="test"), run_dir=tmp_path / "cut", **arguments)
    hook.remove()
    resumed = net()
    again = train(
        resumed, data, dataclasses.replace(data, split="test"), run_dir=tmp_path / "cut", resume=True, **arguments
    )
    assert 0 < again.resumed_from_step < 6
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name


def test_files_need_a_crop_and_a_crop_needs_files(data: ImageSet, tmp_path: Path) -> None:
    run = tmp_path / "run"
    with pytest.raises(ValueError, match=r"'files' are decoded from files: give crop_area, such as 0\.08"):
        train(net(), data, None, settings(crop_area=None), run, preprocessing=FIT)
    decoded = dataclasses.replace(data, images=data.images[:])
    with pytest.raises(
        ValueError, match=r"crop_area=0\.08 cuts from picture files, but 'files' is in memory: leave it"
    ):
        train(net(), decoded, None, settings(), run, preprocessing=FIT)
    assert not run.exists()
