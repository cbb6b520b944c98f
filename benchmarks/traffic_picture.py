"""The picture of docs/traffic.md: ``python -m benchmarks.traffic --picture docs/images/traffic.png``."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmarks.traffic_page import base_of
from groupnl.analysis import Bucket, Traffic, step_time

COLOURS = {2: "#4477aa", 4: "#ee6677", 8: "#228833"}  # by the number of workers
SPEEDS = np.logspace(7.7, 10.5, 150)  # of the lines, bits a second
TICKS = {1e8: "100 M", 1e9: "1 G", 1e10: "10 G"}

Row = Mapping[str, Any]


def draw(results: Row) -> Figure:
    """A panel a net: vanilla's batch time / its own against the links' speed; points are measured, lines predicted."""
    nets = [net["net"] for net in results["nets"] if net["net"] != base_of(net["net"])]
    columns = min(4, len(nets))
    rows = -(-len(nets) // columns)
    figure = Figure(figsize=(1.2 + 2.9 * columns, 0.6 + 2.7 * rows), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
    for axis, net in zip(axes, nets, strict=False):
        _panel(axis, results, net)
    for axis in axes[len(nets) :]:
        axis.set_visible(False)
    figure.supxlabel("measured speed of each worker's link, bit/s", fontsize=9)
    figure.supylabel("vanilla's batch time / its batch time", fontsize=9)
    figure.legend(
        *axes[0].get_legend_handles_labels(),
        loc="outside upper center",
        ncols=min(7, 2 * columns),
        fontsize=8,
        frameon=False,
    )
    return figure


def _panel(axis: Axes, results: Row, net: str) -> None:
    at = {
        (row["net"], row["workers"], row["speed"]): row
        for row in results["steps"]
        if row["compute"] == "replay" and row["bucket_cap_mb"] is None
    }
    by_name = {entry["net"]: entry for entry in results["nets"]}
    vanilla = base_of(net)
    for workers in sorted({link["workers"] for link in results["links"]}):
        links = [link for link in results["links"] if link["workers"] == workers]
        latency = min(link["latency_seconds"] for link in links)
        colour = COLOURS.get(workers, "black")
        if vanilla in by_name:
            gains = [
                predicted(by_name[vanilla], workers, speed, latency) / predicted(by_name[net], workers, speed, latency)
                for speed in SPEEDS
            ]
            axis.plot(SPEEDS, gains, color=colour, linewidth=1.2, label=f"{workers} workers, predicted")
        points = [
            (link["bits_per_second"], at[vanilla, workers, link["speed"]]["seconds"] / at[key]["seconds"])
            for link in links
            if (key := (net, workers, link["speed"])) in at and (vanilla, *key[1:]) in at
        ]
        axis.plot(
            [speed for speed, _ in points],
            [gain for _, gain in points],
            "o",
            color=colour,
            markersize=5,
            label=f"{workers} workers, measured",
        )
    if vanilla in by_name:
        bytes_ratio = by_name[vanilla]["gradient_bytes"] / by_name[net]["gradient_bytes"]
        axis.axhline(
            bytes_ratio, color="grey", linewidth=0.8, linestyle=":", label="vanilla's gradients / its gradients"
        )
    axis.axhline(1, color="grey", linewidth=0.8)
    axis.set_xscale("log")
    axis.set_xticks(list(TICKS), list(TICKS.values()))
    axis.set_title(net, fontsize=9)
    axis.tick_params(labelsize=8)
    axis.grid(alpha=0.25)


def predicted(net: Row, workers: int, bits_per_second: float, latency_seconds: float) -> float:
    """Seconds of a step of a net as the results hold it."""
    found = Traffic(
        buckets=tuple(Bucket(**bucket) for bucket in net["buckets"]), broadcast_bytes=tuple(net["broadcast_bytes"])
    )
    return step_time(
        found,
        workers=workers,
        bits_per_second=bits_per_second,
        latency_seconds=latency_seconds,
        forward_seconds=net["forward_seconds"] + net["update_seconds"],
        backward_seconds=net["backward_seconds"],
    ).seconds
