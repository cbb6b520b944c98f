"""What all pictures share: the size of a dot, the colours, how a net's line looks, and the file formats."""

import io
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

Form = Literal["png", "svg", "pdf"]
Place = Literal["outside upper center", "lower center"]

FORMS: tuple[Form, ...] = get_args(Form)
COLOURS = (
    "#4477aa",
    "#ee6677",
    "#228833",
    "#aa3377",
    "#997700",
    "#444444",
)  # after Tol: told apart by the colour-blind
MAX_NETS = 12  # as many lines as can be told apart: six colours, solid and dashed, twelve markers

_DPI = 110
_LETTER = 0.075  # inches, of 9-point names
_MARKERS = "os^DvPX*<>ph"
_NO_DATES: dict[Form, dict[str, str | None]] = {
    "png": {"Software": ""},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}  # one result, one file: no trace of when and with which version it was drawn


@dataclass(frozen=True)
class NetLine:
    """How the net of a place in the list is drawn: never by colour alone.

    Args:
        place: 0 for the first net.

    Raises:
        ValueError: There are more nets than lines that can be told apart.
    """

    place: int

    def __post_init__(self) -> None:
        if not 0 <= self.place < MAX_NETS:
            raise ValueError(f"{self.place + 1} nets: a picture shows at most {MAX_NETS}; leave some out")

    @property
    def style(self) -> dict[str, Any]:
        """Keyword arguments of ``Axes.plot``."""
        colour, dashed = COLOURS[self.place % len(COLOURS)], self.place >= len(COLOURS)
        return {
            "color": colour,
            "linestyle": (0, (4, 1.5)) if dashed else "-",
            "marker": _MARKERS[self.place],
            "markerfacecolor": "white" if dashed else colour,
            "markersize": 4,
            "linewidth": 1.4,
        }


def new_figure(width: float, height: float) -> Figure:
    """An empty figure that needs no screen.

    Args:
        width: In inches.
        height: In inches.
    """
    figure = Figure(figsize=(width, height), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def to_bytes(figure: Figure, form: Form = "png") -> bytes:
    """The figure as a file: equal figures give equal bytes.

    Raises:
        ValueError: The form is none of png, svg and pdf.
    """
    if form not in FORMS:
        raise ValueError(f"form={form!r}: expected one of {', '.join(FORMS)}")
    buffer = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "groupnl", "svg.fonttype": "none"}):
        figure.savefig(buffer, format=form, metadata=_NO_DATES[form])
    return buffer.getvalue()


def add_legend(figure: Figure, axis: Axes, place: Place = "outside upper center") -> None:
    """Name the nets of ``axis`` over all panels or at the foot of the figure, in as many columns as fit."""
    handles, labels = axis.get_legend_handles_labels()
    columns = _legend_columns(labels, figure.get_figwidth())
    names = [in_lines(label, _name_width(figure.get_figwidth())) for label in labels]
    figure.legend(handles, names, loc=place, ncols=columns, fontsize=9, frameon=False)


def legend_height(nets: Iterable[str], width: float) -> float:
    """Inches that :func:`add_legend` needs in a figure of ``width`` inches."""
    names = list(nets)
    lines = max((in_lines(name, _name_width(width)).count("\n") + 1 for name in names), default=0)
    return 0.19 * lines * -(-len(names) // _legend_columns(names, width))


def in_lines(name: str, width: int) -> str:
    """A long name in lines of at most ``width`` letters where that can be, broken behind _ or a blank and before +."""
    lines = [""]
    for piece in re.split(r"(?<=[_ ])|(?=\+)", name):
        if lines[-1] and len(lines[-1]) + len(piece) > width:
            lines.append("")
        lines[-1] += piece
    return "\n".join(lines)


def _name_width(width: float) -> int:
    """Letters of a name that fit beside its line in a figure of ``width`` inches."""
    return max(12, int((width - 0.9) / _LETTER))


def _legend_columns(names: Iterable[str], width: float) -> int:
    longest = max((min(len(name), _name_width(width)) for name in names), default=0)
    return max(1, min(4, int(width / (_LETTER * longest + 0.9))))


def draw_swatch(place: int) -> bytes:
    """A short piece of a net's line, as SVG, for a legend outside the pictures."""
    figure = Figure(figsize=(0.48, 0.2), dpi=_DPI)
    figure.patch.set_alpha(0)
    axis = figure.add_axes((0, 0, 1, 1))
    axis.plot([0, 1, 2], [0, 0, 0], markevery=[1], **NetLine(place).style)
    axis.set_xlim(0.05, 1.95)
    axis.axis("off")
    return to_bytes(figure, "svg")
