"""``groupnl.QuantizedSparseExpand`` against the formula in float64."""

from typing import Any

import graphs
import numpy as np
import pytest
import quantized_reference
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

Numbers = tuple[int, ...]
NORMALIZE = ("l2", "rms", "none", "clamp")


def layer(
    rng: np.random.Generator, seed_channels: int, inputs: int, kernel: tuple[int, int], generated: int
) -> dict[str, Any]:
    """Random constants of a layer, as the operator's inputs after x."""
    out_channels = seed_channels + generated
    return {
        "x_scale": np.float32(rng.uniform(0.005, 0.05)),
        "x_zero_point": np.uint8(rng.integers(0, 256)),
        "weight": rng.integers(-128, 128, (seed_channels, inputs, *kernel), dtype=np.int8),
        "weight_scale": rng.uniform(0.001, 0.01, seed_channels).astype(np.float32),
        "bias": rng.standard_normal(seed_channels).astype(np.float32),
        "y_scale": np.float32(rng.uniform(0.005, 0.05)),
        "y_zero_point": np.uint8(rng.integers(0, 256)),
        "period": rng.uniform(1, 2, generated).astype(np.float32),
        "shift": rng.uniform(1, 5, generated).astype(np.float32),
        "source": rng.integers(0, seed_channels, generated),
        "scale": rng.uniform(-2, 2, out_channels).astype(np.float32),
        "offset": rng.standard_normal(out_channels).astype(np.float32),
    }


def check(
    x: NDArray[np.uint8],
    constants: dict[str, Any],
    *,
    normalize: str = "l2",
    activation: str = "none",
    threads: int = 1,
    **window: Any,
) -> None:
    """The operator gives what the formula gives."""
    attributes: dict[str, Any] = {"normalize": normalize, "activation": activation}
    inputs = {"x": x, **constants}
    found = graphs.run("QuantizedSparseExpand", inputs, threads=threads, **attributes, **window)
    rest = dict(constants)
    pixels = quantized_reference.real(x, rest.pop("x_scale"), int(rest.pop("x_zero_point")))
    convolution = [rest.pop(name) for name in ("weight", "weight_scale", "bias")]
    y, terms = quantized_reference.sparse_seed_maps(pixels, *convolution, **window)
    rest["y_zero_point"] = int(rest["y_zero_point"])
    quantized_reference.expand(y, terms, **rest, **attributes).assert_holds(found)


def pictures(rng: np.random.Generator, *shape: int) -> NDArray[np.uint8]:
    return rng.integers(0, 256, shape, dtype=np.uint8)


@settings(max_examples=80, deadline=None)
@given(
    batch=st.integers(1, 2),
    seed_channels=st.integers(1, 40),
    inputs=st.integers(1, 5),
    kernel=st.one_of(st.tuples(st.integers(1, 7), st.integers(1, 7)), st.sampled_from([(3, 3), (5, 5)])),
    strides=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    dilations=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    pads=st.tuples(*[st.integers(0, 7)] * 4),
    generated=st.integers(0, 50),
    beyond=st.tuples(st.integers(0, 20), st.integers(0, 20)),
    bias=st.booleans(),
    one_scale=st.booleans(),
    activation=st.sampled_from(["none", "relu", "relu6", "hardswish"]),
    normalize=st.sampled_from(NORMALIZE),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_window(
    batch: int,
    seed_channels: int,
    inputs: int,
    kernel: tuple[int, int],
    dilations: tuple[int, int],
    pads: Numbers,
    generated: int,
    beyond: tuple[int, int],
    bias: bool,
    one_scale: bool,
    seed: int,
    **rest: Any,
) -> None:
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    least = [max(0, span - before - after) for span, before, after in zip(spans, pads[:2], pads[2:], strict=True)]
    rng = np.random.default_rng(seed)
    constants = layer(rng, seed_channels, inputs, kernel, generated)
    constants["bias"] = constants["bias"] if bias else None
    constants["weight_scale"] = constants["weight_scale"][: 1 if one_scale else None]
    x = pictures(rng, batch, least[0] + beyond[0], least[1] + beyond[1], seed_channels * inputs)
    check(x, constants, dilations=dilations, pads=pads, **rest)


@pytest.mark.parametrize("inputs", [1, 2])
@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (5, 1), (5, 2), (7, 1)])
@pytest.mark.parametrize("seed_channels", [8, 16, 36, 72])
def test_the_windows_of_light_nets(kernel: int, stride: int, inputs: int, seed_channels: int) -> None:
    rng = np.random.default_rng(kernel)
    constants = layer(rng, seed_channels, inputs, (kernel, kernel), seed_channels) | {"source": None}
    x = pictures(rng, 1, 23, 29, seed_channels * inputs)
    check(x, constants, strides=(stride, stride), pads=[kernel // 2] * 4, activation="relu6")


def test_pictures_larger_than_a_band() -> None:
    rng = np.random.default_rng(0)
    constants = layer(rng, 40, 2, (3, 3), 40)
    check(pictures(rng, 2, 75, 131, 80), constants, threads=3, pads=[1, 1, 1, 1])


@pytest.mark.parametrize("shape", [(0, 5, 5, 4), (1, 0, 5, 4), (1, 5, 0, 4)])
def test_empty_pictures(shape: tuple[int, int, int, int]) -> None:
    constants = layer(np.random.default_rng(0), 2, 2, (3, 3), 3)
    check(np.zeros(shape, np.uint8), constants, pads=[2, 2, 2, 2])  # an empty axis gives 2 rows of bias


def test_sums_at_the_ends_of_int8_do_not_saturate() -> None:
    """A 16-bit sum of two products, as some processors' instructions make it, would."""
    rng = np.random.default_rng(1)
    constants = layer(rng, 20, 2, (3, 3), 20) | {"x_zero_point": np.uint8(0)}
    for extreme in (-128, 127):
        constants["weight"] = np.full((20, 2, 3, 3), extreme, np.int8)
        check(np.full((1, 6, 6, 40), 255, np.uint8), constants, normalize="none", pads=[1, 1, 1, 1])


@pytest.mark.parametrize("normalize", ["l2", "rms"])
def test_pixels_of_zeros(normalize: str) -> None:
    rng = np.random.default_rng(2)
    constants = layer(rng, 20, 2, (3, 3), 20) | {"bias": None}
    x = pictures(rng, 1, 12, 9, 40)
    x[0, 3:9] = constants["x_zero_point"]
    check(x, constants, normalize=normalize, pads=[1, 1, 1, 1])


@pytest.mark.parametrize("normalize", NORMALIZE)
@pytest.mark.parametrize(("x_scale", "weight_scale"), [(1e-38, 1e-3), (1e-6, 1e-7), (1e-45, 1e-45), (1e15, 1e-3)])
def test_any_scale(x_scale: float, weight_scale: float, normalize: str) -> None:
    rng = np.random.default_rng(3)
    constants = layer(rng, 7, 2, (3, 3), 7) | {"x_scale": np.float32(x_scale)}
    constants |= {"weight_scale": np.full(7, weight_scale, np.float32), "bias": None}
    if normalize == "none" and x_scale > 1:
        constants["period"] *= np.float32(1e-15)  # else the sine of such a number is noise
        constants["shift"] *= np.float32(0)
    check(pictures(rng, 1, 6, 5, 14), constants, normalize=normalize, pads=[1, 1, 1, 1])


@pytest.mark.parametrize("normalize", NORMALIZE)
@pytest.mark.parametrize(
    "change",
    [
        {"period": np.full(9, 1e5, np.float32)},
        {"shift": np.full(9, 1e6, np.float32)},
        {"scale": np.full(16, 3e38, np.float32)},
        {"y_scale": np.float32(1e-44)},
        {"weight_scale": np.logspace(-38, 3, 7).astype(np.float32), "bias": None},
    ],
    ids=lambda change: next(iter(change)),
)
def test_constants_beyond_float32s_reach_are_computed_in_double(normalize: str, change: dict[str, Any]) -> None:
    rng = np.random.default_rng(5)
    constants = layer(rng, 7, 3, (3, 2), 9) | change
    check(pictures(rng, 1, 9, 8, 21), constants, normalize=normalize, pads=[1, 0, 2, 1], strides=[2, 1])


def test_sine_is_as_accurate_as_promised() -> None:
    """Offsets that cancel the sines, and steps of 1e-8, show the error of each: the norm makes y exactly 1 or -1."""
    rng = np.random.default_rng(8)
    period, shift = (rng.uniform(1, high, 40_000).astype(np.float32) for high in (2, 5))
    for value, y in ((255, 1.0), (0, -1.0)):
        exact = np.sin(period.astype(np.float64) * (y - shift.astype(np.float64)))
        offset = -exact.astype(np.float32)
        constants: dict[str, Any] = {
            "x_scale": np.float32(1),
            "x_zero_point": np.uint8(128),
            "weight": np.full((1, 1, 1, 1), 3, np.int8),
            "weight_scale": np.ones(1, np.float32),
            "bias": None,
            "y_scale": np.float32(1e-8),
            "y_zero_point": np.uint8(128),
            "period": period,
            "shift": shift,
            "source": np.zeros(len(period), np.int64),
            "scale": None,
            "offset": np.concatenate([np.zeros(1, np.float32), offset]),
        }
        found = graphs.run("QuantizedSparseExpand", {"x": np.full((1, 1, 1, 1), value, np.uint8), **constants})
        error = (found[0, 0, 0, 1:].astype(np.float64) - 128) * 1e-8 - (exact + offset.astype(np.float64))
        assert 0 < np.abs(error).max() <= 1e-6


def test_any_number_of_threads_gives_the_same_bytes() -> None:
    rng = np.random.default_rng(6)
    inputs = {"x": pictures(rng, 2, 33, 35, 48), **layer(rng, 24, 2, (3, 3), 24)}
    window: dict[str, Any] = {"pads": [1, 1, 1, 1], "strides": [2, 1]}
    first, *others = (graphs.run("QuantizedSparseExpand", inputs, threads=n, **window) for n in (1, 2, 3, 16))
    for other in others:
        np.testing.assert_array_equal(other, first)


def test_one_session_follows_changing_shapes() -> None:
    rng = np.random.default_rng(7)
    constants = layer(rng, 6, 2, (3, 3), 5)
    net = graphs.session(
        graphs.one_node("QuantizedSparseExpand", {"x": pictures(rng, 1, 4, 4, 12), **constants}, fed=("x",))
    )
    for shape in ((1, 4, 4, 12), (2, 30, 31, 12), (1, 3, 3, 12)):
        x = pictures(rng, *shape)
        alone = graphs.run("QuantizedSparseExpand", {"x": x, **constants})
        np.testing.assert_array_equal(net.run(None, {"x": x})[0], alone)


REFUSALS = [
    ({"x": np.zeros((1, 4, 4, 5), np.uint8)}, {}, r"x has 5 channels, weight of shape \(2, 2, 3, 3\) reads 4"),
    ({"x": np.zeros((4, 4, 4), np.uint8)}, {}, r"x of shape \(4, 4, 4\): expected four dimensions"),
    ({"weight": np.zeros((2, 9), np.int8)}, {}, r"weight of shape \(2, 9\): expected four dimensions"),
    (
        {"weight": np.zeros((2, 0, 3, 3), np.int8), "x": np.zeros((1, 4, 4, 0), np.uint8)},
        {},
        "weight has 0 values for each map: expected 1 to 65536",
    ),
    ({"weight_scale": np.ones(3, np.float32)}, {}, "weight_scale has 3 values: expected 2"),
    (
        {"weight_scale": np.array([1, 0], np.float32)},
        {},
        r"weight_scale\[1\] is 0.0+: expected a finite number above 0",
    ),
    ({"bias": np.zeros(3, np.float32)}, {}, "bias has 3 values: expected 2"),
    ({"bias": np.array([0, np.nan], np.float32)}, {}, r"bias\[1\] is nan: expected a finite number"),
    ({"x_scale": np.float32(np.inf)}, {}, r"x_scale\[0\] is inf: expected a finite number above 0"),
    ({"x": np.zeros((1, 2, 4, 4), np.uint8)}, {}, "the kernel spans 3 pixels, the padded input has 2"),
    ({}, {"dilations": [1, 2]}, "the kernel spans 5 pixels, the padded input has 4"),
    ({}, {"strides": [1]}, "strides has 1 numbers: expected 2"),
    ({}, {"strides": [0, 1]}, "a kernel of 3, stride 0"),
    ({"source": None}, {}, "3 generated maps of 2 seed maps: give source"),
]


@pytest.mark.parametrize(("inputs", "attributes", "message"), REFUSALS)
def test_refusals(inputs: dict[str, Any], attributes: dict[str, Any], message: str) -> None:
    constants = layer(np.random.default_rng(0), 2, 2, (3, 3), 3)
    with pytest.raises(Exception, match=message):
        graphs.run(
            "QuantizedSparseExpand", {"x": np.zeros((1, 4, 4, 4), np.uint8), **constants, **inputs}, **attributes
        )


def test_a_sum_too_long_for_32_bits_is_refused() -> None:
    constants = layer(np.random.default_rng(0), 1, 1, (257, 256), 1)
    with pytest.raises(Exception, match="weight has 65792 values for each map: expected 1 to 65536"):
        graphs.run("QuantizedSparseExpand", {"x": np.zeros((1, 257, 256, 1), np.uint8), **constants})
