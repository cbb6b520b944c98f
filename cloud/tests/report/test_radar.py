"""The radar shows each shared corruption on a spoke of its own and says where its centre is."""

import io
import math

import pytest
from PIL import Image

from groupnl.report import draw_radar

NAMES = ("gaussian_noise", "fog", "snow")


def net(*errors, clean=0.9, names=NAMES):
    return {"clean_accuracy": clean, "corruptions": {n: {"error": e} for n, e in zip(names, errors, strict=True)}}


def drawn(nets, monkeypatch):
    """Lines as (angles, accuracies), and all words of the picture."""
    lines = []
    monkeypatch.setattr("matplotlib.axes.Axes.plot", lambda _self, angles, values, **_: lines.append((angles, values)))
    return lines, draw_radar(nets, form="svg").decode()


def test_what_is_drawn(monkeypatch):
    lines, words = drawn({"a": net(0.4, 0.3, 0.2), "b": net(0.35, 0.3, 0.25, clean=0.88)}, monkeypatch)
    corner = math.pi / 2
    assert lines[0][0] == pytest.approx([0, corner, 2 * corner, 3 * corner, 0])
    assert lines[0][1] == pytest.approx([90, 60, 70, 80, 90])
    assert lines[1][1] == pytest.approx([88, 65, 70, 75, 88])
    assert "the centre is 50 %" in words  # the lowest is 60: on the circle's inside, not in its centre
    assert "fog" in words


def test_the_centre_is_never_below_0(monkeypatch):
    _, words = drawn({"a": net(0.995, 0.3, 0.2)}, monkeypatch)
    assert "the centre is 0 %" in words


def test_a_corruption_that_one_net_lacks_is_left_out(monkeypatch):
    other = net(0.1, 0.2, 0.3, 0.4, names=("fog", "snow", "frost", "gaussian_noise"))
    lines, words = drawn({"a": net(0.4, 0.3, 0.2), "b": other}, monkeypatch)
    assert [len(values) for _, values in lines] == [5, 5]
    assert lines[1][1] == pytest.approx([90, 60, 90, 80, 90])  # in the first net's order
    assert "frost" not in words


def test_it_grows_with_the_legend():
    few = Image.open(io.BytesIO(draw_radar({"a": net(0.4, 0.3, 0.2)})))
    long = {f"a_net_of_a_very_long_name_with_augmix+{n}": net(0.4, 0.3, 0.2) for n in range(12)}
    many = Image.open(io.BytesIO(draw_radar(long)))
    assert many.size[0] == few.size[0]
    assert many.size[1] > few.size[1] + 150


@pytest.mark.parametrize(
    ("nets", "message"),
    [
        ({}, "no net given"),
        ({"a": net(0.1, 0.2, names=("fog", "snow"))}, "2 corruptions in every net: a radar picture needs at least 3"),
        ({str(n): net(0.4, 0.3, 0.2) for n in range(13)}, "13 nets"),
    ],
)
def test_refusals(nets, message):
    with pytest.raises(ValueError, match=message):
        draw_radar(nets)
