"""The operators on maps in blocks of channels, against the formulas in float64: any layer, NaN, sizes of nothing."""

from typing import Any

import graphs
import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

Array = NDArray[Any]
WAVE_ERROR = 1e-6  # of a sine


def in_blocks(maps: Array, block: int) -> NDArray[np.float32]:
    """(N, C, H, W) to the numbers of (N, C / b, H, W, b), in the shape that ONNX Runtime gives them: (N, C', H, W)."""
    n, channels, height, width = maps.shape
    blocks = -(-channels // block)
    filled = np.zeros((n, blocks * block, height, width), np.float32)
    filled[:, :channels] = maps
    moved = filled.reshape(n, blocks, block, height, width).transpose(0, 1, 3, 4, 2)
    return np.ascontiguousarray(moved).reshape(n, blocks * block, height, width)


def out_of_blocks(maps: Array, channels: int, block: int) -> NDArray[np.float32]:
    """The reverse; what fills up the last block must be zero."""
    n, filled, height, width = maps.shape
    assert filled == -(-channels // block) * block
    moved = maps.reshape(n, filled // block, height, width, block).transpose(0, 1, 4, 2, 3)
    plain = moved.reshape(n, filled, height, width)
    assert not plain[:, channels:].any()
    return plain[:, :channels]


def tail(rng: np.random.Generator, seed_channels: int, generated: int, *, in_order: bool) -> dict[str, Any]:
    """Random constants of a layer."""
    channels = seed_channels + generated
    return {
        "period": rng.uniform(1, 2, generated).astype(np.float32),
        "shift": rng.uniform(1, 5, generated).astype(np.float32),
        "source": None if in_order else rng.integers(0, seed_channels, generated),
        "scale": rng.uniform(-2, 2, channels).astype(np.float32),
        "offset": rng.standard_normal(channels).astype(np.float32),
    }


def blocked_sparse(
    x: Array, weight: Array, bias: Array | None, constants: dict[str, Any], *, block: int, **options: Any
) -> Array:
    inputs = {"x": in_blocks(x, block), "weight": weight, "bias": bias, **constants}
    found = graphs.run("BlockedSparseExpand", inputs, block=block, **options)
    return out_of_blocks(found, len(weight) + constants["period"].size, block)


@settings(max_examples=80, deadline=None)
@given(
    block=st.sampled_from([8, 16]),
    batch=st.integers(1, 2),
    seed_channels=st.one_of(st.integers(1, 40), st.sampled_from([16, 32, 48])),
    inputs=st.integers(1, 2),
    kernel=st.one_of(st.tuples(st.integers(1, 6), st.integers(1, 6)), st.sampled_from([(3, 3), (5, 5)])),
    strides=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    dilations=st.one_of(st.tuples(st.integers(1, 3), st.integers(1, 3)), st.just((1, 1))),
    pads=st.tuples(*[st.integers(0, 7)] * 4),
    ratio=st.integers(0, 3),
    in_order=st.booleans(),
    beyond=st.tuples(st.integers(0, 20), st.integers(0, 20)),
    bias=st.booleans(),
    normalize=st.sampled_from(["l2", "l2", "rms", "none"]),
    activation=st.sampled_from(["none", "relu", "relu6", "hardswish"]),
    threads=st.integers(1, 3),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_sparse_layer(
    batch: int,
    seed_channels: int,
    inputs: int,
    kernel: tuple[int, int],
    pads: tuple[int, ...],
    dilations: tuple[int, int],
    strides: tuple[int, int],
    ratio: int,
    in_order: bool,
    beyond: tuple[int, int],
    bias: bool,
    normalize: str,
    activation: str,
    seed: int,
    **options: Any,
) -> None:
    rng = np.random.default_rng(seed)
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    least = [max(0, span - before - after) for span, before, after in zip(spans, pads[:2], pads[2:], strict=True)]
    x = rng.standard_normal((batch, seed_channels * inputs, least[0] + beyond[0], least[1] + beyond[1]))
    x = x.astype(np.float32)
    weight = rng.standard_normal((seed_channels, inputs, *kernel)).astype(np.float32)
    constant = rng.standard_normal(seed_channels).astype(np.float32) if bias else None
    constants = tail(rng, seed_channels, ratio * seed_channels, in_order=in_order and ratio <= 1)
    window: dict[str, Any] = {"strides": strides, "pads": pads, "dilations": dilations}
    kind = {"normalize": normalize, "activation": activation}
    found = blocked_sparse(x, weight, constant, constants, **window, **kind, **options)
    y = reference.convolution(x, weight, constant, **window)
    wanted = reference.expand(y, **constants, **kind)
    assert found.shape == wanted.shape
    # A pixel whose seed maps all but cancel has a small norm: its rounding errors are divided by it.
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("block", [8, 16])
@pytest.mark.parametrize("channels", [16, 72, 96, 184])
@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (5, 1), (5, 2), (7, 1)])
@pytest.mark.parametrize("side", [14, 28, 15])
def test_the_layers_of_light_nets(channels: int, kernel: int, stride: int, side: int, block: int) -> None:
    rng = np.random.default_rng(channels + kernel + side)
    seeds = channels // 2
    x = rng.standard_normal((1, channels, side, side)).astype(np.float32)
    weight = rng.standard_normal((seeds, 2, kernel, kernel)).astype(np.float32)
    constants = tail(rng, seeds, seeds, in_order=True)
    window: dict[str, Any] = {"strides": [stride] * 2, "pads": [kernel // 2] * 4}
    found = blocked_sparse(x, weight, None, constants, block=block, activation="relu6", threads=2, **window)
    y = reference.convolution(x, weight, None, **window)
    np.testing.assert_allclose(found, reference.expand(y, **constants, activation="relu6"), rtol=1e-5, atol=2e-5)


@settings(max_examples=40, deadline=None)
@given(
    block=st.sampled_from([8, 16]),
    batch=st.integers(0, 2),
    seed_channels=st.integers(1, 70),
    generated=st.integers(0, 90),
    picture=st.tuples(st.integers(0, 12), st.integers(0, 12)),
    normalize=st.sampled_from(["l2", "rms", "none"]),
    activation=st.sampled_from(["none", "relu", "relu6", "hardswish"]),
    threads=st.integers(1, 3),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_dense_layer(
    block: int,
    batch: int,
    seed_channels: int,
    generated: int,
    picture: tuple[int, int],
    normalize: str,
    activation: str,
    threads: int,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    maps = rng.standard_normal((batch, seed_channels, *picture)).astype(np.float32)
    constants = tail(rng, seed_channels, generated, in_order=False)
    blocks = in_blocks(maps, block)
    if blocks.size and seed_channels % block:  # what fills up the last block may be anything that is a number
        blocks.reshape(batch, -1, *picture, block)[:, -1, ..., seed_channels % block :] = 0.5
    found = graphs.run(
        "BlockedExpand",
        {"seed_maps": blocks, **constants},
        block=block,
        seed_channels=seed_channels,
        normalize=normalize,
        activation=activation,
        threads=threads,
    )
    wanted = reference.expand(maps, **constants, normalize=normalize, activation=activation)
    found = out_of_blocks(found, seed_channels + generated, block)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("period", [0.1, 1.0, 1.99, 2.0, 2.02, 2.3, 2.6, 2.7, 5.0, 100.0, 1e5])
def test_the_sine_is_exact_to_a_millionth(period: float) -> None:
    # One seed map beside seven zeros, and the norm: y is 1 or -1; beside one other, anything between.
    angle = np.linspace(0, 2 * np.pi, 20001)
    maps = np.zeros((1, 8, 1, angle.size), np.float32)
    maps[0, 0, 0], maps[0, 1, 0] = np.cos(angle), np.sin(angle)
    unit = maps[0, 0, 0].astype(np.float64) / np.sqrt((maps[0].astype(np.float64) ** 2).sum(axis=0))[0]
    shifts = np.linspace(1, 5, 8).astype(np.float32)
    periods = np.full(8, period, np.float32)
    inputs = {"seed_maps": in_blocks(maps, 8), "period": periods, "shift": shifts, "source": np.zeros(8, np.int64)}
    found = out_of_blocks(graphs.run("BlockedExpand", inputs, block=8, seed_channels=8), 16, 8)[0, 8:, 0]
    omega = periods.astype(np.float64)[:, None]
    wanted = np.sin(omega * (unit - shifts.astype(np.float64)[:, None]))
    slack = WAVE_ERROR + period * 1.2e-7  # what the rounding of y itself makes
    assert np.abs(found - wanted).max() <= slack


@pytest.mark.parametrize("normalize", ["l2", "none"])
@pytest.mark.parametrize("channels", [32, 36])
def test_bad_values_spoil_their_own_pixels_and_never_what_fills_up_a_block(channels: int, normalize: str) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1, channels, 9, 10)).astype(np.float32)
    x[0, 1, 4, 5], x[0, 2, 0, 9] = np.nan, np.inf
    x[0, 5, 8, 0] = 3e38
    seeds = channels // 2
    weight = rng.standard_normal((seeds, 2, 3, 3)).astype(np.float32)
    constants = tail(rng, seeds, seeds, in_order=True)
    found = blocked_sparse(x, weight, None, constants, block=16, normalize=normalize, pads=[1] * 4)
    with np.errstate(invalid="ignore", over="ignore"):
        y = reference.convolution(x, weight, None, pads=[1] * 4)
        wanted = reference.expand(y, **constants, normalize=normalize)
    y32 = np.abs(y) > np.finfo(np.float32).max  # sums that float32 cannot hold
    known = np.ones_like(wanted, bool)
    known[0][:, y32.any(axis=(0, 1))] = False
    if normalize == "none":  # a sine of 1e38 has no digits left
        known[0][:, (np.abs(y) > 1e6).any(axis=(0, 1))] = False
    np.testing.assert_allclose(found[known], wanted[known], rtol=1e-5, atol=1e-5, equal_nan=True)


def test_zero_pixels_and_norms_that_overflow() -> None:
    maps = np.zeros((1, 16, 1, 3), np.float32)
    maps[0, 0, 0, 1], maps[0, :, 0, 2] = 1e-20, 2e38
    constants = tail(np.random.default_rng(0), 16, 16, in_order=True)
    found = graphs.run("BlockedExpand", {"seed_maps": in_blocks(maps, 16), **constants}, block=16, seed_channels=16)
    wanted = reference.expand(maps, **constants)
    np.testing.assert_allclose(out_of_blocks(found, 32, 16), wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("scale", [np.inf, 3e38, np.nan])
def test_constants_that_no_polynomial_can_hold(scale: float) -> None:
    rng = np.random.default_rng(0)
    maps = rng.standard_normal((1, 16, 3, 3)).astype(np.float32)
    constants = tail(rng, 16, 16, in_order=True)
    constants["scale"][20] = scale
    found = graphs.run("BlockedExpand", {"seed_maps": in_blocks(maps, 16), **constants}, block=16, seed_channels=16)
    wanted = reference.expand(maps, **constants)
    np.testing.assert_allclose(out_of_blocks(found, 32, 16), wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("block", [8, 16])
@pytest.mark.parametrize("shape", [(2, 40, 5, 7), (0, 16, 5, 7), (1, 16, 0, 7), (1, 960, 14, 14)])
def test_gate(shape: tuple[int, ...], block: int) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal(shape).astype(np.float32)
    gate = rng.standard_normal((*shape[:2], 1, 1)).astype(np.float32)
    model = graphs.one_node("BlockedGate", {"x": x, "gate": gate}, fed=("x", "gate"), block=block)
    feeds = {"x": in_blocks(x, block), "gate": in_blocks(gate, block)}
    found = graphs.session(model, threads=2).run(None, feeds)[0]
    np.testing.assert_array_equal(out_of_blocks(found, shape[1], block), x * gate)


def test_any_number_of_threads_gives_the_same_bits() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 96, 35, 41)).astype(np.float32)
    weight = rng.standard_normal((48, 2, 3, 3)).astype(np.float32)
    constants = tail(rng, 48, 48, in_order=True)
    first, *others = (
        blocked_sparse(x, weight, None, constants, block=16, pads=[1] * 4, threads=threads) for threads in (1, 2, 5)
    )
    for other in others:
        np.testing.assert_array_equal(other, first)


SMALL: dict[str, Any] = {
    "x": np.zeros((1, 16, 4, 4), np.float32),
    "weight": np.zeros((4, 2, 3, 3), np.float32),
    "bias": None,
    "period": np.ones(4, np.float32),
    "shift": np.ones(4, np.float32),
}
REFUSALS = [
    ({}, {"block": 4}, "block=4: expected 8 or 16 channels"),
    ({}, {}, "block=0: expected 8 or 16 channels"),
    ({"x": np.zeros((1, 8, 4, 4), np.float32)}, {"block": 16}, "x has 8 channels, .* reads 16 in blocks of 16"),
    ({"weight": np.zeros((4, 3, 3, 3), np.float32)}, {"block": 16}, "3 inputs to each seed map: .* expected 1 or 2"),
    ({"bias": np.zeros(3, np.float32)}, {"block": 16}, "bias has 3 values: expected 4"),
    ({"x": np.zeros((1, 16, 2, 4), np.float32)}, {"block": 16}, "the kernel spans 3 pixels"),
]


@pytest.mark.parametrize(("inputs", "attributes", "message"), REFUSALS)
def test_refusals(inputs: dict[str, Any], attributes: dict[str, Any], message: str) -> None:
    with pytest.raises(Exception, match=message):
        graphs.run("BlockedSparseExpand", {**SMALL, **inputs}, **attributes)


def test_refusals_of_the_dense_operator_and_the_gate() -> None:
    maps = np.zeros((1, 16, 2, 2), np.float32)
    inputs = {"seed_maps": maps, "period": np.ones(4, np.float32), "shift": np.ones(4, np.float32)}
    for seeds in (17, -1):
        with pytest.raises(Exception, match=f"seed_maps has 16 channels, seed_channels={seeds} fill blocks of 16"):
            graphs.run("BlockedExpand", inputs, block=16, seed_channels=seeds)
    model = graphs.one_node("BlockedGate", {"x": maps, "gate": maps}, fed=("x", "gate"), block=16)
    with pytest.raises(Exception, match=r"gate of shape \(1, 16, 2, 2\): expected"):
        graphs.session(model).run(None, {"x": maps, "gate": maps})
