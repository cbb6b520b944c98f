"""The latency benchmark: its table and ratios by hand, and a whole small measurement."""

import pytest
import torch
from benchmarks.infer import CASES, QUICK, Settings, gains, nets_of, replaced, rows_of, table

from groupnl.models import zoo_names


def row(variant, mode, batch, median, ratio):
    keys = {"net": "n@32", "variant": variant, "mode": mode, "batch": batch, "threads": 2}
    return {**keys, "median_ms": median, "to_vanilla": ratio}


ROWS = [
    row("vanilla", "eager", 1, 4.0, 1.0),
    row("vanilla", "fused", 1, 3.0, 1.0),
    row("groupnl", "eager", 1, 5.0, 1.25),
    row("groupnl", "fused", 1, 2.0, 0.667),
    row("vanilla", "eager", 32, 40.0, 1.0),
    row("vanilla", "fused", 32, 20.0, 1.0),
    row("groupnl", "eager", 32, 50.0, 1.25),
    row("groupnl", "fused", 32, 30.0, 1.5),
]


def test_table_by_hand():
    assert table(ROWS).splitlines() == [
        "| net | method | eager 1 x 2 | fused 1 x 2 | eager 32 x 2 | fused 32 x 2 |",
        "|---|---|---:|---:|---:|---:|",
        "| n@32 | vanilla | 4.0 (1.00) | 3.0 (1.00) | 40.0 (1.00) | 20.0 (1.00) |",
        "| n@32 | groupnl | 5.0 (1.25) | 2.0 (0.67) | 50.0 (1.25) | 30.0 (1.50) |",
    ]


def test_gains_by_hand():
    assert gains(ROWS) == pytest.approx({"vanilla": (0.75 + 0.5) / 2, "groupnl": (0.4 + 0.6) / 2})


def test_every_variant_is_a_net_that_can_be_made():
    known = set(zoo_names())
    for case in (*CASES, QUICK):
        assert case.variants["vanilla"]
        assert {name for variant, name in case.variants.items() if variant != "vanilla"} <= known


def test_a_small_measurement(monkeypatch):
    monkeypatch.setattr("benchmarks.infer.BUDGET", 0.0)  # the least number of rounds
    cpu = torch.device("cpu")
    settings = Settings(device=cpu, dtype=torch.float32, threads=None, batch=2, modes=("eager", "fused"))
    rows = rows_of(QUICK, nets_of(QUICK, cpu, torch.float32), settings)
    assert [(found["variant"], found["mode"]) for found in rows] == [
        (variant, mode) for variant in ("vanilla", "ghost", "sinefm", "groupnl") for mode in ("eager", "fused")
    ]
    times = {(found["variant"], found["mode"]): found["median_ms"] for found in rows}
    for found in rows:
        assert 0 < found["median_ms"] <= found["p90_ms"]
        assert found["rounds"] == 3
        assert found["difference"] < 1e-5
        expected = times[found["variant"], found["mode"]] / times["vanilla", found["mode"]]
        assert found["to_vanilla"] == pytest.approx(expected)
    assert gains(rows).keys() == {"vanilla", "ghost", "sinefm", "groupnl"}


def test_rows_that_are_measured_again_take_the_place_of_the_old_ones():
    def row(net, threads, time):
        return {"net": net, "variant": "vanilla", "mode": "eager", "batch": 1, "threads": threads, "median_ms": time}

    before = [row("a", 1, 1.0), row("a", 2, 2.0), row("b", 2, 3.0)]
    found = replaced(before, [row("a", 2, 2.5), row("c", 2, 4.0)])
    assert [(r["net"], r["threads"], r["median_ms"]) for r in found] == [
        ("a", 1, 1.0),
        ("a", 2, 2.5),
        ("b", 2, 3.0),
        ("c", 2, 4.0),
    ]
