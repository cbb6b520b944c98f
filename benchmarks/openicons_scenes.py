"""Scenes made of OpenIcons: several icons on one ground, and for every pixel the class of the icon that shows there.

The icons are shipped on white, so they are cut out first: the ground is what white reaches from the border. A white
part that touches the ground is lost with it, a hole that it does not reach stays the icon's.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from torch import Tensor

from groupnl.data import load

SIZE = 64  # side of a scene in pixels
ICONS = (2, 4)  # in a scene: fewest, most
SIDES = (20, 40)  # of an icon in a scene, in pixels
CLASSES = ("building", "clock", "face", "hand", "heart", "plant", "vehicle", "zodiac_or_religion")  # learned in minutes
_WHITE = 248  # all channels at least this: ground, if white joins it to the border
_BEYOND = 0.2  # share of an icon's side that may lie outside the scene
_SPLITS = ("train", "test")

Levels = NDArray[np.uint8]


@dataclass(frozen=True)
class Scenes:
    """Pictures and what they show.

    Attributes:
        images: uint8, shape (N, 3, SIZE, SIZE).
        classes: int64, shape (N, SIZE, SIZE): 0 for the ground, else the icon's number in ``class_names``.
        class_names: "ground", then the classes of OpenIcons that are drawn.
    """

    images: Tensor
    classes: Tensor
    class_names: tuple[str, ...]


def draw_scenes(split: Literal["train", "test"], count: int, *, seed: int = 0) -> Scenes:
    """Draw scenes from one side of OpenIcons' random split.

    Scene i is a function of (split, seed, i) alone: fewer scenes are the first of more.

    Raises:
        ValueError: ``split`` is unknown, or ``count`` is less than 1.
    """
    if split not in _SPLITS:
        raise ValueError(f"split={split!r}: expected {' or '.join(map(repr, _SPLITS))}")
    if count < 1:
        raise ValueError(f"count={count}: expected at least 1 scene")
    icons = load("openicons", split=split)
    labels = icons.labels.numpy()
    numbers = [icons.class_names.index(name) for name in CLASSES]
    shapes = [[cut_out(image) for image in icons.images.numpy()[labels == number]] for number in numbers]
    images = np.empty((count, SIZE, SIZE, 3), np.uint8)
    classes = np.zeros((count, SIZE, SIZE), np.int64)
    for index in range(count):
        rng = np.random.default_rng((_SPLITS.index(split), seed, index))
        scene = Image.fromarray(_GROUNDS[rng.integers(len(_GROUNDS))](rng))
        for _ in range(rng.integers(ICONS[0], ICONS[1] + 1)):
            number = int(rng.integers(len(CLASSES)))
            _paste(scene, classes[index], shapes[number][rng.integers(len(shapes[number]))], number + 1, rng)
        images[index] = np.asarray(scene)
    return Scenes(
        images=torch.from_numpy(images.transpose(0, 3, 1, 2).copy()),
        classes=torch.from_numpy(classes),
        class_names=("ground", *CLASSES),
    )


def cut_out(image: Levels) -> Image.Image:
    """Cut an icon out of the white that it lies on.

    A pixel of the rim is a mixture of white and the icon. The icon's colour there is taken as the darkest of the
    pixels around it, channel by channel; how much of it the pixel holds becomes its opacity.

    Args:
        image: RGB on white, shape (3, H, W).

    Returns:
        RGBA, of the same size.
    """
    white = np.pad((image >= _WHITE).all(axis=0), 1, constant_values=True)
    border = np.pad(np.zeros(image.shape[1:], bool), 1, constant_values=True)
    icon = ~ndimage.binary_propagation(border, mask=white)[1:-1, 1:-1]
    inner = ndimage.binary_erosion(icon, np.ones((3, 3)), border_value=1)
    colour = np.where(icon & ~inner, ndimage.minimum_filter(image, size=(1, 3, 3)), image)
    ink, full = 255.0 - image, np.maximum(255.0 - colour, 1)
    opacity = np.where(inner, 1.0, np.where(icon, (ink / full).max(axis=0), 0.0))
    layers = np.concatenate([colour, np.round(255 * opacity)[None].astype(np.uint8)])
    return Image.fromarray(layers.transpose(1, 2, 0).copy(), "RGBA")


def _paste(
    scene: Image.Image, classes: NDArray[np.int64], icon: Image.Image, label: int, rng: np.random.Generator
) -> None:
    """Put an icon at a random place and size, perhaps mirrored, in front of what is there."""
    side = int(rng.integers(SIDES[0], SIDES[1] + 1))
    icon = icon.resize((side, side), Image.Resampling.BICUBIC)
    if rng.random() < 0.5:
        icon = icon.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    beyond = int(_BEYOND * side)
    x, y = (int(place) for place in rng.integers(-beyond, SIZE - side + beyond + 1, size=2))
    scene.paste(icon, (x, y), icon)
    opacity = Image.new("L", scene.size)
    opacity.paste(icon.getchannel("A"), (x, y))
    classes[np.asarray(opacity) >= 128] = label


def _plain(rng: np.random.Generator) -> Levels:
    return np.broadcast_to(_colour(rng), (SIZE, SIZE, 3)).astype(np.uint8)


def _gradient(rng: np.random.Generator) -> Levels:
    angle = rng.uniform(0, 2 * np.pi)
    rows, columns = np.mgrid[0:SIZE, 0:SIZE]
    along = rows * np.sin(angle) + columns * np.cos(angle)
    share = ((along - along.min()) / np.ptp(along))[..., None]
    mixed: Levels = (share * _colour(rng) + (1 - share) * _colour(rng)).astype(np.uint8)
    return mixed


def _noise(rng: np.random.Generator) -> Levels:
    spread = rng.uniform(5, 40)
    noisy: Levels = np.clip(_colour(rng) + rng.normal(0, spread, (SIZE, SIZE, 3)), 0, 255).astype(np.uint8)
    return noisy


def _texture(rng: np.random.Generator) -> Levels:
    cells = int(rng.integers(3, 9))
    coarse = np.clip(_colour(rng) + rng.normal(0, 50, (cells, cells, 3)), 0, 255).astype(np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((SIZE, SIZE), Image.Resampling.BICUBIC))


def _colour(rng: np.random.Generator) -> NDArray[np.float64]:
    return np.clip(rng.uniform(20, 235) + rng.uniform(-60, 60, 3), 0, 255)


_GROUNDS: tuple[Callable[[np.random.Generator], Levels], ...] = (_plain, _gradient, _noise, _texture)
