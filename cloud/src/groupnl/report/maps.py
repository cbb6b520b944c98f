"""The picture of a layer: its seed maps, the maps made of them, and the functions between."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from groupnl.analysis import GroupMaps
from groupnl.report.canvas import COLOURS, new_figure, to_bytes


def draw_maps(maps: GroupMaps, *, columns: int = 8) -> bytes:
    """Seed maps over their generated maps, the sinusoids that join them, and how alike each two are.

    Args:
        maps: What to show.
        columns: At most so many generated maps.

    Returns:
        A PNG.
    """
    shown = min(columns, len(maps.generated))
    figure = new_figure(1.15 * (shown + 2), 5.2)
    grid = figure.add_gridspec(3, shown + 2, height_ratios=(1, 1, 1.15))

    picture = figure.add_subplot(grid[0:2, 0:2])
    picture.imshow(maps.picture, interpolation="nearest")
    picture.set_title("the picture", fontsize=9)
    _bare(picture)
    for column in range(shown):
        source = int(maps.source[column])
        colour = COLOURS[int(maps.pair[column]) % len(COLOURS)]
        seed_map, generated = maps.seed_maps[source], maps.generated[column]
        _show_map(figure.add_subplot(grid[0, column + 2]), seed_map, f"seed {source}", colour)
        title = f"{maps.period[column]:.2f}, {maps.shift[column]:.2f}"
        _show_map(
            figure.add_subplot(grid[1, column + 2]),
            generated,
            title,
            colour,
            f"r = {_correlation(seed_map, generated):+.2f}",
        )

    curves = figure.add_subplot(grid[2, :])
    _draw_curves(curves, maps, shown)
    figure.suptitle(
        f"{maps.layer}: seed maps (above) and what {maps.formula} makes of them (below: period, shift; correlation r)",
        fontsize=10,
    )
    return to_bytes(figure)


def _draw_curves(axis: Axes, maps: GroupMaps, shown: int) -> None:
    """Each pair's function over the range of y, with the values that y takes in this picture."""
    low, high = float(maps.seed_maps.min()), float(maps.seed_maps.max())
    counts = axis.twinx()
    counts.hist(maps.seed_maps.ravel(), bins=60, color="#dddddd")
    counts.set_yticks([])
    axis.set_zorder(counts.get_zorder() + 1)
    axis.patch.set_visible(False)
    for pair in dict.fromkeys(int(p) for p in maps.pair[:shown]):
        members = np.flatnonzero(maps.pair == pair)
        y = maps.seed_maps[maps.source[members]].ravel()
        made = maps.generated[members].ravel()
        order = np.argsort(y)  # the layer's own values: the line is what was computed, not the formula drawn again
        label = f"group {pair}: period {maps.period[members[0]]:.2f}, shift {maps.shift[members[0]]:.2f}"
        axis.plot(y[order], made[order], color=COLOURS[pair % len(COLOURS)], label=label, linewidth=1.8)
    axis.set_xlim(low, high)
    axis.set_xlabel("normalised seed value y (grey: how often it occurs in this picture)", fontsize=8)
    axis.set_ylabel("generated value", fontsize=8)
    axis.tick_params(labelsize=8)
    axis.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.28), ncols=4, frameon=False)


def _show_map(axis: Axes, values: NDArray[np.floating[Any]], title: str, colour: str, below: str = "") -> None:
    axis.imshow(values, cmap="viridis", interpolation="nearest")  # scaled to its own range: the pattern counts
    axis.set_title(title, fontsize=8)
    axis.set_xlabel(below, fontsize=8)
    _bare(axis)
    for spine in axis.spines.values():
        spine.set(visible=True, color=colour, linewidth=2.2)


def _correlation(a: NDArray[np.floating[Any]], b: NDArray[np.floating[Any]]) -> float:
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return 0.0
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


def _bare(axis: Axes) -> None:
    axis.set_xticks([])
    axis.set_yticks([])
