"""Timing in turns: every call gets as many runs, in the same rounds, and its own median."""

import time

from groupnl.export import latency
from groupnl.export.latency import interleaved_ms


def test_calls_take_turns():
    order = []
    calls = {name: lambda name=name: order.append(name) for name in ("one", "two")}
    found = interleaved_ms(calls, budget=0.0)
    assert list(found) == ["one", "two"]
    assert order.count("one") == order.count("two")
    rounds = order[4:]  # two runs of each before, which tell how long one takes
    assert rounds[:8] == ["one"] * 4 + ["two"] * 4


def test_medians_in_milliseconds():
    found = interleaved_ms({"short": lambda: time.sleep(0.001), "long": lambda: time.sleep(0.01)}, budget=0.0)
    assert 1 <= found["short"] < found["long"]
    assert 10 <= found["long"] < 100


def test_the_budget_bounds_the_rounds():
    count = []
    interleaved_ms({"x": lambda: count.append(time.sleep(0.001))}, budget=0.1)
    least, most = latency._ROUNDS
    assert 4 * least <= len(count) <= 4 * most + 2
