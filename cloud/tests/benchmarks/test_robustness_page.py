"""Tables of docs/robustness.md against numbers worked by hand, and the page against its results."""

from typing import Any

import pytest
from benchmarks.experiments import RESULTS
from benchmarks.robustness_page import PAGE, ablation_table, draw, luck_table, main_table, question_table, written

from groupnl.corruptions import FAMILIES, names


def result(clean: float, error: float, *, others: float = 0.9, train_minus_test: float = 0.05) -> dict[str, Any]:
    """A net that errs alike under each of the 15, and otherwise under the four that are set aside."""
    mce15 = names("mce15")
    found = {name: {"error": error if name in mce15 else others} for name in names("all")}
    return {
        "params": 12_345,
        "macs": 2_540_000,
        "training": {"train_minus_test": train_minus_test},
        "evaluation": {"clean_accuracy": clean, "corruptions": found},
    }


SEEDS = {
    "vanilla": {0: result(0.80, 0.40), 1: result(0.82, 0.50)},
    "groupnl-r2": {0: result(0.79, 0.408), 1: result(0.79, 0.52)},
}
PLAIN = ("resnet8", "icons50", "plain")


def test_main_table_by_hand() -> None:
    # all 19: (15 x 0.40 + 4 x 0.9) / 19 = 50.5 % and (15 x 0.50 + 3.6) / 19 = 58.4 %: 54.5 +- 3.9
    # mCE: 40.8 / 40 = 102 and 52 / 50 = 104: 103 +- 1
    assert main_table(SEEDS, ("vanilla", "groupnl-r2", "ghost")).splitlines()[2:] == [
        "| vanilla | 12,345 | 2.5 | 2 | 81.0 ± 1.0 | 5.0 ± 0.0 | 45.0 ± 5.0 | 54.5 ± 3.9 |  |",
        "| groupnl-r2 | 12,345 | 2.5 | 2 | 79.0 ± 0.0 | 5.0 ± 0.0 | 46.4 ± 5.6 | 55.6 ± 4.4 | 103.0 ± 1.0 |",
    ]


def test_differences_are_paired_by_seed_and_pooled_over_plain_settings() -> None:
    # clean: -1 and -3, mean -2, standard error 1, 12.7 of which are the interval; errors +0.8 and +2: 1.4 +- 7.6.
    # What corruption adds: -0.2 and -1, mean -0.6, standard error 0.4, times 12.7: 5.1.
    # Two settings alike, together: the standard error of (-1, -3, -1, -3) is 1 / sqrt(3), times 3.18: 1.8.
    groups = {PLAIN: SEEDS, ("resnet8", "openicons", "plain"): SEEDS, ("resnet8", "icons50", "augmix"): SEEDS}
    assert question_table(groups).splitlines()[2:] == [
        "| vanilla | ResNet-8, Icons-50, plain | 2 | -2.0 ± 12.7 | +1.4 ± 7.6 | -0.6 ± 5.1 |",
        "| vanilla | ResNet-8, OpenIcons, plain | 2 | -2.0 ± 12.7 | +1.4 ± 7.6 | -0.6 ± 5.1 |",
        "| vanilla | ResNet-8, Icons-50, augmix | 2 | -2.0 ± 12.7 | +1.4 ± 7.6 | -0.6 ± 5.1 |",
        "| vanilla | all plain together | 4 | **-2.0 ± 1.8** | **+1.4 ± 1.1** | -0.6 ± 0.7 |",
    ]


def test_a_seed_without_a_partner_is_left_out() -> None:
    group = {"vanilla": {0: result(0.8, 0.4)}, "groupnl-r2": {**SEEDS["groupnl-r2"]}}
    assert len(question_table({PLAIN: group}).splitlines()) == 2


def test_ablations_are_compared_with_the_default() -> None:
    group = {**SEEDS, "groupnl-rms": {0: result(0.80, 0.408), 1: result(0.82, 0.52)}}
    rows = ablation_table(group).splitlines()[2:]
    assert rows[0] == "| groupnl-r2 | 2 | 79.0 ± 0.0 |  | 46.4 ± 5.6 |  |"
    assert rows[1] == "| groupnl-rms | 2 | 81.0 ± 1.0 | +2.0 ± 12.7 | 46.4 ± 5.6 | +0.0 ± 0.0 |"


def test_luck_of_pairs_and_of_training_by_hand() -> None:
    # clean accuracies [[79, 79], [81, 83]]: over pairs 1.41 and 2.83, mean 2.12; over training 0 and 1.41, mean 0.71
    group = {**SEEDS, "groupnl-pairs1": {0: result(0.81, 0.41), 1: result(0.83, 0.52)}}
    table = luck_table(group)
    assert "| pairs of seed 1 | 81.0 / 41.0 | 83.0 / 52.0 |" in table
    assert "over the pairs' seeds and over the training seeds: clean accuracy 2.1 and 0.7; mean error, 15" in table
    assert luck_table(SEEDS) == "Not measured yet."


def test_every_net_has_its_line_in_the_picture() -> None:
    figure = draw({PLAIN: SEEDS})
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["vanilla", "groupnl-r2"]


def test_the_page_follows_from_the_committed_results() -> None:
    assert PAGE.read_text(encoding="utf-8") == written(RESULTS)


def test_no_results_are_no_page(tmp_path: Any) -> None:
    with pytest.raises(ValueError, match="no results; run python"):
        written(tmp_path)


def test_families_are_those_of_the_corruptions() -> None:
    assert sorted(name for family in FAMILIES for name in names(family)) == sorted(names("all"))
