"""The sentences follow from the figures and claim no more."""

import pytest

from groupnl.report import read_net
from groupnl.report.findings import findings


@pytest.fixture
def said(evaluation):
    """The sentences about the second of two nets."""

    def say(paired=None, **changes):
        nets = [read_net(evaluation()), read_net(evaluation("light", **changes))]
        found = findings(nets, {"light": paired} if paired else {})["light"]
        return [sentence.replace("\N{MINUS SIGN}", "-") for sentence in found]

    return say


def test_with_pairs_their_interval_decides(said, comparison):
    clean, corrupted, _ = said(comparison(), less=0.03)
    assert clean == "Clean images: level with vanilla (accuracy +0.0 points, 95 % interval -0.4 to +0.4, p = 1.00)."
    assert corrupted == (
        "Corrupted images: better than vanilla (mean error -3.0 points, 95 % interval -3.5 to -2.5, p < 0.001)."
    )


def test_with_pairs_more_errors_are_worse(said, comparison):
    _, corrupted, _ = said(comparison(difference=0.03, interval=[0.025, 0.035], p_value=0.02), less=-0.03)
    assert corrupted.startswith("Corrupted images: worse than vanilla (mean error +3.0 points")
    assert "p = 0.020" in corrupted


def test_without_pairs_overlapping_intervals_tell_nothing_apart(said):
    clean, corrupted, _ = said(less=0.015, clean_accuracy=0.91, intervals={"clean_accuracy": [0.9, 0.92]})
    assert clean == (
        "Clean images: not told apart from vanilla (accuracy 91.0 % against 90.0 %; the 95 % intervals overlap)."
    )
    assert "without an interval for both, nothing says how much of it is chance" in corrupted


@pytest.mark.parametrize(("less", "verdict"), [(0.05, "better"), (-0.05, "worse")])
def test_without_pairs_intervals_that_do_not_meet_do(said, less, verdict):
    _, corrupted, _ = said(less=less)
    assert corrupted.startswith(f"Corrupted images: {verdict} than vanilla")
    assert corrupted.endswith("the 95 % intervals do not meet).")


def test_more_clean_accuracy_is_better(said):
    changes = {"clean_accuracy": 0.95, "intervals": {"clean_accuracy": [0.94, 0.96]}}
    assert said(**changes)[0].startswith("Clean images: better than vanilla (accuracy 95.0 % against 90.0 %")


def test_corruptions_are_counted_and_the_extremes_named(said, evaluation):
    rows = evaluation()["corruptions"]
    rows = {name: {**row, "error": row["error"]} for name, row in rows.items()}
    rows["fog"]["error"] -= 0.1
    rows["frost"]["error"] -= 0.02
    rows["shot_noise"]["error"] += 0.04
    assert said(corruptions=rows)[2] == (
        "One by one: fewer errors under 2 of 4 corruptions (most: fog, -10.0 points), more errors under 1 of 4 "
        "corruptions (most: shot_noise, +4.0 points)."
    )
    assert said()[2] == "One by one: equally many errors under every corruption."


def test_clean_runs_have_one_sentence(evaluation):
    clean = {"corruptions": {}, "families": {}, "mean_error": None, "mean_ece": None}
    nets = [read_net(evaluation(name, **clean)) for name in ("vanilla", "light")]
    assert [len(sentences) for sentences in findings(nets, {}).values()] == [1]


def test_one_net_says_nothing(evaluation):
    assert findings([read_net(evaluation())], {}) == {}
