"""What each corruption draws for a picture: a function of (source, shape of the picture, constants).

Each returns the draws as keyword arguments of the corruption, the first axis being the pictures.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from groupnl.corruptions.draws import DrawSource
from groupnl.corruptions.fog import map_size

Constants = Mapping[str, float]
PictureShape = tuple[int, int, int]  # (C, H, W)


def no_draws(_source: DrawSource, _shape: PictureShape, _constants: Constants) -> dict[str, Tensor]:
    """A deterministic corruption draws nothing."""
    return {}


def normal_noise(source: DrawSource, shape: PictureShape, _constants: Constants) -> dict[str, Tensor]:
    """One standard normal draw a value."""
    return {"noise": source.normals(shape, stream="noise")}


def uniform_fractions(source: DrawSource, shape: PictureShape, _constants: Constants) -> dict[str, Tensor]:
    """One uniform draw a value."""
    return {"fractions": source.fractions(shape, stream="fractions")}


def camera_angles(source: DrawSource, _shape: PictureShape, _constants: Constants) -> dict[str, Tensor]:
    """One angle a picture, uniform between -45 and 45 degrees."""
    return {"angles": source.fractions((), stream="angle").mul_(90.0).sub_(45.0)}


def glass_offsets(source: DrawSource, shape: PictureShape, constants: Constants) -> dict[str, Tensor]:
    """For each visit of each shuffle: dx and dy, each uniform among the integers from -reach to reach - 1."""
    reach, (_, height, width) = int(constants["reach"]), shape
    visits = (int(constants["iterations"]), max(height - 2 * reach, 0), max(width - 2 * reach, 0), 2)
    offsets = source.fractions(visits, stream="offsets").mul_(2 * reach).to(torch.int64).sub_(reach)
    return {"offsets": offsets}


def snow_flakes(source: DrawSource, shape: PictureShape, _constants: Constants) -> dict[str, Tensor]:
    """One standard normal draw a pixel, and the angle of the fall: uniform between -135 and -45 degrees."""
    angles = source.fractions((), stream="angle").mul_(90.0).sub_(135.0)
    return {"noise": source.normals(shape[1:], stream="noise"), "angles": angles}


def frost_place(source: DrawSource, _shape: PictureShape, _constants: Constants) -> dict[str, Tensor]:
    """Three uniform draws a picture: which photograph, how far down, how far right."""
    return {"fractions": source.fractions((3,), stream="fractions")}


def fog_map(source: DrawSource, shape: PictureShape, _constants: Constants) -> dict[str, Tensor]:
    """One uniform draw for each point of the height map but the first."""
    return {"fractions": source.fractions((map_size(*shape[1:]) ** 2 - 1,), stream="fractions")}


def elastic_moves(source: DrawSource, shape: PictureShape, _constants: Constants) -> dict[str, Tensor]:
    """Uniform draws: x and y of three corners, and x and y of every pixel."""
    return {
        "corners": source.fractions((3, 2), stream="corners"),
        "pulls": source.fractions((2, *shape[1:]), stream="pulls"),
    }


def pixel_noise(source: DrawSource, shape: PictureShape, _constants: Constants) -> dict[str, Tensor]:
    """One standard normal draw a pixel."""
    return {"noise": source.normals(shape[1:], stream="noise")}
