"""The benchmark of runtimes: its table and targets by hand, and a whole small measurement."""

import pytest
import torch
from benchmarks.runtimes import CASES, FORMS, QUICK, Case, against_targets, loaders_of, nets_of, rows_of, table

from groupnl.models import zoo_names
from groupnl.nn import GroupNLConv2d


def row(net, form, threads, median, ratio):
    keys = {"net": net, "form": form, "runtime": "onnxruntime", "threads": threads}
    return {**keys, "median_ms": median, "ratio_to_vanilla": ratio}


ROWS = [
    row("a", "vanilla", 1, 4.0, 1.0),
    row("a", "pure", 1, 3.0, 0.75),
    row("a", "vanilla", 2, 2.5, 1.0),
    row("a", "pure", 2, 2.0, 0.8),
    row("b@32", "vanilla", 1, 0.125, 1.0),
    row("b@32", "lean", 1, 0.1, 0.8),
]


def test_table_by_hand():
    assert table(ROWS).splitlines() == [
        "| net | runtime | threads | vanilla, ms | pure | lean |",
        "|---|---|---:|---:|---:|---:|",
        "| a | onnxruntime | 1 | 4.00 | 0.75 |  |",
        "| a | onnxruntime | 2 | 2.50 | 0.80 |  |",
        "| b@32 | onnxruntime | 1 | 0.12 |  | 0.80 |",
    ]


def test_targets_are_of_one_thread():
    cases = [Case(base="a", side=224, targets={"pure": 0.7, "lean": 0.5}), Case(base="b", side=32, targets={})]
    wanted = {"net": "a", "form": "pure", "against": "vanilla", "target": 0.7, "ratio": 0.75}
    assert against_targets(cases, ROWS) == [wanted]
    rows = [*ROWS, row("a", "vanilla_int8", 1, 2.0, 0.5), row("a", "groupnl_int8", 1, 1.5, 0.375)]
    (found,) = against_targets([Case(base="a", side=224, targets={"groupnl_int8": 0.8})], rows)
    assert (found["against"], found["ratio"]) == ("vanilla_int8", 0.75)


def test_the_cases_are_nets_that_can_be_made():
    assert set(QUICK) <= {case.name for case in CASES}
    assert {f"groupnl_{case.base}" for case in CASES} <= set(zoo_names())
    for case in CASES:
        assert set(case.targets) <= set(FORMS)
        assert case.light == ("lean" in case.targets)


def test_published_has_the_weights_of_pure():
    nets = nets_of(CASES[0])
    assert list(nets) == ["vanilla", "ghost", "published", "pure"]
    assert not any(isinstance(module, GroupNLConv2d) for module in nets["published"].modules())
    x = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(nets["published"](x), nets["pure"](x), rtol=1e-4, atol=1e-4)
        assert not torch.allclose(nets["vanilla"](x), nets["pure"](x))


def test_a_small_measurement():
    case = CASES[0]
    loaders = loaders_of(case)
    assert {"vanilla", "ghost", "published", "pure"} <= set(loaders) <= set(FORMS)
    rows = rows_of(case, loaders, 1, budget=0.0)
    assert [found["form"] for found in rows] == list(loaders)
    for found in rows:
        assert (found["net"], found["runtime"], found["threads"]) == ("resnet8@32", "onnxruntime", 1)
        assert found["ratio_to_vanilla"] == pytest.approx(found["median_ms"] / rows[0]["median_ms"])
    with pytest.raises(ValueError, match="resnet8@32: published and pure differ by"):
        rows_of(case, {**loaders, "pure": loaders["vanilla"]}, 1, budget=0.0)
