"""What is not alike is refused or said."""

import pytest

from groupnl.report import read_net, unlike
from groupnl.report.likeness import check_alike, check_comparison


@pytest.fixture
def pair(evaluation):
    """Make two nets, the second with changes."""

    def make(**changes):
        return [read_net(evaluation()), read_net(evaluation("light", **changes))]

    return make


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": "cifar100"}, "vanilla and light cannot be compared, they differ in data set: cifar10 and cifar100"),
        ({"split": "train"}, "split: test and train"),
        ({"images": 9_999}, "number of images: 10000 and 9999"),
        ({"variant": "imagenet"}, "constants of the corruptions: cifar and imagenet"),
        ({"severities": [1, 5]}, "severities: only the first has 3, only the second has 5"),
        ({"corruptions": {}}, "corruptions: only the first has fog, frost, gaussian_noise, shot_noise"),
    ],
)
def test_what_must_be_alike(pair, changes, message):
    with pytest.raises(ValueError, match=message):
        check_alike(pair(**changes))


def test_alike_nets_pass_and_nothing_is_said(pair):
    check_alike(pair())
    assert unlike(pair()) == []


def test_the_order_of_the_corruptions_does_not_matter(pair, evaluation):
    backwards = dict(reversed(evaluation()["corruptions"].items()))
    check_alike(pair(corruptions=backwards))


def test_the_number_of_nets_and_their_names(pair):
    first, second = pair()
    with pytest.raises(ValueError, match="0 nets: expected 1 to 12"):
        check_alike([])
    with pytest.raises(ValueError, match="13 nets: expected 1 to 12"):
        check_alike([first] * 13)
    with pytest.raises(ValueError, match="two nets are called 'vanilla'"):
        check_alike([first, second, first])


def test_published_against_generated_is_said(pair):
    nets = pair(corrupted_by="published", corrupted_source="CIFAR-10-C", variant=None, seed=None)
    check_alike(nets)  # a set that was read does not say whose constants it has
    (said,) = unlike(nets)
    assert "generated, groupnl 0.1.0, seed 0 (vanilla); published, CIFAR-10-C (light)" in said


def test_other_frost_and_other_seeds_are_said(pair, evaluation):
    (said,) = unlike(pair(frost_source="my photographs"))
    assert "stand-in (vanilla); my photographs (light)" in said
    seeded = read_net({"name": "seeded", "evaluations": [evaluation(), evaluation()]})
    (said,) = unlike([*pair(), seeded])
    assert "one training run (vanilla, light); 2 training runs (seeded)" in said


def test_a_comparison_belongs_to_its_figures(evaluation, comparison):
    nets = [read_net(evaluation()), read_net(evaluation("light", less=0.03))]
    check_comparison("light", comparison(), nets)
    for wrong in (comparison(difference=0.03), {**comparison(), "corrupted": None}):
        with pytest.raises(
            ValueError, match="the answers of light and vanilla do not belong to their figures: in mean"
        ):
            check_comparison("light", wrong, nets)
    nets[1] = read_net(evaluation("light", less=0.03, clean_accuracy=0.91))
    with pytest.raises(ValueError, match=r"in clean accuracy they differ by 0\.0, the figures by 0\.01"):
        check_comparison("light", comparison(), nets)
    with pytest.raises(ValueError, match="a comparison of 'vanilla' with 'vanilla': expected one of light"):
        check_comparison("vanilla", comparison(), nets)


def test_clean_answers_belong_to_clean_figures(evaluation, comparison):
    clean = {"corruptions": {}, "families": {}, "mean_error": None, "mean_ece": None}
    nets = [read_net(evaluation(name, **clean)) for name in ("vanilla", "light")]
    check_comparison("light", {**comparison(), "corrupted": None}, nets)
