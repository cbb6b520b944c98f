"""The picture of what nets cost: bars side by side."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.layout_engine import ConstrainedLayoutEngine

from groupnl.report.canvas import COLOURS, in_lines, new_figure, to_bytes

_NAME_WIDTH = 26  # letters of a net's name in a line


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
    names = [in_lines(net["name"], _NAME_WIDTH) for net in nets]
    lines = len(nets) * (1 + 0.45 * max(name.count("\n") for name in names))
    width = 0.075 * max(len(line) for name in names for line in name.split("\n")) + 2.75 * columns
    figure = new_figure(width, rows * (0.27 * lines + 0.5) + 0.3)
    figure.set_layout_engine(ConstrainedLayoutEngine(hspace=0.06, wspace=0.05))
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
    return to_bytes(figure)


def _draw_bars(axis: Axes, values: Sequence[int | None], unit: str) -> None:
    """Horizontal bars with the values at their ends; the first one's value as a line through all."""
    first, longest = values[0], max((value or 0 for value in values), default=0) or 1
    axis.set_xlim(0, 1.85 * longest)  # room for the words at the end of the longest bar
    for place, value in enumerate(values):
        axis.barh(place, value or 0, height=0.68, color=COLOURS[place % len(COLOURS)])
        words = "none" if value is None else _short(value, unit)
        if place and first and value is not None:
            words += f"  {round(100 * (value - first) / first):+d}%".replace("-", "\N{MINUS SIGN}")
        ground = {"facecolor": "white", "edgecolor": "none", "pad": 1}  # the first net's line passes behind the words
        axis.text((value or 0) + 0.03 * longest, place, words, va="center", fontsize=8, bbox=ground)
    if first and len(values) > 1:
        axis.axvline(first, color=COLOURS[0], linewidth=0.8, linestyle=":", zorder=0)
    axis.set_xticks([])
    axis.tick_params(axis="y", length=0)
    for side in ("top", "right", "bottom"):
        axis.spines[side].set_visible(False)


def _short(value: float, unit: str) -> str:
    """Three digits and a decimal prefix: 11689512 is 11.7 M."""
    for factor, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= 0.9995 * factor:
            digits = 2 if value < 9.995 * factor else 1 if value < 99.95 * factor else 0
            return f"{value / factor:.{digits}f} {prefix}{unit}"
    return f"{value:.0f} {unit}".strip()
