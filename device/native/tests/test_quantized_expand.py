"""``groupnl.QuantizedExpand`` against the formula in float64, where it is easy and where it is not."""

from typing import Any

import graphs
import numpy as np
import pytest
import quantized_reference
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

ACTIVATIONS = ("none", "relu", "relu6", "hardswish")
NORMALIZE = ("l2", "rms", "none", "clamp")


def layer(rng: np.random.Generator, seed_channels: int, generated: int, *, affine: bool = True) -> dict[str, Any]:
    """Random constants of a layer, as the operator's inputs after the seed maps."""
    out_channels = seed_channels + generated
    return {
        "x_scale": np.float32(rng.uniform(0.005, 0.05)),
        "x_zero_point": np.uint8(rng.integers(0, 256)),
        "y_scale": np.float32(rng.uniform(0.005, 0.05)),
        "y_zero_point": np.uint8(rng.integers(0, 256)),
        "period": rng.uniform(1, 2, generated).astype(np.float32),
        "shift": rng.uniform(1, 5, generated).astype(np.float32),
        "source": rng.integers(0, seed_channels, generated),
        "scale": rng.uniform(-2, 2, out_channels).astype(np.float32) if affine else None,
        "offset": rng.standard_normal(out_channels).astype(np.float32) if affine else None,
    }


def check(x: NDArray[np.uint8], constants: dict[str, Any], *, threads: int = 1, **attributes: Any) -> None:
    """The operator gives what the formula gives."""
    found = graphs.run("QuantizedExpand", {"x": x, **constants}, threads=threads, **attributes)
    rest = dict(constants)
    y = quantized_reference.real(x, rest.pop("x_scale"), int(rest.pop("x_zero_point")))
    rest["y_zero_point"] = int(rest["y_zero_point"])
    quantized_reference.expand(y, np.abs(y), **rest, **attributes).assert_holds(found)


def pictures(rng: np.random.Generator, *shape: int) -> NDArray[np.uint8]:
    return rng.integers(0, 256, shape, dtype=np.uint8)


@settings(max_examples=80, deadline=None)
@given(
    batch=st.integers(1, 3),
    seed_channels=st.integers(1, 70),
    generated=st.integers(0, 90),
    height=st.integers(1, 20),
    width=st.integers(1, 20),
    normalize=st.sampled_from(NORMALIZE),
    activation=st.sampled_from(ACTIVATIONS),
    affine=st.booleans(),
    neighbours=st.booleans(),
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
    neighbours: bool,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    constants = layer(rng, seed_channels, generated, affine=affine)
    if neighbours:  # as layers have them
        constants["source"] = np.arange(generated) % seed_channels
    x = pictures(rng, batch, height, width, seed_channels)
    check(x, constants, normalize=normalize, activation=activation)


@pytest.mark.parametrize("normalize", NORMALIZE)
def test_without_source_map_g_reads_seed_map_g(normalize: str) -> None:
    rng = np.random.default_rng(0)
    check(pictures(rng, 1, 3, 4, 40), layer(rng, 40, 33) | {"source": None}, normalize=normalize)


@pytest.mark.parametrize("normalize", ["none", "clamp"])
def test_without_a_norm_every_byte_is_the_nearest(normalize: str) -> None:
    rng = np.random.default_rng(1)
    constants = layer(rng, 3, 6)
    x = np.broadcast_to(np.arange(256, dtype=np.uint8)[None, None, :, None], (1, 1, 256, 3)).copy()
    found = graphs.run("QuantizedExpand", {"x": x, **constants}, normalize=normalize)
    rest = dict(constants)
    y = quantized_reference.real(x, rest.pop("x_scale"), int(rest.pop("x_zero_point")))
    expected = quantized_reference.expand(y, 0 * y, **rest, normalize=normalize)
    np.testing.assert_array_less(1e-9, np.abs(expected.steps % 1 - 0.5))  # no value in the middle by chance
    exact = np.clip(np.rint(expected.steps) + int(rest["y_zero_point"]), 0, 255).astype(np.uint8)
    np.testing.assert_array_equal(found, exact.transpose(0, 2, 3, 1))


@pytest.mark.parametrize("normalize", NORMALIZE)
def test_values_in_the_middle_go_to_the_even_step(normalize: str) -> None:
    """One channel of +-1 after the norm, times 2.5 steps: rint gives 2, from an odd zero point 3 and 7."""
    x = np.array([0, 2], np.uint8).reshape(1, 1, 2, 1)
    constants: dict[str, Any] = {
        "x_scale": np.float32(1),
        "x_zero_point": np.uint8(1),
        "y_scale": np.float32(0.5),
        "y_zero_point": np.uint8(5),
        "period": np.zeros(0, np.float32),
        "shift": np.zeros(0, np.float32),
        "source": None,
        "scale": np.array([1.25], np.float32),
    }
    found = graphs.run("QuantizedExpand", {"x": x, **constants}, normalize=normalize)
    assert found.ravel().tolist() == [3, 7]


@pytest.mark.parametrize("normalize", NORMALIZE)
def test_pixels_of_zeros(normalize: str) -> None:
    rng = np.random.default_rng(2)
    constants = layer(rng, 20, 20)
    x = pictures(rng, 1, 4, 5, 20)
    x[0, 1] = constants["x_zero_point"]
    check(x, constants, normalize=normalize)


@pytest.mark.parametrize("normalize", NORMALIZE)
@pytest.mark.parametrize("x_scale", [1e-45, 1e-38, 1e-20, 3e-15, 1e-13, 1e-6, 1e3, 1e20, 3e38])
def test_inputs_of_any_scale(x_scale: float, normalize: str) -> None:
    """The norm is at least 1e-12, so tiny inputs are not normalised; huge ones must not overflow."""
    rng = np.random.default_rng(3)
    constants = layer(rng, 7, 9) | {"x_scale": np.float32(x_scale)}
    if normalize == "none" and x_scale > 1:  # else the sine of such numbers is noise
        constants["shift"] *= np.float32(0)
        constants["period"] *= np.float32(0.01 / x_scale)
    check(pictures(rng, 1, 5, 6, 7), constants, normalize=normalize)


@pytest.mark.parametrize("normalize", NORMALIZE)
@pytest.mark.parametrize("y_scale", [1e-45, 1e-30, 1e-6, 1e-3, 1.0, 1e6, 3e38])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_outputs_of_any_scale_saturate(y_scale: float, normalize: str, activation: str) -> None:
    rng = np.random.default_rng(4)
    constants = layer(rng, 18, 18) | {"y_scale": np.float32(y_scale)}
    check(pictures(rng, 1, 5, 6, 18), constants, normalize=normalize, activation=activation)


@pytest.mark.parametrize("normalize", ["l2", "rms"])
@pytest.mark.parametrize(
    "change",
    [
        {"period": np.full(9, 1e5, np.float32)},
        {"shift": np.full(9, 1e6, np.float32)},
        {"scale": np.full(16, 3e38, np.float32)},
        {"offset": np.full(16, -3e38, np.float32)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_constants_beyond_float32s_reach_are_computed_in_double(normalize: str, change: dict[str, Any]) -> None:
    rng = np.random.default_rng(5)
    constants = layer(rng, 7, 9)
    check(pictures(rng, 1, 5, 6, 7), constants | change, normalize=normalize)


@pytest.mark.parametrize("shape", [(0, 4, 5, 3), (2, 0, 5, 3), (2, 4, 0, 3), (0, 0, 0, 3)])
@pytest.mark.parametrize("normalize", ["l2", "none"])
def test_nothing_in_gives_nothing_out(shape: tuple[int, ...], normalize: str) -> None:
    constants = layer(np.random.default_rng(0), 3, 5)
    found = graphs.run("QuantizedExpand", {"x": np.zeros(shape, np.uint8), **constants}, normalize=normalize)
    assert found.shape == (*shape[:3], 8)


@pytest.mark.parametrize("normalize", NORMALIZE)
def test_any_number_of_threads_gives_the_same_bytes(normalize: str) -> None:
    rng = np.random.default_rng(6)
    inputs = {"x": pictures(rng, 2, 33, 35, 48), **layer(rng, 48, 48)}
    first, *others = (graphs.run("QuantizedExpand", inputs, threads=n, normalize=normalize) for n in (1, 2, 3, 16))
    for other in others:
        np.testing.assert_array_equal(other, first)


def test_constants_may_come_at_run_time_and_change() -> None:
    rng = np.random.default_rng(7)
    fed: dict[str, Any] = {"x": pictures(rng, 1, 3, 3, 4), **layer(rng, 4, 6)}
    fed = {name: np.asarray(array) for name, array in fed.items()}
    net = graphs.session(graphs.one_node("QuantizedExpand", fed, fed=tuple(fed)))
    for seed_channels, generated in ((4, 6), (3, 5), (20, 20)):
        x = pictures(rng, 1, 3, 3, seed_channels)
        constants = layer(rng, seed_channels, generated)
        found = net.run(None, {"x": x, **{name: np.asarray(array) for name, array in constants.items()}})[0]
        np.testing.assert_array_equal(found, graphs.run("QuantizedExpand", {"x": x, **constants}))


REFUSALS = [
    ({"shift": np.zeros(4, np.float32)}, {}, "shift has 4 values: expected 5"),
    ({"source": np.zeros(4, np.int64)}, {}, "source has 4 values: expected 5"),
    ({"source": np.array([0, 1, 2, 3, 0])}, {}, r"source\[3\] is 3: expected a seed map, 0 to 2"),
    ({"source": None}, {}, "5 generated maps of 3 seed maps: give source"),
    ({"scale": np.zeros(5, np.float32)}, {}, "scale has 5 values: expected 8"),
    ({"x_scale": np.zeros(2, np.float32)}, {}, "x_scale has 2 values: expected 1"),
    ({"y_zero_point": np.zeros(2, np.uint8)}, {}, "y_zero_point has 2 values: expected 1"),
    ({"x_scale": np.float32(0)}, {}, r"x_scale\[0\] is 0.0+: expected a finite number above 0"),
    ({"x_scale": np.float32(-1)}, {}, r"x_scale\[0\] is -1.0+: expected a finite number above 0"),
    ({"x_scale": np.float32(np.inf)}, {}, r"x_scale\[0\] is inf: expected a finite number above 0"),
    ({"y_scale": np.float32(np.nan)}, {}, r"y_scale\[0\] is nan: expected a finite number above 0"),
    ({"period": np.array([1, np.nan, 1, 1, 1], np.float32)}, {}, r"period\[1\] is nan: expected a finite number"),
    ({"shift": np.full(5, np.inf, np.float32)}, {}, r"shift\[0\] is inf: expected a finite number"),
    ({"scale": np.full(8, -np.inf, np.float32)}, {}, r"scale\[0\] is -inf: expected a finite number"),
    ({"offset": np.full(8, np.nan, np.float32)}, {}, r"offset\[0\] is nan: expected a finite number"),
    ({"x": np.zeros((3, 4, 3), np.uint8)}, {}, r"seed_maps of shape \(3, 4, 3\): expected four dimensions"),
    ({}, {"normalize": "l1"}, 'normalize="l1": expected none, l2, rms or clamp'),
    ({}, {"activation": "gelu"}, 'activation="gelu": expected none, relu, relu6 or hardswish'),
]


@pytest.mark.parametrize(("inputs", "attributes", "message"), REFUSALS)
def test_refusals(inputs: dict[str, Any], attributes: dict[str, Any], message: str) -> None:
    constants = layer(np.random.default_rng(0), 3, 5)
    with pytest.raises(Exception, match=message):
        graphs.run("QuantizedExpand", {"x": np.zeros((1, 4, 4, 3), np.uint8), **constants, **inputs}, **attributes)
