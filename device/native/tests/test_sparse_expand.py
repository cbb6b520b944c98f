"""``groupnl.SparseExpand`` against the formula in float64."""

from typing import Any

import graphs
import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st

Numbers = tuple[int, ...]


def layer(
    rng: np.random.Generator, seed_channels: int, inputs: int, kernel: tuple[int, int], generated: int
) -> dict[str, Any]:
    """Random constants of a layer, as the operator's inputs after x."""
    out_channels = seed_channels + generated
    return {
        "weight": rng.standard_normal((seed_channels, inputs, *kernel)).astype(np.float32),
        "bias": rng.standard_normal(seed_channels).astype(np.float32),
        "period": rng.uniform(1, 2, generated).astype(np.float32),
        "shift": rng.uniform(1, 5, generated).astype(np.float32),
        "source": rng.integers(0, seed_channels, generated),
        "scale": rng.uniform(-2, 2, out_channels).astype(np.float32),
        "offset": rng.standard_normal(out_channels).astype(np.float32),
    }


def expected(x: np.ndarray[Any, Any], constants: dict[str, Any], *, activation: str, **window: Any) -> Any:
    rest = dict(constants)
    y = reference.convolution(x, rest.pop("weight"), rest.pop("bias"), **window)
    return reference.expand(y, **rest, activation=activation)


def check(
    rng: np.random.Generator,
    *,
    seed_channels: int,
    inputs: int,
    kernel: tuple[int, int],
    generated: int,
    picture: tuple[int, int],
    batch: int = 1,
    bias: bool = True,
    threads: int = 1,
    activation: str = "none",
    **window: Any,
) -> None:
    x = rng.standard_normal((batch, seed_channels * inputs, *picture)).astype(np.float32)
    constants = layer(rng, seed_channels, inputs, kernel, generated)
    if not bias:
        constants["bias"] = None
    found = graphs.run("SparseExpand", {"x": x, **constants}, threads=threads, activation=activation, **window)
    wanted = expected(x, constants, activation=activation, **window)
    assert found.shape == wanted.shape
    # A pixel whose seed maps all but cancel has a small norm: its rounding errors are divided by it.
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=3e-5)


@settings(max_examples=60, deadline=None)
@given(
    batch=st.integers(1, 2),
    seed_channels=st.integers(1, 9),
    inputs=st.integers(1, 3),
    kernel=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    strides=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    dilations=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    pads=st.tuples(*[st.integers(0, 7)] * 4),
    generated=st.integers(0, 12),
    beyond=st.tuples(st.integers(0, 20), st.integers(0, 20)),
    bias=st.booleans(),
    activation=st.sampled_from(["none", "relu", "relu6", "hardswish"]),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_window(
    kernel: tuple[int, int],
    dilations: tuple[int, int],
    pads: Numbers,
    beyond: tuple[int, int],
    seed: int,
    **rest: Any,
) -> None:
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    least = [max(0, span - before - after) for span, before, after in zip(spans, pads[:2], pads[2:], strict=True)]
    picture = (least[0] + beyond[0], least[1] + beyond[1])
    rng = np.random.default_rng(seed)
    check(rng, kernel=kernel, dilations=dilations, pads=pads, picture=picture, **rest)


@pytest.mark.parametrize("inputs", [1, 2])
@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (5, 1), (5, 2), (7, 1), (7, 2)])
def test_the_windows_of_light_nets(kernel: int, stride: int, inputs: int) -> None:
    check(
        np.random.default_rng(kernel),
        seed_channels=24,
        inputs=inputs,
        kernel=(kernel, kernel),
        generated=24,
        picture=(23, 29),
        strides=(stride, stride),
        pads=[kernel // 2] * 4,
        activation="relu6",
    )


def test_maps_larger_than_a_band() -> None:
    check(
        np.random.default_rng(0),
        seed_channels=40,
        inputs=2,
        kernel=(3, 3),
        generated=40,
        picture=(75, 131),  # 131 columns of 40 maps: bands of 25 rows
        threads=3,
        pads=[1, 1, 1, 1],
    )


@pytest.mark.parametrize("shape", [(0, 4, 5, 5), (1, 4, 0, 5), (1, 4, 5, 0)])
def test_empty_pictures(shape: tuple[int, int, int, int]) -> None:
    rng = np.random.default_rng(0)
    constants = layer(rng, 2, 2, (3, 3), 3)
    x = np.zeros(shape, np.float32)
    found = graphs.run("SparseExpand", {"x": x, **constants}, pads=[2, 2, 2, 2])  # an empty axis gives 2 rows of bias
    wanted = expected(x, constants, activation="none", pads=[2, 2, 2, 2])
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=2e-6, atol=4e-6)


def test_bad_values_reach_the_pixels_whose_window_sees_them_and_no_others() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1, 4, 9, 10)).astype(np.float32)
    x[0, 1, 4, 5], x[0, 2, 0, 9] = np.nan, np.inf
    constants = layer(rng, 2, 2, (3, 3), 2)
    found = graphs.run("SparseExpand", {"x": x, **constants}, pads=[1, 1, 1, 1])
    spoiled = np.zeros((9, 10), bool)
    spoiled[3:6, 4:7] = True
    assert np.isnan(found[0][:, spoiled]).all()
    spoiled[0:2, 8:10] = True
    assert np.isfinite(found[0][:, ~spoiled]).all()
    with np.errstate(invalid="ignore"):
        wanted = expected(x, constants, activation="none", pads=[1, 1, 1, 1])
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5, equal_nan=True)


REFUSALS = [
    ({"x": np.zeros((1, 5, 4, 4), np.float32)}, {}, r"x has 5 channels, weight of shape \(2, 2, 3, 3\) reads 4"),
    ({"x": np.zeros((4, 4, 4), np.float32)}, {}, r"x of shape \(4, 4, 4\): expected four dimensions"),
    ({"weight": np.zeros((2, 9), np.float32)}, {}, r"weight of shape \(2, 9\): expected four dimensions"),
    ({"bias": np.zeros(3, np.float32)}, {}, "bias has 3 values: expected 2"),
    ({"x": np.zeros((1, 4, 2, 4), np.float32)}, {}, "the kernel spans 3 pixels, the padded input has 2"),
    ({}, {"dilations": [1, 2]}, "the kernel spans 5 pixels, the padded input has 4"),
    ({}, {"strides": [1]}, "strides has 1 numbers: expected 2"),
    ({}, {"pads": [1, 1]}, "pads has 2 numbers: expected 4"),
    ({}, {"strides": [0, 1]}, "a kernel of 3, stride 0"),
    ({}, {"pads": [0, -1, 0, 0]}, "padding -1 and 0: expected at least 1, and padding of at least 0"),
    ({"source": None}, {}, "3 generated maps of 2 seed maps: give source"),
]


@pytest.mark.parametrize(("inputs", "attributes", "message"), REFUSALS)
def test_refusals(inputs: dict[str, Any], attributes: dict[str, Any], message: str) -> None:
    constants = layer(np.random.default_rng(0), 2, 2, (3, 3), 3)
    with pytest.raises(Exception, match=message):
        graphs.run("SparseExpand", {"x": np.zeros((1, 4, 4, 4), np.float32), **constants, **inputs}, **attributes)
