"""Settings that make no sense are refused, and a measurement becomes JSON that programs can rely on."""

import json
from typing import Any

import pytest

from groupnl_device.cold_start import ColdStart
from groupnl_device.energy import AtRest, Energy
from groupnl_device.latency import summarize
from groupnl_device.measurement import Measurement, Row, Settings
from groupnl_device.rapl import Rapl

START = ColdStart(cold_start_ms=200.0, load_ms=80.0, peak_memory_bytes=60 * 2**20)


def row(threads: int, energy: Energy | None = None, reason: str | None = None) -> Row:
    return Row(
        artifact="onnxruntime/plain/float32",
        runtime="onnxruntime 1.22.0",
        threads=threads,
        latency=summarize([[4.0 / threads] * 40]),
        ratio_to_first=1.0,
        start=START,
        energy=energy,
        energy_reason=reason,
    )


def measurement(rows: tuple[Row, ...], at_rest: AtRest | None = None) -> Measurement:
    return Measurement(
        model="tiny",
        model_bytes=1234,
        manifest_sha256="0" * 64,
        settings=Settings(threads=tuple(row.threads for row in rows)),
        rows=rows,
        left_out={"toaster/plain/float32": "this runtime is unknown here"},
        at_rest=at_rest,
        notes=("a note",),
        hardware={"processor": "A", "machine": "B", "usable_cores": 4, "system": "C"},
        versions={"python": "3.11"},
        date="2026-11-23",
    )


def test_json_without_a_meter() -> None:
    found = json.loads(json.dumps(measurement((row(1, reason="no meter"), row(2, reason="no meter"))).to_dict()))
    assert found["kind"] == "bench"
    assert [one["threads"] for one in found["rows"]] == [1, 2]
    first = found["rows"][0]
    assert {key: found[key] for key in first} == first  # what programs of the first version read
    assert (first["latency_ms_median"], first["images_per_second"]) == (4.0, 250.0)
    assert (first["cold_start_ms"], first["load_ms"], first["peak_memory_bytes"]) == (200.0, 80.0, 60 * 2**20)
    assert (first["energy_mj"], first["energy_reason"]) == (None, "no meter")
    assert (found["energy_source"], found["idle_w"]) == (None, None)
    assert found["settings"] == {
        "threads": [1, 2],
        "runs": 200,
        "warmup": 20,
        "compare": False,
        "energy_seconds": 5.0,
        "blocks": 5,
    }


def test_json_with_a_meter(tmp_path: Any) -> None:
    (tmp_path / "intel-rapl:0").mkdir()
    for file, text in (("name", "package-0"), ("energy_uj", "1"), ("max_energy_range_uj", "9")):
        (tmp_path / "intel-rapl:0" / file).write_text(text)
    energy = Energy(energy_mj=3.0, energy_with_idle_mj=5.0, power_w=7.0, energy_runs=10, energy_seconds=0.5)
    found = measurement((row(1, energy),), AtRest(Rapl(tmp_path), 2.5)).to_dict()
    assert (found["energy_mj"], found["energy_with_idle_mj"], found["power_w"]) == (3.0, 5.0, 7.0)
    assert (found["energy_source"], found["idle_w"], found["energy_reason"]) == ("rapl", 2.5, None)
    assert found["energy_covers"] == "processor packages and memory (package-0)"


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"runs": 0}, "runs=0: expected an integer of at least 1"),
        ({"runs": 1.5}, "runs=1.5"),
        ({"warmup": -1}, "warmup=-1"),
        ({"warmup": True}, "warmup=True"),
        ({"threads": ()}, r"threads=\[\]: expected one number or more"),
        ({"threads": (1, 2, 1)}, r"threads=\[1, 2, 1\]: .* each once"),
        ({"threads": (1, 0)}, "threads=0: expected an integer from 1 to 1024"),
        ({"threads": (5000,)}, "threads=5000"),
        ({"energy_seconds": -1}, "energy_seconds=-1: expected 0"),
        ({"energy_seconds": float("nan")}, "energy_seconds=nan"),
    ],
)
def test_refusals(options: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        Settings(**options)
