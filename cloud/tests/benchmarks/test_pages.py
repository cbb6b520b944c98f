"""The pages on forms and conversion follow from their figures."""

import pytest
from benchmarks.marks import put_between
from benchmarks.paired import accuracy_table

from benchmarks import pages


def net(form, seed, clean, error):
    return {
        "form": form,
        "seed": seed,
        "clean_accuracy": clean,
        "mean_error": error,
        "params": 1000,
        "macs": 2_500_000,
    }


NETS = [
    net("vanilla", 0, 0.50, 0.5),
    net("lean", 0, 0.52, 0.5),
    net("vanilla", 1, 0.54, 0.5),
    net("lean", 1, 0.55, 0.5),
]


def test_the_accuracy_table_by_hand():
    """Two differences, +2 and +1: mean 1.5, standard error 0.5, 12.7 of which are the 95 % interval."""
    assert accuracy_table(NETS, "form", "vanilla").splitlines()[2:] == [
        "| vanilla | 2 | 52.0 ± 2.0 |  | 50.0 ± 0.0 |  |",
        "| lean | 2 | 53.5 ± 1.5 | +1.5 ± 6.4 | 50.0 ± 0.0 | +0.0 ± 0.0 |",
    ]


def test_one_seed_has_no_difference():
    assert accuracy_table(NETS[:2], "form", "vanilla").splitlines()[3] == "| lean | 1 | 52.0 |  | 50.0 |  |"


def test_the_reach_table_by_hand():
    reach = {"layer1": {"of": 64, "mean": 4.9375, "rank": 64}}
    table = pages.reach_table([{"variant": "sparse", "params": 1000, "macs": 2_500_000, "reach": reach}])
    assert table.splitlines() == [
        "| | parameters | multiply-adds, M | layer1, of 64 |",
        "|---|---:|---:|---:|",
        "| sparse | 1,000 | 2.5 | 4.9 |",
    ]


def test_the_pages_follow_from_the_committed_figures():
    for path, text in pages.written().items():
        assert path.read_text(encoding="utf-8") == text


def test_a_page_without_marks_is_refused():
    with pytest.raises(ValueError, match="expected the marks '<a>' and '</a>'"):
        put_between("no marks", "<a>", "</a>", "block")


def test_what_stood_between_the_marks_goes():
    assert put_between("x<a>old</a>y", "<a>", "</a>", "new") == "x<a>\nnew\n</a>y"
