"""The polynomial against the sine in float64: the bound that the docstring states."""

import numpy as np
import pytest
from cloud.tests.export.passes.graphs import answers, drawn, graph_of, kinds, node, rewritten
from hypothesis import given, settings
from hypothesis import strategies as st

from groupnl.export.passes.polynomial_sine import coefficients, replace_sines

SIZE = (6, 4, 3)


def sine_graph(period, shift):
    nodes = [
        node("Sub", ["input", "shift"], ["moved"]),
        node("Mul", ["period", "moved"], ["argument"]),
        node("Sin", ["argument"], ["result"]),
    ]
    return graph_of(nodes, {"period": period, "shift": shift}, SIZE)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_within_a_millionth_for_the_pairs_that_are_drawn(seed):
    rng = np.random.default_rng(seed)
    period = rng.uniform(1, 2, (6, 1, 1)).astype(np.float32)
    shift = rng.uniform(1, 5, (6, 1, 1)).astype(np.float32)
    model, outcome = rewritten(sine_graph(period, shift), replace_sines)
    assert outcome.changed == 1
    assert not {"Sin", "Sub"} & set(kinds(model)[:2])
    images = rng.uniform(-1, 1, (5, *SIZE)).astype(np.float32)
    images[0, :, 0, 0], images[0, :, 0, 1] = 1, -1
    wanted = np.sin(period.astype(np.float64) * (images.astype(np.float64) - shift))
    assert np.abs(answers(model, images) - wanted).max() < 1e-6


@pytest.mark.parametrize("size", [1, 100, 1e4])
def test_arguments_that_are_no_pairs_and_of_any_size(size):
    model, outcome = rewritten(graph_of([node("Sin", ["input"], ["result"])], {}, SIZE), replace_sines)
    assert outcome.changed == 1
    images = drawn(3, *SIZE) * np.float32(size)
    # Float32 tells angles of this size apart by about this much.
    least = 6e-7 + 2 * np.spacing(np.float32(np.abs(images).max()))
    assert np.abs(answers(model, images) - np.sin(images.astype(np.float64))).max() < least


def test_coefficients_in_float64():
    w = np.linspace(-0.25, 0.25, 10001)
    found = sum(c * w ** (2 * k + 1) for k, c in enumerate(coefficients()))
    assert np.abs(found - np.sin(2 * np.pi * w)).max() < 1e-8


def test_sines_of_no_maps_stay():
    nodes = [
        node("Reshape", ["input", "flat"], ["line"]),
        node("Sin", ["line"], ["sines"]),
        node("Reshape", ["sines", "maps"], ["result"]),
    ]
    arrays = {"flat": np.array([-1], np.int64), "maps": np.array([-1, *SIZE], np.int64)}
    _, outcome = rewritten(graph_of(nodes, arrays, SIZE), replace_sines)
    assert outcome.changed == 0
