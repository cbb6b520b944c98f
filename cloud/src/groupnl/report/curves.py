"""The picture of accuracy by severity: one panel a corruption, one line a net."""

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes

from groupnl.report.canvas import Form, NetLine, add_legend, legend_height, new_figure, to_bytes

_COLUMNS = 4


def draw_severity_curves(nets: Mapping[str, Mapping[str, Any]], *, form: Form = "png") -> bytes:
    """Accuracy by severity, one panel a corruption and one line a net; severity 0 is the clean picture.

    Args:
        nets: At most 12: ``clean_accuracy`` and ``corruptions`` of each, as in results.json and in an evaluation.
        form: png, svg or pdf.

    Raises:
        ValueError: No corruption was run, or there are more than 12 nets.
    """
    names = list(dict.fromkeys(name for net in nets.values() for name in net["corruptions"]))
    if not names:
        raise ValueError("no corruption was run on these nets: nothing to draw")
    columns = min(_COLUMNS, len(names))
    rows = -(-len(names) // columns)
    width = 2.7 * columns
    figure = new_figure(width, 2.3 * rows + 0.3 + legend_height(nets, width))
    axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for axis, name in zip(axes, names, strict=False):
        _draw_panel(axis, nets, name)
    for axis in axes[len(names) :]:
        axis.set_visible(False)
    for row in range(rows):
        axes[row * columns].set_ylabel("accuracy, %", fontsize=8)
    for axis in axes[max(0, len(names) - columns) : len(names)]:
        axis.set_xlabel("severity (0: clean)", fontsize=8)
        axis.tick_params(labelbottom=True)
    add_legend(figure, axes[0])
    return to_bytes(figure, form)


def draw_severity_panel(nets: Mapping[str, Mapping[str, Any]], corruption: str, *, form: Form = "svg") -> bytes:
    """One corruption's panel alone, for a page that lays panels out and shows the legend itself.

    Args:
        nets: As for :func:`draw_severity_curves`.
        corruption: Which one.
        form: png, svg or pdf.
    """
    figure = new_figure(3.1, 2.2)
    figure.set_layout_engine("none")  # one size fits all panels
    axis = figure.add_axes((0.165, 0.21, 0.805, 0.67))
    _draw_panel(axis, nets, corruption)
    axis.set_ylabel("accuracy, %", fontsize=9)
    axis.set_xlabel("severity (0: clean)", fontsize=9)
    return to_bytes(figure, form)


def _draw_panel(axis: Axes, nets: Mapping[str, Mapping[str, Any]], corruption: str) -> None:
    for place, (label, net) in enumerate(nets.items()):
        by_severity = net["corruptions"].get(corruption, {}).get("severities", {})
        severities = sorted(int(severity) for severity in by_severity)
        accuracy = [net["clean_accuracy"], *(1 - by_severity[str(severity)] for severity in severities)]
        axis.plot([0, *severities], [100 * share for share in accuracy], label=label, **NetLine(place).style)
    axis.set_title(corruption, fontsize=9)
    axis.set_xticks(range(6))
    axis.set_ylim(0, 100)
    axis.grid(alpha=0.25)
    axis.tick_params(labelsize=8)
