"""Statistics of timed runs, on times made by hand."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groupnl_device.latency import summarize


def test_every_figure_of_ten_runs() -> None:
    found = summarize([[3.0, 1.0, 2.0, 4.0, 5.0], [10.0, 9.0, 8.0, 7.0, 6.0]])
    assert found.latency_ms_median == 5.5
    assert found.latency_ms_p90 == 9.0
    assert found.latency_ms_p99 == 10.0
    assert found.latency_ms_min == 1.0
    assert found.latency_ms_mean == 5.5
    assert found.images_per_second == pytest.approx(1000 / 5.5)
    assert found.block_medians_ms == (3.0, 8.0)
    assert found.latency_spread == pytest.approx((8 - 3) / 5.5)
    assert found.is_noisy


def test_percentiles_are_nearest_ranks() -> None:
    found = summarize([[float(v) for v in range(1, 201)]])
    assert (found.latency_ms_p90, found.latency_ms_p99) == (180.0, 198.0)
    assert found.latency_spread == 0.0
    assert not found.is_noisy


def test_one_slow_run_moves_the_throughput_but_not_the_median() -> None:
    found = summarize([[1.0] * 99 + [101.0]])
    assert (found.latency_ms_median, found.latency_ms_p99) == (1.0, 1.0)
    assert found.images_per_second == pytest.approx(500.0)


def test_a_run_of_several_pictures() -> None:
    assert summarize([[2.0]], batch=4).images_per_second == pytest.approx(2000.0)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(1, 10**6).map(float), min_size=1, max_size=300), st.sampled_from([90, 99]))
def test_at_least_so_many_runs_are_no_slower(times: list[float], percent: int) -> None:
    bound = getattr(summarize([times]), f"latency_ms_p{percent}")
    assert bound in times
    assert 100 * sum(time <= bound for time in times) >= percent * len(times)
    assert 100 * sum(time < bound for time in times) < percent * len(times)


@pytest.mark.parametrize("blocks", [[], [[]], [[1.0], []]])
def test_no_runs_are_refused(blocks: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="expected at least one each"):
        summarize(blocks)
