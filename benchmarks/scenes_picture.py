"""A sheet of scenes: what is there, what is true, and what each net says."""

import io
from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from torch import Tensor

from benchmarks.openicons_scenes import Scenes

_COLOURS = (
    "#f2f2f2",  # the ground; then Tol's muted, safe for the colour-blind
    "#332288",
    "#88ccee",
    "#ddcc77",
    "#999933",
    "#cc6677",
    "#117733",
    "#44aa99",
    "#aa4499",
)


def draw_picture(scenes: Scenes, answers: Mapping[str, Tensor]) -> bytes:
    """Draw the first scenes, one a column: the picture, the truth, and a row for each net.

    Args:
        scenes: At least as many as there are answers.
        answers: Classes by net's name, each of shape (N, H, W).

    Returns:
        A PNG.
    """
    columns = len(next(iter(answers.values())))
    rows = {"truth": scenes.classes[:columns], **answers}
    palette = np.array([[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in _COLOURS], np.uint8)
    figure = Figure(figsize=(1.05 * columns + 0.3, 1.05 * (len(rows) + 1) + 0.35), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(rows) + 1, columns, squeeze=False)
    for column in range(columns):
        _show(axes[0, column], scenes.images[column].permute(1, 2, 0).numpy())
        for row, classes in enumerate(rows.values(), start=1):
            _show(axes[row, column], palette[classes[column].numpy()])
    for row, name in enumerate(("scene", *rows)):
        axes[row, 0].set_ylabel(name, fontsize=9)
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0, hspace=0)  # type: ignore[union-attr, call-arg]
    named = [name.replace("_", " ") for name in scenes.class_names]
    patches = [Patch(facecolor=c, edgecolor="#999999", label=n) for c, n in zip(_COLOURS, named, strict=True)]
    figure.legend(
        handles=patches,
        loc="outside lower center",
        ncols=len(patches),
        fontsize=7.5,
        frameon=False,
        handlelength=1.0,
        columnspacing=1.0,
        handletextpad=0.4,
    )
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": ""})
    return buffer.getvalue()


def _show(axis: Axes, picture: np.ndarray) -> None:
    axis.imshow(picture, interpolation="nearest")
    axis.set_xticks([])
    axis.set_yticks([])
    for spine in axis.spines.values():
        spine.set_visible(False)
