"""What stands in the cells."""

import pytest

from groupnl.report import overview, read_net
from groupnl.report import tables as of

NONE = "\N{EN DASH}"
CE = {"baseline": "AlexNet", "mce": 0.767, "relative_mce": 1.05}


@pytest.fixture
def nets(evaluation):
    """Two nets, the second with 3 points fewer errors."""
    return [read_net(evaluation()), read_net(evaluation("light", less=0.03))]


def texts(row):
    return [cell.text.replace("\N{MINUS SIGN}", "-") for cell in row.cells]


def test_overview(nets):
    table = overview(nets)
    assert table.heads == ["clean accuracy, %", "mean error, %", "ECE clean, %", "ECE corrupted, %", "training runs"]
    assert [row.label for row in table.rows] == ["vanilla", "light"]
    assert texts(table.rows[0]) == ["90.0", "34.0", "2.0", "10.0", "1"]
    assert table.rows[0].cells[0].note == "89.0 to 91.0"
    assert [cell.best for cell in table.rows[0].cells] == [False] * 5  # equal figures: neither is better
    assert [cell.best for cell in table.rows[1].cells] == [False, True, False, False, False]


def test_figures_that_read_alike_are_alike(evaluation):
    nets = [read_net(evaluation(name, clean_ece=ece)) for name, ece in (("a", 0.02), ("b", 0.0200001), ("c", 0.03))]
    assert [row.cells[2].best for row in overview(nets).rows] == [True, True, False]


def test_mce_stands_under_its_baseline(evaluation):
    records = [evaluation("a", **CE), evaluation("b", **{**CE, "baseline": "ours"}), evaluation("c")]
    table = overview([read_net(record) for record in records])
    heads = [f"{kind}, % of {baseline}" for baseline in ("AlexNet", "ours") for kind in ("mCE", "relative mCE")]
    assert table.heads[2:6] == heads
    assert [texts(row)[2:6] for row in table.rows] == [
        ["76.7", "105.0", NONE, NONE],
        [NONE, NONE, "76.7", "105.0"],
        [NONE] * 4,
    ]


def test_the_gap_stands_where_it_is_known(evaluation):
    gap = {"evaluation": evaluation("a"), "training": {"train_minus_test": 0.052}}
    table = overview([read_net(gap), read_net(evaluation("b"))])
    column = table.heads.index("train \N{MINUS SIGN} test, points")
    assert [texts(row)[column] for row in table.rows] == ["+5.2", NONE]


def test_by_corruption(nets):
    table = of.by_corruption(nets)
    assert [(row.label, row.heading) for row in table.rows] == [
        ("noise, mean of 2", True),
        ("gaussian_noise", False),
        ("shot_noise", False),
        ("weather, mean of 2", True),
        ("frost", False),
        ("fog", False),
    ]
    assert texts(table.rows[0]) == ["40.0", "37.0"]
    assert texts(table.rows[1]) == ["45.0", "42.0"]
    assert [cell.best for cell in table.rows[1].cells] == [False, True]


def test_ce_is_shown_for_the_corruptions_that_have_it(nets, evaluation):
    assert of.by_corruption(nets, "ce") is None
    record = evaluation()
    record["corruptions"]["fog"]["ce"] = 0.5
    table = of.by_corruption([read_net(record)], "ce")
    assert [(row.label, texts(row)) for row in table.rows] == [("weather, mean of 1", ["50.0"]), ("fog", ["50.0"])]


def test_by_severity(nets):
    table = of.by_severity(nets)
    assert [(row.label, texts(row)) for row in table.rows] == [
        ("0 (clean)", ["10.0", "10.0"]),
        ("1", ["29.0", "26.0"]),
        ("3", ["39.0", "36.0"]),
    ]


def test_nothing_to_show(evaluation):
    clean = {"corruptions": {}, "families": {}, "mean_error": None, "mean_ece": None}
    nets = [read_net(evaluation(**clean))]
    assert of.by_corruption(nets) is None
    assert of.by_severity(nets) is None
    assert of.paired({}) is None
    assert of.training([]) is None


def test_paired(comparison):
    (row,) = of.paired({"light": comparison()}).rows
    assert texts(row) == ["+0.0", "120 / 120", "1.00", "-3.0", "< 0.001"]
    assert row.cells[3].note.replace("\N{MINUS SIGN}", "-") == "-3.5 to -2.5"
    table = of.paired({"light": {**comparison(), "corrupted": None}})
    assert len(table.heads) == len(table.rows[0].cells) == 3


def test_training():
    run = {"net": "a", "epochs": 20, "train_seconds": 61.7, "test_accuracy": 0.9}
    known = {**run, "train_set_accuracy": 0.99, "train_minus_test": 0.09}
    first, second = of.training([known, run]).rows
    assert texts(first) == ["99.0", "90.0", "+9.0", "20", "62"]
    assert texts(second) == [NONE, "90.0", NONE, "20", "62"]
