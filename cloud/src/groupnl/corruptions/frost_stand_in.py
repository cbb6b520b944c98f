"""A stand-in for the photographs of frost: panes of feathery ice crystals on a cloudy ground, drawn by rule.

Not the published pictures, only alike in brightness, contrast, colour and grain. Every pane is the same each time.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from groupnl.corruptions.draws import DrawSource
from groupnl.corruptions.filters import gaussian_filter
from groupnl.corruptions.fog import height_map, map_size
from groupnl.corruptions.levels import TOP_LEVEL

HEIGHT, WIDTH = 420, 640
# Mean colour and spread of a pane, near those of the published photographs, and how many crystals grow on it.
_PANES = (
    ((78.0, 149.0, 166.0), 20.0, 200),
    ((201.0, 205.0, 214.0), 22.0, 900),
    ((201.0, 205.0, 214.0), 22.0, 1200),
    ((138.0, 153.0, 165.0), 28.0, 700),
    ((112.0, 123.0, 135.0), 43.0, 450),
)
_GENERATIONS = (  # of twigs: how many a side, their length as a share of the parent's, points drawn on each
    (8, 0.40, 20),
    (4, 0.32, 7),
)
_FORK = np.pi / 3  # ice branches at 60 degrees

Array = NDArray[np.float64]


def draw_panes() -> tuple[Tensor, ...]:
    """Five panes, uint8 of shape (3, 420, 640), in about half a second."""
    return tuple(_pane(number, *pane) for number, pane in enumerate(_PANES))


def _pane(number: int, colour: tuple[float, float, float], spread: float, crystals: int) -> Tensor:
    """One pane: clouds, crystals and their glow, brought to the wanted mean and spread."""
    source = DrawSource(seed=number, corruption="frost", severity=0, first_index=0, count=1, device=torch.device("cpu"))
    size = map_size(HEIGHT, WIDTH)
    clouds = height_map(source.fractions((size * size - 1,), stream="clouds"), size, 1.7)[0, :HEIGHT, :WIDTH]
    ice = torch.from_numpy(_crystals(source.fractions((6, crystals), stream="crystals")[0].numpy()))
    fine, glow = gaussian_filter(ice, sigma=0.5), gaussian_filter(ice, sigma=6.0)
    relief = fine - fine.roll((1, 1), (0, 1))  # lit from the lower right
    light = 0.8 * _standard(clouds) + 1.2 * _standard(fine / (fine + 0.7)) + 0.5 * _standard(glow / (glow + 0.5))
    light = _standard((light + 0.6 * _standard(relief.clamp(-1.0, 1.0))).clamp(-4.0, 4.0)) * spread
    pane = torch.tensor(colour, dtype=torch.float64).reshape(3, 1, 1) + light
    return pane.round_().clamp_(0, TOP_LEVEL).to(torch.uint8)


def _standard(values: Tensor) -> Tensor:
    """Mean 0 and standard deviation 1; numpy's sums do not depend on the number of threads."""
    array = values.numpy()
    return torch.from_numpy((array - array.mean()) / array.std())


def _crystals(draws: Array) -> Array:
    """How much ice lies on each pixel.

    Each crystal is a bent stem with twigs on both sides, each of which has twigs again.

    Args:
        draws: Uniform in (0, 1), shape (6, crystals): place, direction, length, bend, brightness.
    """
    x, y = draws[0] * WIDTH, draws[1] * HEIGHT
    angle = draws[2] * 2 * np.pi
    length = 22 + 90 * draws[3] ** 3
    bend = (draws[4] - 0.5) * 1.2
    ice = 0.4 + draws[5]
    pane = np.zeros(HEIGHT * WIDTH)
    _draw(pane, x, y, angle, length, bend, ice, points=90)
    for twigs, share, points in _GENERATIONS:
        along = (np.arange(twigs) + 0.6) / twigs  # where on the parent the twigs begin, 0 its root, 1 its tip
        turned = angle[:, None] + bend[:, None] * along
        reach = along * length[:, None]
        middle = angle[:, None] + 0.5 * bend[:, None] * along
        begin_x = x[:, None] + reach * np.cos(middle)
        begin_y = y[:, None] + reach * np.sin(middle)
        sides = np.array([-_FORK, _FORK])
        shape = (len(x), twigs, 2)
        x = np.broadcast_to(begin_x[..., None], shape).ravel()
        y = np.broadcast_to(begin_y[..., None], shape).ravel()
        angle = (turned[..., None] + sides).ravel()
        length = np.broadcast_to((length[:, None] * share * (1.15 - along))[..., None], shape).ravel()
        bend = np.broadcast_to(bend[:, None, None] * 0.5, shape).ravel()
        ice = np.broadcast_to(ice[:, None, None] * 0.7, shape).ravel()
        _draw(pane, x, y, angle, length, bend, ice, points=points)
    return pane.reshape(HEIGHT, WIDTH)


def _draw(
    pane: Array, x: Array, y: Array, angle: Array, length: Array, bend: Array, ice: Array, *, points: int
) -> None:
    """Add bent lines to a pane, point by point; what grows over an edge is lost."""
    along = np.linspace(0, 1, points)
    middle = angle[:, None] + 0.5 * bend[:, None] * along
    columns = (x[:, None] + along * length[:, None] * np.cos(middle)).astype(np.int64)
    rows = (y[:, None] + along * length[:, None] * np.sin(middle)).astype(np.int64)
    weight = np.broadcast_to(ice[:, None] * length[:, None] / points, rows.shape)
    inside = (rows >= 0) & (rows < HEIGHT) & (columns >= 0) & (columns < WIDTH)
    pane += np.bincount(rows[inside] * WIDTH + columns[inside], weight[inside], HEIGHT * WIDTH)
