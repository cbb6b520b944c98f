"""Energy from samples of power, on samples made by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groupnl_device.power import MeterError, integrate


def test_constant_power() -> None:
    times = [float(t) for t in range(12)]
    assert integrate(times, [3.0] * 12, 0.5, 10.5) == pytest.approx(30.0)


def test_a_ramp_is_cut_at_the_ends_of_the_window() -> None:
    times = [t / 10 for t in range(31)]
    assert integrate(times, times, 1.05, 2.25) == pytest.approx((2.25**2 - 1.05**2) / 2)  # the integral of t


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32 - 1))
def test_agrees_with_fine_interpolation(seed: int) -> None:
    rng = np.random.default_rng(seed)
    times = np.cumsum(rng.uniform(0.05, 0.1, 60))
    watts = rng.uniform(1, 9, 60)
    begin, end = times[0] + 0.3, times[-1] - 0.4
    fine = np.union1d(times[(times > begin) & (times < end)], [begin, end])
    heights = np.interp(fine, times, watts)
    expected = ((heights[1:] + heights[:-1]) / 2 * np.diff(fine)).sum()
    assert integrate(times.tolist(), watts.tolist(), begin, end) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("times", "match"),
    [
        ([], "there are none"),
        ([1.0, 5.0, 12.0], r"run from \+1.0 to \+12.0 s"),
        ([-1.0, 2.0, 4.0, 6.0, 9.0], "do not cover the 10.0 s"),
        ([0.0, 1.0, 2.0, 3.0, 6.0, 7.0, 8.0, 9.0, 10.0], "3.00 s without a sample in a window of 10.0 s"),
        ([-5.0, 15.0], "20.00 s without a sample"),
    ],
)
def test_too_few_samples_are_refused(times: list[float], match: str) -> None:
    with pytest.raises(MeterError, match=match):
        integrate(times, [1.0] * len(times), 0.0, 10.0)


def test_gaps_outside_the_window_do_not_matter() -> None:
    times = [-100.0, *(float(t) for t in range(11)), 200.0]
    assert integrate(times, [1.0] * 13, 0.0, 10.0) == pytest.approx(10.0)
