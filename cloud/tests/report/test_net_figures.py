"""Figures are read from one evaluation, from several training seeds, and from an experiment's result."""

import pytest

from groupnl.report import read_net
from groupnl.report.net_figures import Measure


def test_one_evaluation(evaluation):
    net = read_net(evaluation())
    assert (net.name, net.training_seeds) == ("vanilla", 1)
    assert net.clean_accuracy == Measure(0.9, (0.89, 0.91))
    assert net.mean_error.value == pytest.approx(0.34)
    assert net.mean_error.interval == pytest.approx((0.33, 0.35))
    assert net.by_severity() == pytest.approx({1: 0.29, 3: 0.39})
    assert net.mce is None
    assert net.train_minus_test is None


def test_seeds_are_averaged_and_their_interval_is_that_of_the_summary(evaluation):
    seeds = [evaluation(less=less, clean_accuracy=0.9 + less) for less in (0.0, 0.03, 0.06)]
    interval = {"mean": 0.93, "interval": [0.91, 0.95]}
    net = read_net({"name": "seeded", "evaluations": seeds, "summary": {"seeds": 3, "clean_accuracy": interval}})
    assert (net.name, net.training_seeds) == ("seeded", 3)
    assert net.clean_accuracy.value == pytest.approx(0.93)
    assert net.clean_accuracy.interval == (0.91, 0.95)
    assert net.mean_error.value == pytest.approx(0.31)
    assert net.mean_error.interval is None  # the summary has none
    assert net.families["noise"] == pytest.approx(0.37)
    assert net.corruptions["fog"]["error"] == pytest.approx(0.23)
    assert net.corruptions["fog"]["severities"]["3"] == pytest.approx(0.28)
    assert "ce" not in net.corruptions["fog"]


def test_seeds_of_which_one_lacks_a_figure_have_none(evaluation):
    seeds = [evaluation(baseline="AlexNet", mce=0.5), evaluation(baseline="AlexNet")]
    assert read_net({"name": "seeded", "evaluations": seeds}).mce is None


def test_an_experiment_has_the_gap(evaluation):
    assert read_net({"evaluation": evaluation(), "training": {"train_minus_test": 0.07}}).train_minus_test == 0.07
    assert read_net({"evaluation": evaluation()}).train_minus_test is None


def test_clean_figures_alone_are_enough(evaluation):
    net = read_net(evaluation(corruptions={}, families={}, mean_error=None, mean_ece=None))
    assert net.mean_error is None
    assert net.by_severity() == {}


def test_refusals(evaluation):
    incomplete = evaluation()
    del incomplete["images"], incomplete["corrupted_by"]
    with pytest.raises(ValueError, match="no evaluation, images, corrupted_by missing"):
        read_net(incomplete)
    with pytest.raises(ValueError, match="'evaluations' is"):
        read_net({"name": "none", "evaluations": []})
    with pytest.raises(ValueError, match="no evaluation, name, "):
        read_net({"evaluation": None})
    for change in ({"seed": 1}, {"baseline": "AlexNet"}, {"images": 5}):
        with pytest.raises(ValueError, match="its training seeds were not measured alike"):
            read_net({"name": "seeded", "evaluations": [evaluation(), evaluation(**change)]})
