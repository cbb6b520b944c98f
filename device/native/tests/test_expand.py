"""``groupnl.Expand`` against the formula in float64, where it is easy and where it is not."""

from typing import Any

import graphs
import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

ACTIVATIONS = ("none", "relu", "relu6", "hardswish")
SINE_ERROR = 1e-6  # what the README promises, absolute


def layer(rng: np.random.Generator, seed_channels: int, generated: int, *, affine: bool = True) -> dict[str, Any]:
    """Random constants of a layer, as the operator's inputs after the seed maps."""
    out_channels = seed_channels + generated
    return {
        "period": rng.uniform(1, 2, generated).astype(np.float32),
        "shift": rng.uniform(1, 5, generated).astype(np.float32),
        "source": rng.integers(0, seed_channels, generated),
        "scale": rng.uniform(-2, 2, out_channels).astype(np.float32) if affine else None,
        "offset": rng.standard_normal(out_channels).astype(np.float32) if affine else None,
    }


def sines(y: NDArray[np.float32], period: float, shift: float) -> NDArray[np.float32]:
    """sin(period (y - shift)) of many numbers, by the operator."""
    inputs = {"y": y.reshape(1, 1, 1, -1), "period": np.array([period], "f4"), "shift": np.array([shift], "f4")}
    maps = graphs.run("Expand", inputs, normalize="none")
    np.testing.assert_array_equal(maps[0, 0, 0], y)
    generated: NDArray[np.float32] = maps[0, 1, 0]
    return generated


@settings(max_examples=60, deadline=None)
@given(
    batch=st.integers(1, 3),
    seed_channels=st.integers(1, 40),
    generated=st.integers(0, 90),
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    normalize=st.sampled_from(["l2", "rms", "none"]),
    activation=st.sampled_from(ACTIVATIONS),
    affine=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_shape(
    batch: int,
    seed_channels: int,
    generated: int,
    height: int,
    width: int,
    normalize: str,
    activation: str,
    affine: bool,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    y = rng.standard_normal((batch, seed_channels, height, width)).astype(np.float32)
    constants = layer(rng, seed_channels, generated, affine=affine)
    maps = graphs.run("Expand", {"y": y, **constants}, normalize=normalize, activation=activation)
    expected = reference.expand(y, **constants, normalize=normalize, activation=activation)
    np.testing.assert_allclose(maps, expected, rtol=2e-6, atol=4e-6)  # |scale| is up to 2, |y| with rms up to 6.4


def test_without_source_map_g_reads_seed_map_g() -> None:
    rng = np.random.default_rng(0)
    y = rng.standard_normal((1, 5, 3, 4)).astype(np.float32)
    constants = layer(rng, 5, 3, affine=False) | {"source": None}
    np.testing.assert_allclose(graphs.run("Expand", {"y": y, **constants}), reference.expand(y, **constants), atol=1e-6)


def test_constants_of_the_layers_shape_g_1_1_are_taken() -> None:
    rng = np.random.default_rng(0)
    y = rng.standard_normal((1, 5, 3, 4)).astype(np.float32)
    flat = layer(rng, 5, 7)
    wide = flat | {name: flat[name].reshape(-1, 1, 1) for name in ("period", "shift", "scale", "offset")}
    np.testing.assert_array_equal(graphs.run("Expand", {"y": y, **wide}), graphs.run("Expand", {"y": y, **flat}))


@pytest.mark.parametrize(("period", "shift"), [(1.0, 0.0), (1.4142, 4.987), (2.0, 5.0), (-1.7, 3.3), (0.01, 200.0)])
@pytest.mark.parametrize("largest", [1.0, 100.0, 1e5, 1e7, 1e38])
def test_sine_is_as_accurate_as_promised(period: float, shift: float, largest: float) -> None:
    rng = np.random.default_rng(int(largest) % 1000)
    y = (rng.uniform(-1, 1, 200_000) * largest).astype(np.float32)
    y[:4] = 0.0, np.float32(shift), largest, -largest
    found = sines(y, period, shift)
    omega, phi = np.float64(np.float32(period)), np.float64(np.float32(shift))
    expected = np.sin(omega * (y.astype(np.float64) - phi))
    assert np.abs(found - expected).max() <= SINE_ERROR
    assert np.abs(found).max() <= 1 + SINE_ERROR


@settings(max_examples=60, deadline=None)
@given(
    period=st.floats(-1e9, 1e9, width=32),
    shift=st.floats(-1e9, 1e9, width=32),
    size=st.sampled_from([1e-3, 1.0, 30.0, 1e4, 1e8]),
)
def test_sine_of_any_constants(period: float, shift: float, size: float) -> None:
    y = (np.random.default_rng(0).uniform(-1, 1, 500) * size).astype(np.float32)
    assert np.abs(sines(y, period, shift) - np.sin(period * (y.astype(np.float64) - shift))).max() <= SINE_ERROR


def test_sine_where_the_fast_way_ends() -> None:
    edge = 2.0**20 * np.pi / 1.5
    y = np.linspace(0.9 * edge, 1.1 * edge, 10_001).astype(np.float32)
    assert np.abs(sines(y, 1.5, 2.5) - np.sin(1.5 * (y.astype(np.float64) - 2.5))).max() <= SINE_ERROR


@pytest.mark.parametrize(("period", "shift"), [(3e7, 1.0), (1.5, 1e9), (2e5, 1e6)])
def test_constants_too_large_for_the_fast_way(period: float, shift: float) -> None:
    y = np.random.default_rng(0).uniform(-1, 1, 1000).astype(np.float32)
    expected = np.sin(np.float64(np.float32(period)) * (y.astype(np.float64) - np.float64(np.float32(shift))))
    assert np.abs(sines(y, period, shift) - expected).max() <= SINE_ERROR


def test_not_a_number_and_infinity_give_not_a_number_there_and_nowhere_else() -> None:
    y = np.linspace(-1, 1, 67, dtype=np.float32)
    clean = sines(y, 1.5, 2.5)
    y[[3, 40, 66]] = np.nan, np.inf, -np.inf
    found = sines(y, 1.5, 2.5)
    assert np.isnan(found[[3, 40, 66]]).all()
    rest = np.setdiff1d(np.arange(67), [3, 40, 66])
    np.testing.assert_array_equal(found[rest], clean[rest])


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_one_bad_value_spoils_its_pixel_as_the_formula_says(activation: str) -> None:
    rng = np.random.default_rng(1)
    y = rng.standard_normal((1, 6, 5, 7)).astype(np.float32)
    y[0, 2, 1, 1], y[0, 3, 4, 6], y[0, 0, 0, 0] = np.nan, np.inf, -np.inf
    constants = layer(rng, 6, 9)
    found = graphs.run("Expand", {"y": y, **constants}, activation=activation)
    with np.errstate(invalid="ignore"):
        expected = reference.expand(y, **constants, activation=activation)
    assert np.isnan(found[0, :, 1, 1]).all()
    np.testing.assert_allclose(found, expected, rtol=2e-6, atol=4e-6, equal_nan=True)


@pytest.mark.parametrize("size", [0.0, 1e-30, 1e-20, 1e-13, 3e-13, 1e-12, 1e-6, 1e6, 1e19, 1e25, 1e38])
@pytest.mark.parametrize("normalize", ["l2", "rms"])
def test_pixels_of_any_size_are_divided_by_their_norm_or_by_1e_12(size: float, normalize: str) -> None:
    rng = np.random.default_rng(2)
    y = (rng.uniform(-1, 1, (1, 7, 3, 6)) * size).astype(np.float32)
    constants = layer(rng, 7, 7, affine=False)
    found = graphs.run("Expand", {"y": y, **constants}, normalize=normalize)
    np.testing.assert_allclose(found, reference.expand(y, **constants, normalize=normalize), rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("shape", [(0, 3, 4, 5), (2, 3, 0, 5), (2, 3, 4, 0), (0, 3, 0, 0)])
def test_nothing_in_gives_nothing_out(shape: tuple[int, ...]) -> None:
    constants = layer(np.random.default_rng(0), 3, 5)
    found = graphs.run("Expand", {"y": np.zeros(shape, np.float32), **constants})
    assert found.shape == (shape[0], 8, *shape[2:])


def test_no_generated_maps_leave_norm_affine_and_activation() -> None:
    rng = np.random.default_rng(3)
    y = rng.standard_normal((2, 4, 3, 3)).astype(np.float32)
    constants = layer(rng, 4, 0)
    found = graphs.run("Expand", {"y": y, **constants}, activation="relu")
    np.testing.assert_allclose(found, reference.expand(y, **constants, activation="relu"), atol=1e-6)


def test_constants_may_come_at_run_time_and_change() -> None:
    rng = np.random.default_rng(4)
    fed: dict[str, Any] = {"y": rng.standard_normal((1, 4, 3, 3)).astype(np.float32), **layer(rng, 4, 6)}
    net = graphs.session(graphs.one_node("Expand", fed, fed=tuple(fed)))
    for seed_channels, generated in ((4, 6), (4, 6), (3, 5), (8, 1)):
        y = rng.standard_normal((1, seed_channels, 3, 3)).astype(np.float32)
        constants = layer(rng, seed_channels, generated)
        found = net.run(None, {"y": y, **constants})[0]
        np.testing.assert_allclose(found, reference.expand(y, **constants), rtol=2e-6, atol=4e-6)


def test_one_session_follows_changing_shapes() -> None:
    rng = np.random.default_rng(5)
    constants = layer(rng, 3, 3, affine=False) | {"source": None}
    first = rng.standard_normal((1, 3, 2, 2)).astype(np.float32)
    net = graphs.session(graphs.one_node("Expand", {"y": first, **constants}, fed=("y",)))
    for shape in ((1, 3, 2, 2), (2, 5, 30, 31), (1, 3, 64, 64), (1, 4, 1, 1)):
        y = rng.standard_normal(shape).astype(np.float32)
        np.testing.assert_allclose(net.run(None, {"y": y})[0], reference.expand(y, **constants), atol=2e-6)


REFUSALS = [
    ({"shift": np.zeros(4, np.float32)}, {}, "shift has 4 values: expected 5"),
    ({"source": np.zeros(4, np.int64)}, {}, "source has 4 values: expected 5"),
    ({"source": np.array([0, 1, 2, 3, 0])}, {}, r"source\[3\] is 3: expected a seed map, 0 to 2"),
    ({"source": np.array([0, 1, -1, 2, 0])}, {}, r"source\[2\] is -1: expected a seed map"),
    ({"source": None}, {}, "5 generated maps of 3 seed maps: give source"),
    ({"scale": np.zeros(5, np.float32)}, {}, "scale has 5 values: expected 8"),
    ({"offset": np.zeros(9, np.float32)}, {}, "offset has 9 values: expected 8"),
    ({"y": np.zeros((3, 4, 5), np.float32)}, {}, r"seed_maps of shape \(3, 4, 5\): expected four dimensions"),
    ({}, {"normalize": "l1"}, 'normalize="l1": expected none, l2 or rms'),
    ({}, {"activation": "gelu"}, 'activation="gelu": expected none, relu, relu6 or hardswish'),
]


@pytest.mark.parametrize(("inputs", "attributes", "message"), REFUSALS)
def test_refusals(inputs: dict[str, Any], attributes: dict[str, Any], message: str) -> None:
    constants = layer(np.random.default_rng(0), 3, 5)
    with pytest.raises(Exception, match=message):
        graphs.run("Expand", {"y": np.zeros((1, 3, 4, 4), np.float32), **constants, **inputs}, **attributes)
