import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from groupnl.evaluation.intervals import bootstrap_interval, student_interval, student_quantile


@pytest.mark.parametrize(("share", "count"), [(0.1, 300), (0.5, 40), (0.93, 1000)])
def test_of_shares_it_is_scipys_percentile_bootstrap(share: float, count: int) -> None:
    right = np.random.default_rng(1).random(count) < share
    theirs = scipy.stats.bootstrap(
        (right,), np.mean, n_resamples=10_000, method="percentile", rng=np.random.default_rng(2)
    ).confidence_interval
    spread = right.std() / np.sqrt(count)
    assert bootstrap_interval(right) == pytest.approx((theirs.low, theirs.high), abs=0.15 * spread)


def test_of_shares_its_ends_are_quantiles_of_the_binomial() -> None:
    low, high = bootstrap_interval(np.arange(2000) < 600)
    assert low * 2000 == pytest.approx(scipy.stats.binom.ppf(0.025, 2000, 0.3), abs=2)
    assert high * 2000 == pytest.approx(scipy.stats.binom.ppf(0.975, 2000, 0.3), abs=2)


def test_of_counts_it_is_scipys_percentile_bootstrap() -> None:
    counts = np.random.default_rng(3).binomial(95, 0.3, 500) - 20
    theirs = scipy.stats.bootstrap(
        (counts,), np.mean, n_resamples=10_000, method="percentile", rng=np.random.default_rng(4)
    ).confidence_interval
    spread = counts.std() / np.sqrt(500)
    assert bootstrap_interval(counts) == pytest.approx((theirs.low, theirs.high), abs=0.15 * spread)


def test_nine_in_ten_and_five_intervals_hold_the_truth() -> None:
    generator = np.random.default_rng(5)
    held = 0
    for _ in range(200):
        low, high = bootstrap_interval(generator.random(400) < 0.3)
        held += low <= 0.3 <= high
    assert 180 <= held <= 199


def test_no_spread_no_width_and_the_same_every_time() -> None:
    assert bootstrap_interval([True] * 9) == (1.0, 1.0)
    assert bootstrap_interval([0, 1, 1]) == bootstrap_interval([1, 0, 1])


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 5, 9, 10, 29, 100])
def test_students_quantile_is_scipys(freedom: int) -> None:
    assert student_quantile(freedom) == pytest.approx(scipy.stats.t.ppf(0.975, freedom), rel=1e-9)


@settings(deadline=None, max_examples=20)
@given(st.lists(st.floats(0, 1), min_size=2, max_size=8).filter(lambda values: np.std(values) > 1e-3))
def test_students_interval_is_scipys(values: list[float]) -> None:
    theirs = scipy.stats.t.interval(0.95, len(values) - 1, np.mean(values), scipy.stats.sem(values))
    assert student_interval(values) == pytest.approx(theirs)


def test_one_seed_has_no_interval() -> None:
    assert student_interval([0.9]) is None
