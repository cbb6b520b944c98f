"""The severity curves have a panel for every corruption and show the accuracies."""

import io

import pytest
from PIL import Image

from groupnl.report import draw_severity_curves
from groupnl.report.curves import draw_severity_panel


def net(names, clean=0.8):
    return {"clean_accuracy": clean, "corruptions": {n: {"severities": {"1": 0.3, "5": 0.6}} for n in names}}


def test_they_grow_with_the_number_of_corruptions():
    few = Image.open(io.BytesIO(draw_severity_curves({"a": net(["fog"]), "b": net(["fog"])})))
    many = Image.open(io.BytesIO(draw_severity_curves({"a": net(list("abcdefg"))})))
    assert many.size[0] > few.size[0]
    assert many.size[1] > few.size[1]


def test_what_is_drawn(monkeypatch):
    drawn = []
    monkeypatch.setattr("matplotlib.axes.Axes.plot", lambda _self, x, y, **style: drawn.append((x, y, style["label"])))
    draw_severity_panel({"a": net(["fog"]), "b": net(["fog"], clean=0.75)}, "fog")
    assert drawn == [([0, 1, 5], [80, 70, 40], "a"), ([0, 1, 5], [75, 70, 40], "b")]


def test_twelve_nets_fit_and_thirteen_are_refused():
    nets = {f"a_net_of_a_very_long_name+augmix_{n}": net(["fog", "snow"]) for n in range(13)}
    twelve = dict(list(nets.items())[:12])
    high = Image.open(io.BytesIO(draw_severity_curves(twelve))).size[1]
    assert high > Image.open(io.BytesIO(draw_severity_curves({"a": net(["fog", "snow"])}))).size[1] + 150
    with pytest.raises(ValueError, match="13 nets"):
        draw_severity_curves(nets)


def test_without_corruptions_there_is_nothing_to_draw():
    with pytest.raises(ValueError, match="no corruption was run"):
        draw_severity_curves({"a": net([])})
