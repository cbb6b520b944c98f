"""The radar picture: one spoke a corruption, one line a net, further out is better."""

import math
from collections.abc import Mapping
from typing import Any, cast

from matplotlib.projections.polar import PolarAxes

from groupnl.report.canvas import Form, NetLine, add_legend, legend_height, new_figure, to_bytes

_WIDTH = 6.0  # inches
_NAMES = 0.85  # inches that the names of the spokes need beside the circle
_RING = 10  # % between two rings
_GROUND = {"facecolor": "white", "edgecolor": "none", "pad": 0.5, "alpha": 0.7}  # behind the words on the rings


def draw_radar(nets: Mapping[str, Mapping[str, Any]], *, form: Form = "png") -> bytes:
    """Accuracy under each corruption, mean of its severities, with clean pictures as the first spoke.

    The centre is not 0 %: it is the round number below the lowest accuracy, and it is written there, so that nets
    which differ by few points can be told apart. Compare distances along one spoke; the area means nothing.

    Args:
        nets: At most 12: ``clean_accuracy`` and ``corruptions`` of each, as in results.json and in an evaluation. A
            corruption that one net lacks is left out.
        form: png, svg or pdf.

    Raises:
        ValueError: Fewer than three corruptions are shared, or there are more than 12 nets.
    """
    corruptions = [c for c in _first(nets)["corruptions"] if all(c in net["corruptions"] for net in nets.values())]
    if len(corruptions) < 3:
        raise ValueError(f"{len(corruptions)} corruptions in every net: a radar picture needs at least 3")
    angles = [2 * math.pi * spoke / (len(corruptions) + 1) for spoke in range(len(corruptions) + 1)]
    foot, circle = 0.15 + legend_height(nets, _WIDTH), _WIDTH - 2 * _NAMES
    height = foot + circle + 2 * _NAMES
    figure = new_figure(_WIDTH, height)
    figure.set_layout_engine("none")  # it does not know how far the names around a circle reach
    box = (_NAMES / _WIDTH, (foot + 0.8 * _NAMES) / height, circle / _WIDTH, circle / height)
    axis = cast("PolarAxes", figure.add_axes(box, projection="polar"))
    lines = {name: _accuracies(net, corruptions) for name, net in nets.items()}
    lowest = min(min(line) for line in lines.values())
    centre = max(0, _RING * math.floor((lowest - 1) / _RING))
    for place, (name, line) in enumerate(lines.items()):
        axis.plot([*angles, angles[0]], [*line, line[0]], label=name, **NetLine(place).style)
    axis.set_theta_zero_location("N")
    axis.set_theta_direction(-1)
    axis.set_rlim(centre, 100)
    axis.set_rlabel_position(math.degrees(angles[1]) / 2)
    rings = range(centre, 101, _RING if centre >= 40 else 2 * _RING)
    labels = [f"{ring}%" for ring in rings]
    axis.set_rgrids(list(rings), labels, fontsize=7, color="#555555", bbox=_GROUND, zorder=3)
    axis.set_thetagrids(
        [math.degrees(angle) for angle in angles],
        ["clean", *(name.replace("_", "\n", 1) for name in corruptions)],
        fontsize=9,
    )
    axis.tick_params(axis="x", pad=12)
    axis.grid(alpha=0.3)
    add_legend(figure, axis, "lower center")
    title = f"Accuracy, mean of the severities; the centre is {centre} %"
    figure.suptitle(title, fontsize=10, y=1 - 0.1 / height, va="top")
    return to_bytes(figure, form)


def _first(nets: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
    if not nets:
        raise ValueError("no net given: nothing to draw")
    return next(iter(nets.values()))


def _accuracies(net: Mapping[str, Any], corruptions: list[str]) -> list[float]:
    return [100 * net["clean_accuracy"], *(100 * (1 - net["corruptions"][name]["error"]) for name in corruptions)]
