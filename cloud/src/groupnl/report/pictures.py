"""Still pictures: a layer's seed and generated maps, accuracy by severity, and what nets cost."""

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from numpy.typing import NDArray

from groupnl.analysis import GroupMaps

_COLOURS = (
    "#4477aa",
    "#ee6677",
    "#228833",
    "#ccbb44",
    "#66ccee",
    "#aa3377",
    "#bbbbbb",
)  # Tol's bright, safe for the colour-blind
_DPI = 110
_NAME_WIDTH = 26  # letters of a net's name in a line


def draw_maps(maps: GroupMaps, *, columns: int = 8) -> bytes:
    """Seed maps over their generated maps, the sinusoids that join them, and how alike each two are.

    Args:
        maps: What to show.
        columns: At most so many generated maps.

    Returns:
        A PNG.
    """
    shown = min(columns, len(maps.generated))
    figure = Figure(figsize=(1.15 * (shown + 2), 5.2), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(3, shown + 2, height_ratios=(1, 1, 1.15))

    picture = figure.add_subplot(grid[0:2, 0:2])
    picture.imshow(maps.picture, interpolation="nearest")
    picture.set_title("the picture", fontsize=9)
    _bare(picture)
    for column in range(shown):
        source = int(maps.source[column])
        colour = _COLOURS[int(maps.pair[column]) % len(_COLOURS)]
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
    return _png(figure)


def draw_severity_curves(nets: Mapping[str, Mapping[str, Any]]) -> bytes:
    """Accuracy by severity, one panel a corruption and one line a net; severity 0 is the clean picture.

    Args:
        nets: As in results.json: ``clean_accuracy`` and ``corruptions`` of each.

    Returns:
        A PNG.
    """
    names = list(dict.fromkeys(name for net in nets.values() for name in net["corruptions"]))
    columns = min(4, len(names))
    rows = -(-len(names) // columns)
    figure = Figure(figsize=(2.7 * columns, 2.3 * rows + 0.5), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for axis, name in zip(axes, names, strict=False):
        for colour, (label, net) in zip(_COLOURS, nets.items(), strict=False):
            by_severity = net["corruptions"].get(name, {}).get("severities", {})
            severities = sorted(int(severity) for severity in by_severity)
            accuracy = [net["clean_accuracy"], *(1 - by_severity[str(severity)] for severity in severities)]
            axis.plot([0, *severities], [100 * a for a in accuracy], "o-", color=colour, label=label, markersize=3.5)
        axis.set_title(name, fontsize=9)
        axis.set_ylim(0, 100)
        axis.grid(alpha=0.25)
        axis.tick_params(labelsize=8)
    for axis in axes[len(names) :]:
        axis.set_visible(False)
    for row in range(rows):
        axes[row * columns].set_ylabel("accuracy, %", fontsize=8)
    for axis in axes[max(0, len(names) - columns) : len(names)]:
        axis.set_xlabel("severity (0: clean)", fontsize=8)
        axis.tick_params(labelbottom=True)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=max(1, len(labels)), fontsize=9, frameon=False)
    return _png(figure)


def draw_costs(nets: Sequence[Mapping[str, Any]], figures: Mapping[str, str]) -> bytes:
    """What nets cost: one panel a figure with a scale of its own, one bar a net, changes against the first net.

    Args:
        nets: As ``groupnl profile --json`` has them: ``name`` and the figures, integers or None.
        figures: Key -> title of the panel. A key that ends in ``_bytes`` is shown in bytes.

    Returns:
        A PNG.
    """
    columns = min(4 if len(figures) in (4, 7, 8) else 3, len(figures))
    rows = -(-len(figures) // columns)
    names = [_in_lines(net["name"]) for net in nets]
    lines = len(nets) * (1 + 0.45 * max(name.count("\n") for name in names))
    width = 0.075 * max(len(line) for name in names for line in name.split("\n")) + 2.75 * columns
    figure = Figure(
        figsize=(width, rows * (0.27 * lines + 0.5) + 0.3),
        dpi=_DPI,
        layout=ConstrainedLayoutEngine(hspace=0.06, wspace=0.05),
    )
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, sharey=True, squeeze=False).ravel()
    for axis, (key, title) in zip(axes, figures.items(), strict=False):
        _draw_bars(axis, [net[key] for net in nets], "B" if key.endswith("_bytes") else "")
        axis.set_title(title, fontsize=9, loc="left")
    for axis in axes[len(figures) :]:
        axis.set_visible(False)
    for axis in axes[::columns]:
        axis.set_yticks(range(len(nets)), names, fontsize=9)
    axes[0].invert_yaxis()
    against = f"; changes against {nets[0]['name']}" if len(nets) > 1 else ""
    figure.suptitle(f"Cost of one image{against}", fontsize=10)
    return _png(figure)


def _draw_bars(axis: Axes, values: Sequence[int | None], unit: str) -> None:
    """Horizontal bars with the values at their ends; the first one's value as a line through all."""
    first, longest = values[0], max((value or 0 for value in values), default=0) or 1
    axis.set_xlim(0, 1.85 * longest)  # room for the words at the end of the longest bar
    for place, value in enumerate(values):
        axis.barh(place, value or 0, height=0.68, color=_COLOURS[place % len(_COLOURS)])
        words = "none" if value is None else _short(value, unit)
        if place and first and value is not None:
            words += f"  {round(100 * (value - first) / first):+d}%".replace("-", "\N{MINUS SIGN}")
        ground = {"facecolor": "white", "edgecolor": "none", "pad": 1}  # the first net's line passes behind the words
        axis.text((value or 0) + 0.03 * longest, place, words, va="center", fontsize=8, bbox=ground)
    if first and len(values) > 1:
        axis.axvline(first, color=_COLOURS[0], linewidth=0.8, linestyle=":", zorder=0)
    axis.set_xticks([])
    axis.tick_params(axis="y", length=0)
    for side in ("top", "right", "bottom"):
        axis.spines[side].set_visible(False)


def _in_lines(name: str) -> str:
    """A long name in several lines, broken behind _ or a blank and before +."""
    lines = [""]
    for piece in re.split(r"(?<=[_ ])|(?=\+)", name):
        if lines[-1] and len(lines[-1]) + len(piece) > _NAME_WIDTH:
            lines.append("")
        lines[-1] += piece
    return "\n".join(lines)


def _short(value: float, unit: str) -> str:
    """Three digits and a decimal prefix: 11689512 is 11.7 M."""
    for factor, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= 0.9995 * factor:
            digits = 2 if value < 9.995 * factor else 1 if value < 99.95 * factor else 0
            return f"{value / factor:.{digits}f} {prefix}{unit}"
    return f"{value:.0f} {unit}".strip()


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
        axis.plot(y[order], made[order], color=_COLOURS[pair % len(_COLOURS)], label=label, linewidth=1.8)
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


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": ""})
    return buffer.getvalue()
