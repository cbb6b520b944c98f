"""step_time(): hand-worked steps."""

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groupnl.analysis import Bucket, Traffic, step_time

TWO = Traffic(
    buckets=(
        Bucket(size_bytes=1_000_000, parameters=1, ready=0.25),
        Bucket(size_bytes=3_000_000, parameters=2, ready=1),
    ),
    broadcast_bytes=(),
)


def seconds_of(traffic: Traffic = TWO, **changes: Any) -> float:
    arguments = {
        "workers": 4,
        "bits_per_second": 8e6,  # a megabyte a second
        "latency_seconds": 0.0,
        "forward_seconds": 1.0,
        "backward_seconds": 2.0,
    }
    return step_time(traffic, **{**arguments, **changes}).seconds


def test_one_worker_only_computes():
    assert seconds_of(workers=1, latency_seconds=9.0) == 3.0


def test_a_slow_link_by_hand():
    """Four workers send 2 x 3/4 of each byte. Bucket 1: from 0.5 s to 2.0 s; bucket 2: 4.5 s more."""
    found = step_time(
        TWO, workers=4, bits_per_second=8e6, latency_seconds=0.0, forward_seconds=1.0, backward_seconds=2.0
    )
    assert found.waiting_seconds == pytest.approx(4.5)
    assert (found.compute_seconds, found.broadcast_seconds) == (3.0, 0.0)
    assert found.to_dict()["seconds"] == found.seconds == pytest.approx(7.5)


def test_a_busy_link_keeps_the_next_bucket_waiting():
    """At half the speed bucket 1 takes from 0.5 s to 3.5 s, when the second has long been ready; that takes 9 s."""
    assert seconds_of(bits_per_second=4e6) == pytest.approx(1 + 3.5 + 9)


def test_what_fits_into_the_backward_pass_costs_nothing():
    early = Traffic(buckets=(Bucket(size_bytes=1_000_000, parameters=1, ready=0.25),), broadcast_bytes=())
    assert seconds_of(early) == 3.0
    assert seconds_of(early, backward_seconds=1.0) == pytest.approx(1 + 0.25 + 1.5)


def test_latency_counts_once_for_each_of_the_rings_rounds():
    later, now = (seconds_of(bits_per_second=1.6e7, latency_seconds=latency) for latency in (0.01, 0.0))
    assert later - now == pytest.approx(6 * 0.01)  # the first bucket's are hidden by the backward pass
    fast = {"bits_per_second": 1e15, "backward_seconds": 0.0, "forward_seconds": 0.0, "latency_seconds": 0.01}
    assert seconds_of(**fast) == pytest.approx(2 * 6 * 0.01)


@pytest.mark.parametrize(("workers", "levels"), [(1, 0), (2, 1), (3, 2), (4, 2), (5, 3), (8, 3)])
def test_buffers_go_down_a_tree_before_the_forward_pass(workers: int, levels: int):
    buffers = Traffic(buckets=(), broadcast_bytes=(500_000, 8))
    found = seconds_of(buffers, workers=workers, latency_seconds=0.1)
    assert found == pytest.approx(3 + levels * (0.5 + 8e-6 + 0.2))


@settings(deadline=None, max_examples=50)
@given(
    workers=st.integers(1, 64),
    speed=st.floats(1e6, 1e12),
    latency=st.floats(0, 0.1),
    backward=st.floats(0, 10),
    ready=st.lists(st.floats(0, 1), min_size=1, max_size=6).map(sorted),
)
def test_bounds(workers: int, speed: float, latency: float, backward: float, ready: list[float]):
    """Never less than computing or than sending; never more than one after the other; slower links never help."""
    buckets = tuple(Bucket(size_bytes=10**6 * (place + 1), parameters=1, ready=r) for place, r in enumerate(ready))
    traffic = Traffic(buckets=buckets, broadcast_bytes=())
    arguments = {"workers": workers, "latency_seconds": latency, "forward_seconds": 0.0, "backward_seconds": backward}
    sending = sum(2 * (workers - 1) * (bucket.size_bytes * 8 / workers / speed + latency) for bucket in traffic.buckets)
    found = seconds_of(traffic, bits_per_second=speed, **arguments)
    slack = 1e-9 + 1e-9 * (sending + backward)
    assert max(backward, sending) - slack <= found <= backward + sending + slack
    assert seconds_of(traffic, bits_per_second=speed / 2, **arguments) >= found - slack


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"workers": 0}, "workers=0: expected an integer of at least 1"),
        ({"workers": 2.0}, "workers=2.0: expected an integer"),
        ({"workers": True}, "workers=True: expected an integer"),
        ({"bits_per_second": 0}, "bits_per_second=0: expected a positive number, such as 1e9"),
        ({"bits_per_second": math.inf}, "bits_per_second=inf"),
        ({"latency_seconds": -1}, "latency_seconds=-1: expected a number of at least 0"),
        ({"forward_seconds": math.nan}, "forward_seconds=nan"),
        ({"backward_seconds": -0.1}, "backward_seconds=-0.1"),
    ],
)
def test_bad_arguments_are_refused(changes: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        seconds_of(**changes)
