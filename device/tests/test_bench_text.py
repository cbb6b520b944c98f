"""What people read after a measurement."""

from dataclasses import replace
from typing import Any

import pytest

from groupnl_device.bench_text import lines_of
from groupnl_device.cold_start import ColdStart
from groupnl_device.energy import AtRest, Energy
from groupnl_device.latency import summarize
from groupnl_device.measurement import Measurement, Row, Settings

ENERGY = Energy(energy_mj=3.21, energy_with_idle_mj=5.0, power_w=7.0, energy_runs=10, energy_seconds=0.5)


class Lamp:
    name, covers = "lamp", "the whole board"


def measured(*forms: str, energy: Energy | None = None, compare: bool = False) -> Measurement:
    rows = tuple(
        Row(
            artifact=f"onnxruntime/{form}/float32",
            runtime="onnxruntime 1.22.0",
            threads=1,
            latency=summarize([[4.0 - place] * 40]),
            ratio_to_first=(4 - place) / 4,
            start=ColdStart(cold_start_ms=200.4, load_ms=80.0, peak_memory_bytes=None if place else 60 * 2**20),
            energy=energy,
            energy_reason=None if energy else "no meter",
        )
        for place, form in enumerate(forms)
    )
    lamp: Any = Lamp()
    return Measurement(
        model="tiny",
        model_bytes=12_345,
        manifest_sha256="0" * 64,
        settings=Settings(compare=compare),
        rows=rows,
        left_out={},
        at_rest=AtRest(lamp, 2.0) if energy else None,
        notes=("a note",),
        hardware={"processor": "A Board", "machine": "arm", "usable_cores": 4, "system": "Linux"},
        versions={},
        date="2026-11-23",
    )


def test_one_form() -> None:
    lines = lines_of(measured("plain"))
    assert lines[0] == "model   tiny, 12,345 bytes, onnxruntime/plain/float32"
    assert lines[1] == "device  A Board (arm), 4 cores; onnxruntime 1.22.0"
    assert " ".join(lines[3].split()) == "threads median ms p90 p99 images/s noise cold start ms peak MiB energy mJ"
    assert lines[4].split() == ["1", "4.000", "4.000", "4.000", "250.0", "0%", "200", "60.0", "-"]
    assert "energy    not available on this machine: no meter" in lines
    assert lines[-1] == "note      a note"
    assert any("not timed" in line for line in lines)


def test_energy_says_what_it_covers_and_what_was_subtracted() -> None:
    lines = lines_of(measured("plain", energy=ENERGY))
    assert lines[4].split()[-1] == "3.21"
    (said,) = (line for line in lines if line.startswith("energy"))
    assert said == ("energy    of the whole board; idle power, 2.00 W before the net was loaded, is subtracted")


@pytest.mark.parametrize(
    ("energy_mj", "shown"),
    [(0.01234, "0.0123"), (12.345, "12.3"), (999.4, "999"), (999.6, "1,000"), (23_456, "23,456")],
)
def test_energy_has_three_digits_and_no_exponent(energy_mj: float, shown: str) -> None:
    assert lines_of(measured("plain", energy=replace(ENERGY, energy_mj=energy_mj)))[4].split()[-1] == shown


def test_energy_that_nobody_asked_for() -> None:
    lines = lines_of(replace(measured("plain"), settings=Settings(energy_seconds=0)))
    assert "energy    not measured, as asked (0 seconds)" in lines


def test_energy_that_was_told_for_some_rows_only() -> None:
    found = measured("plain", "native", energy=ENERGY, compare=True)
    rows = (found.rows[0], replace(found.rows[1], energy=None, energy_reason="the battery is empty"))
    said = [line for line in lines_of(replace(found, rows=rows)) if line.startswith("energy")]
    assert len(said) == 2
    assert "the battery is empty" in said[1]


def test_a_comparison_shows_forms_and_ratios() -> None:
    found = replace(measured("plain", "native", compare=True), left_out={"openvino/plain/float32": "not installed"})
    lines = lines_of(found)
    assert lines[0].endswith("its forms compared")
    table = [line.split() for line in lines[3:6]]
    assert table[0][:5] == ["form", "threads", "median", "ms", "ratio"]
    assert table[1][:4] == ["onnxruntime/plain/float32", "1", "4.000", "1.00"]
    assert table[2][:4] == ["onnxruntime/native/float32", "1", "3.000", "0.75"]
    assert table[2][-2] == "-"  # no memory figure
    assert len({len(line) for line in lines[3:6]}) == 1
    assert "left out  openvino/plain/float32: not installed" in lines
