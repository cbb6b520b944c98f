"""The pictures are PNGs, follow from what is drawn, and have a panel for every corruption."""

import io

import numpy as np
import pytest
from PIL import Image

from groupnl.report import GroupMaps, draw_costs, draw_maps, draw_severity_curves


def maps(seed=0):
    random = np.random.default_rng(seed)
    seeds = random.normal(size=(4, 8, 8))
    period, shift = np.array([1.0, 2.0, 1.5, 1.2]), np.array([1.0, 3.0, 2.0, 5.0])
    return GroupMaps(
        layer="layer1.conv1",
        formula="sin(period (y - shift))",
        picture=random.integers(0, 256, (8, 8, 3), dtype=np.uint8),
        seed_maps=seeds,
        generated=np.sin(period[:, None, None] * (seeds - shift[:, None, None])),
        source=np.arange(4),
        pair=np.arange(4),
        period=period,
        shift=shift,
    )


def test_maps_picture():
    picture = draw_maps(maps())
    assert Image.open(io.BytesIO(picture)).size[0] > 400
    assert draw_maps(maps()) == picture
    assert draw_maps(maps(seed=1)) != picture


def test_a_constant_map_is_drawn_without_a_warning(recwarn):
    flat = maps()
    flat.generated[0] = 0.5
    assert draw_maps(flat).startswith(b"\x89PNG")
    assert not [w for w in recwarn if "divide" in str(w.message)]


def test_severity_curves_grow_with_the_number_of_corruptions():
    def net(names):
        return {"clean_accuracy": 0.8, "corruptions": {n: {"severities": {"1": 0.3, "5": 0.6}} for n in names}}

    few = Image.open(io.BytesIO(draw_severity_curves({"a": net(["fog"]), "b": net(["fog"])})))
    many = Image.open(io.BytesIO(draw_severity_curves({"a": net(list("abcdefg"))})))
    assert many.size[0] > few.size[0]
    assert many.size[1] > few.size[1]


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
