"""The demo's latencies from what the device's command prints: the median round, ratios, what does not run."""

from pathlib import Path

import pytest

from groupnl.cli import demo_forms


def row(form: str, latency: float) -> dict[str, object]:
    others = {"latency_ms_p90": 9.0, "cold_start_ms": 8.0, "peak_memory_bytes": 7, "threads": 1}
    return {"artifact": form, "latency_ms_median": latency, **others}


def test_the_median_round_of_every_form(monkeypatch: pytest.MonkeyPatch) -> None:
    latencies = {"a": iter((4.0, 2.0, 3.0)), "b": iter((6.0, 60.0, 1.5)), "b8": iter((1.0, 1.2, 0.9))}

    def run_device(arguments: list[str]) -> dict[str, object]:
        name = Path(arguments[1]).stem
        form = "plain/int8" if name == "b8" else "plain/float32"
        return {"rows": [row(form, next(latencies[name]))], "left_out": {"native": "not installed"}}

    monkeypatch.setattr(demo_forms, "run_device", run_device)
    found = demo_forms.measure_forms({"a": [Path("a.gnl")], "b": [Path("b.gnl"), Path("b8.gnl")]}, 3)
    assert [(r["net"], r["form"], r["latency_ms_median"], r["ratio"]) for r in found.rows] == [
        ("a", "plain/float32", 3.0, 1.0),
        ("b", "plain/float32", 6.0, 2.0),
        ("b", "plain/int8", 1.0, 1.0 / 3.0),
    ]
    assert found.first["b"]["latency_ms_median"] == 6.0
    assert found.left_out == {"native": "not installed"}
