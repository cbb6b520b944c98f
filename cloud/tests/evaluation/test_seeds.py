from typing import Any

import numpy as np
import pytest
import scipy.stats
from torch import nn

from groupnl.data import ImageSet
from groupnl.evaluation import Evaluation, evaluate, summarize_seeds
from groupnl_device.preprocessing import Preprocessing


@pytest.fixture
def runs(net: nn.Module, flat: ImageSet, plain: Preprocessing) -> list[Evaluation]:
    """Three seeds of a net, and what they find: 4, 4 and 2 of 6 right."""
    net.eval()
    nets = [net, net, lambda images: net(images).flip(1)]
    return [
        evaluate(one, flat, preprocessing=plain, corruptions=["contrast"], severities=[1, 2], name="toy")
        for one in nets
    ]


def test_means_and_intervals_over_seeds(runs: list[Evaluation]) -> None:
    found = summarize_seeds(runs)
    accuracies = [one.clean_accuracy for one in runs]
    assert len(set(accuracies)) == 2
    assert found.seeds == 3
    assert found.clean_accuracy.values == tuple(accuracies)
    assert found.clean_accuracy.mean == pytest.approx(np.mean(accuracies))
    student = scipy.stats.t.interval(0.95, 2, np.mean(accuracies), scipy.stats.sem(accuracies))
    assert found.clean_accuracy.interval == pytest.approx(student)
    # of three values the bootstrap's 2.5 % and 97.5 % are the lowest and the highest
    assert found.clean_accuracy.bootstrap == pytest.approx((min(accuracies), max(accuracies)))
    assert found.mean_error is not None
    assert found.mean_error.mean == pytest.approx(np.mean([one.mean_error for one in runs]))
    record = found.to_dict()
    assert record["mce"] is None
    assert record["clean_accuracy"]["interval"] == list(found.clean_accuracy.interval or ())


def test_a_single_seed_has_no_interval(runs: list[Evaluation]) -> None:
    found = summarize_seeds(runs[:1]).to_dict()
    assert found["clean_accuracy"] == {
        "mean": runs[0].clean_accuracy,
        "interval": None,
        "bootstrap": None,
        "values": [runs[0].clean_accuracy],
    }


@pytest.mark.parametrize("changes", [{"severities": [1]}, {"corruptions": ["pixelate"]}, {"variant": "imagenet"}])
def test_seeds_measured_in_other_ways_are_refused(
    runs: list[Evaluation], net: nn.Module, flat: ImageSet, plain: Preprocessing, changes: dict[str, Any]
) -> None:
    options = {"corruptions": ["contrast"], "severities": [1, 2]} | changes
    other = evaluate(net, flat, preprocessing=plain, **options)
    with pytest.raises(ValueError, match="not of the same data, corruptions and baseline"):
        summarize_seeds([*runs, other])


def test_no_seed_is_refused() -> None:
    with pytest.raises(ValueError, match="no evaluation given"):
        summarize_seeds([])
