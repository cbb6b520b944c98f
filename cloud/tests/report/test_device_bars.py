"""The bars of devices: their words, and room for every device."""

import io
from dataclasses import replace

import pytest
from PIL import Image

from groupnl.report import draw_device_bars, read_device
from groupnl.report.device_bars import row_label


def words_of(devices, monkeypatch):
    """All words beside bars, and the devices' names."""
    written = []
    monkeypatch.setattr("matplotlib.axes.Axes.text", lambda _self, _x, _y, words, **_: written.append(words))
    draw_device_bars(devices)
    return written


def test_figures_stand_at_their_bars(bench, monkeypatch):
    devices = [read_device(bench()), read_device(bench("Board 5", energy_mj=3.21))]
    assert words_of(devices, monkeypatch) == [
        *("12.0", "6.00", "12.0", "6.00"),
        *("not measured", "not measured", "3.21", "3.21"),
        *(" Board 4", " Board 5"),
    ]
    assert words_of(devices[:1], monkeypatch) == ["12.0", "6.00", " Board 4"]  # no panel without a figure


def test_labels_say_what_sets_forms_apart(bench):
    one = read_device(bench())
    assert [row_label(row, one) for row in one.rows] == ["1 thread", "2 threads"]
    two = read_device(bench(threads=(2,), forms=("plain", "native")))
    assert [row_label(row, two) for row in two.rows] == ["plain, 2 threads", "native, 2 threads"]
    rows = (two.rows[0], replace(two.rows[1], form="openvino/plain/int8"))
    mixed = replace(two, rows=rows)
    assert [row_label(row, mixed) for row in rows] == ["onnxruntime/float32, 2 threads", "openvino/int8, 2 threads"]


@pytest.mark.parametrize("count", [1, 5, 12])
def test_the_picture_grows_with_the_devices(bench, count):
    devices = [read_device(bench(f"A board of some name, number {n}", energy_mj=-0.1)) for n in range(count)]
    picture = draw_device_bars(devices, form="png")
    _, height = Image.open(io.BytesIO(picture)).size
    assert 80 * count < height < 100 * count + 80
    assert draw_device_bars(devices, form="png") == picture
