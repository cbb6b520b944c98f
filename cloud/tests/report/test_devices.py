"""The page of devices: self-contained, every figure in its cell, and what weakens the comparison said."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from groupnl.report import device_table, device_warnings, read_device, render_devices
from groupnl.report.devices import facts_table


class Tags(HTMLParser):
    """Fails on a tag that is closed without having been opened, and collects what the page would fetch."""

    def __init__(self):
        super().__init__()
        self.open, self.fetched = [], []

    def handle_starttag(self, tag, attributes):
        self.fetched += [value for name, value in attributes if name in ("src", "href")]
        if tag not in ("meta", "img", "link", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture
def devices(bench):
    return [read_device(bench()), read_device(bench("<Board> 5", energy_mj=3.21, notes=["noisy"]))]


def texts(row):
    return [cell.text for cell in row.cells]


def test_the_page_is_well_formed_and_fetches_nothing(devices):
    page = render_devices(devices)
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    assert all(value.startswith("data:") for value in tags.fetched)
    assert not re.search(r"https?://", page)
    assert "resnet8 on 2 devices" in page
    assert "&lt;Board&gt; 5" in page
    assert "<Board>" not in page
    assert "No energy of Board 4: no counters." in page
    assert render_devices(devices) == page


def test_every_figure_has_its_cell(devices):
    table = device_table(devices)
    assert list(table.heads) == [
        "median, ms",
        "p90, ms",
        "p99, ms",
        "images/s",
        "noise",
        "energy, mJ",
        "peak memory, MiB",
        "cold start, ms",
    ]
    assert [(row.label, row.heading) for row in table.rows] == [
        ("Board 4", True),
        ("1 thread", False),
        ("2 threads", False),
        ("<Board> 5", True),
        ("1 thread", False),
        ("2 threads", False),
    ]
    none = "\N{EN DASH}"
    assert texts(table.rows[1]) == ["12.0", "13.0", "14.5", "80.0", "4%", none, "64.0", "346"]
    assert texts(table.rows[5]) == ["6.00", "6.50", "7.25", "160", "8%", "3.21", "64.0", "346"]


def test_a_comparison_of_forms_has_ratios(bench):
    table = device_table([read_device(bench(threads=(1,), forms=("plain", "native")))])
    assert table.heads[1] == "ratio"
    assert [texts(row)[1] for row in table.rows[1:]] == ["1.00", "0.50"]


def test_noise_is_marked(bench):
    noisy = device_table([read_device(bench(threads=(2, 3)))]).rows[1:]
    assert [row.cells[4].note for row in noisy] == ["", "noisy"]


def test_facts_that_nobody_tells_are_left_out(devices):
    facts = {row.label: texts(row) for row in facts_table(devices).rows}
    assert facts["board or processor"] == ["Board 4", "<Board> 5"]
    assert facts["runs, warm-up"] == ["200, 20", "200, 20"]
    assert facts["power at rest, W"] == ["\N{EN DASH}", "2.50"]
    assert facts["bundle"] == ["238,269 bytes, 5e1a7c4f"] * 2
    assert "frequency governor" not in facts
    assert "memory of the device, MiB" not in facts


def test_devices_that_were_measured_alike_need_no_warning(bench):
    assert device_warnings([read_device(bench()), read_device(bench("Board 5"))]) == []


def test_what_weakens_the_comparison_is_said(devices, bench):
    board, other = devices
    assert device_warnings(devices) == ["<Board> 5: noisy."]
    changed = replace(other, notes=(), manifest_sha256="1" * 64, settings={"runs": 50, "warmup": 20})
    bundle, settings = device_warnings([board, changed])
    assert bundle == (
        "Not all ran the same bundle. Board 4: resnet8, 238,269 bytes, 5e1a7c4f; "
        "<Board> 5: resnet8, 238,269 bytes, 11111111."
    )
    assert settings.startswith("Not all were measured alike. Board 4: 200 runs after 20 untimed ones; <Board> 5: 50")
    third = replace(other, name="PC", notes=(), energy_covers="processor packages")
    (energy,) = device_warnings([board, replace(other, notes=()), third])
    assert "<Board> 5: the whole board; PC: processor packages. Compare it within a device only." in energy


def test_forms_that_could_not_run_are_named(bench):
    page = render_devices([read_device(bench(left_out={"openvino/plain/int8": "not installed"}))])
    assert "Not run on Board 4: openvino/plain/int8 (not installed)." in page


def test_titles(devices):
    assert "<h1>resnet8 on Board 4</h1>" in render_devices(devices[:1])
    assert "<h1>2 nets, measured on devices</h1>" in render_devices([devices[0], replace(devices[1], model="other")])
    assert "<h1>A &amp; B</h1>" in render_devices(devices, title="A & B")


def test_refusals(devices):
    with pytest.raises(ValueError, match="0 devices: expected 1 to 12"):
        render_devices([])
    with pytest.raises(ValueError, match="13 devices"):
        render_devices([replace(devices[0], name=str(n)) for n in range(13)])
    with pytest.raises(ValueError, match="two devices are called 'Board 4'"):
        render_devices([devices[0], devices[0]])
