"""Paired differences against scipy's t test."""

import numpy as np
import pytest
from benchmarks.paired import mean_and_error, paired_difference
from scipy import stats


@pytest.mark.parametrize("count", [*range(2, 32)])
def test_equals_scipy(count):
    random = np.random.default_rng(count)
    a, b = random.normal(size=(2, count)) + np.array([[0.5], [0]])
    found = paired_difference(a.tolist(), b.tolist())
    expected = stats.ttest_rel(a, b)
    low, high = expected.confidence_interval(0.95)
    assert found.mean - found.half_width == pytest.approx(low, rel=1e-4, abs=1e-4)
    assert found.mean + found.half_width == pytest.approx(high, rel=1e-4, abs=1e-4)
    assert found.is_clear == (expected.pvalue < 0.05)


def test_few_values():
    assert mean_and_error([3.0]) == (3.0, None)
    assert mean_and_error([1.0, 3.0]) == (2.0, 1.0)
    assert paired_difference([1.0], [2.0]) is None


def test_refusals():
    with pytest.raises(ValueError, match="no values"):
        mean_and_error([])
    with pytest.raises(ValueError, match="1 and 2 values"):
        paired_difference([1.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="at most 31"):
        paired_difference([1.0] * 32, [1.0] * 32)
