"""The bars of the costs: their words, and room for every net."""

import io

import pytest
from PIL import Image

from groupnl.report import draw_costs

FIGURES = {"params": "parameters", "transcendentals": "calls of sin", "bundle_bytes": "bundle"}


def cost(name, **changes):
    return {"name": name, "params": 11_689_512, "transcendentals": 0, "bundle_bytes": 46_758_048, **changes}


def words_of(nets, monkeypatch):
    """All words that a chart writes."""
    written = []
    monkeypatch.setattr("matplotlib.axes.Axes.text", lambda _self, _x, _y, words, **_: written.append(words))
    draw_costs(nets, FIGURES)
    return written


def test_costs_are_written_at_their_bars(monkeypatch):
    half = cost("half", params=5_844_756, transcendentals=664_832, bundle_bytes=None)
    assert words_of([cost("whole"), half], monkeypatch) == [
        "11.7 M",
        "5.84 M  \N{MINUS SIGN}50%",
        "0",
        "665 k",  # no change can be said against none
        "46.8 MB",
        "none",
    ]
    assert words_of([half], monkeypatch) == ["5.84 M", "665 k", "none"]


@pytest.mark.parametrize("count", [1, 2, 6])
def test_the_costs_picture_grows_with_the_nets(count):
    nets = [cost(f"a_net_with_quite_a_long_name_of_its_own+sparse_depthwise_{n}") for n in range(count)]
    picture = draw_costs(nets, FIGURES)
    width, height = Image.open(io.BytesIO(picture)).size
    assert width > 700
    assert 60 * count < height < 60 * count + 250
    assert draw_costs(nets, FIGURES) == picture
