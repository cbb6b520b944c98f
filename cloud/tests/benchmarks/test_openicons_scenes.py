"""Scenes: the same ones every time, masks that agree with the pictures, no icon on both sides."""

import numpy as np
import pytest
import torch
from benchmarks.openicons_scenes import CLASSES, SIZE, cut_out, draw_scenes

from benchmarks import openicons_scenes
from groupnl.data import load


@pytest.fixture(scope="module")
def scenes():
    return draw_scenes("train", 40)


def disc(radius: float, colour: tuple[int, int, int]) -> np.ndarray:
    """A disc on white whose rim is mixed by how much of each pixel it covers, counted on a 16 times finer grid."""
    fine = (np.arange(32 * 16) + 0.5) / 16 - 16
    covered = (fine[:, None] ** 2 + fine[None] ** 2 < radius**2).reshape(32, 16, 32, 16).mean(axis=(1, 3))
    mixed = covered * np.array(colour)[:, None, None] + (1 - covered) * 255
    return np.round(mixed).astype(np.uint8), covered


def test_shapes_and_names(scenes):
    assert scenes.images.shape == (40, 3, SIZE, SIZE)
    assert scenes.images.dtype == torch.uint8
    assert scenes.classes.shape == (40, SIZE, SIZE)
    assert scenes.class_names == ("ground", *CLASSES)
    assert set(scenes.classes.unique().tolist()) == set(range(len(CLASSES) + 1))


def test_a_scene_depends_on_split_seed_and_index_alone(scenes):
    fewer = draw_scenes("train", 7)
    assert torch.equal(fewer.images, scenes.images[:7])
    assert torch.equal(fewer.classes, scenes.classes[:7])
    for other in (draw_scenes("train", 7, seed=1), draw_scenes("test", 7)):
        assert not torch.equal(other.images, fewer.images)
        assert not torch.equal(other.classes, fewer.classes)


def test_scenes_of_one_split_never_use_the_icons_of_the_other(monkeypatch):
    used: dict[str, set[bytes]] = {}
    for split in ("train", "test"):
        seen = used.setdefault(split, set())
        monkeypatch.setattr(
            openicons_scenes, "cut_out", lambda image, seen=seen: (seen.add(image.tobytes()), cut_out(image))[1]
        )
        draw_scenes(split, 1)
        icons = load("openicons", split=split)
        chosen = [icons.class_names[label] in CLASSES for label in icons.labels.tolist()]
        assert seen == {image.tobytes() for image in icons.images.numpy()[chosen]}
    assert not used["train"] & used["test"]


@pytest.mark.parametrize("radius", [5.0, 9.3, 14.6])
def test_a_cut_out_disc_has_its_colour_and_its_share_of_every_rim_pixel(radius):
    colour = (200, 30, 90)
    picture, covered = disc(radius, colour)
    layers = np.asarray(cut_out(picture)).astype(int)
    visible = layers[..., 3] > 0
    assert np.abs(layers[..., :3][visible] - colour).max() <= 2  # no white rim
    assert np.abs(layers[..., 3] / 255 - covered).max() < 0.05


def test_white_inside_an_icon_stays_the_icons():
    picture = np.full((3, 32, 32), 255, np.uint8)
    picture[:, 8:24, 8:24] = 40
    picture[:, 12:20, 12:20] = 255
    opacity = np.asarray(cut_out(picture))[..., 3]
    assert (opacity[8:24, 8:24] == 255).all()
    assert opacity.sum() == 16 * 16 * 255


def test_an_icon_that_fills_its_square_stays_whole():
    opacity = np.asarray(cut_out(np.full((3, 32, 32), 90, np.uint8)))[..., 3]
    assert (opacity == 255).all()


def test_the_mask_says_where_the_picture_differs_from_its_ground(monkeypatch):
    """On a ground of one colour that hardly any icon holds, a pixel is an icon's where it is not that colour."""
    ground = np.array([0, 255, 1], np.uint8)
    monkeypatch.setattr(openicons_scenes, "_GROUNDS", (lambda rng: np.broadcast_to(ground, (SIZE, SIZE, 3)).copy(),))
    scenes = draw_scenes("test", 60)
    distance = (scenes.images.int() - torch.from_numpy(ground).int()[:, None, None]).abs().sum(dim=1)
    is_icon = scenes.classes > 0
    assert (distance > 60)[is_icon].float().mean() > 0.99
    assert (distance == 0)[~is_icon].float().mean() > 0.93  # the rest: rims that are less than half an icon's


def test_later_icons_hide_earlier_ones(monkeypatch):
    """With icons of one full colour a class, picture and mask must name the same class at every pixel."""
    levels = {name: 10 + 20 * number for number, name in enumerate(CLASSES)}
    icons = load("openicons", split="train")
    fills = torch.tensor([levels.get(name, 0) for name in icons.class_names], dtype=torch.uint8)
    flat = type(icons)(
        name=icons.name,
        split=icons.split,
        images=fills[icons.labels][:, None, None, None].expand(-1, 3, 32, 32).contiguous(),
        labels=icons.labels,
        class_names=icons.class_names,
        horizontal_flip=True,
    )
    monkeypatch.setattr(openicons_scenes, "load", lambda *_args, **_options: flat)
    monkeypatch.setattr(openicons_scenes, "_GROUNDS", (lambda rng: np.full((SIZE, SIZE, 3), 250, np.uint8),))
    scenes = draw_scenes("train", 50)
    expected = torch.tensor([250, *levels.values()], dtype=torch.uint8)[scenes.classes]
    assert torch.equal(scenes.images, expected[:, None].expand(-1, 3, -1, -1))


def test_refusals():
    with pytest.raises(ValueError, match="split='val': expected 'train' or 'test'"):
        draw_scenes("val", 1)
    with pytest.raises(ValueError, match="count=0: expected at least 1 scene"):
        draw_scenes("train", 0)
