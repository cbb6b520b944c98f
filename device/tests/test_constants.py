"""What a seed determines is rebuilt; what is shipped is checked."""

from dataclasses import replace

import numpy as np
import pytest

from groupnl_device import nlf
from groupnl_device.constants import layer_constants, rebuild
from groupnl_device.errors import InvalidManifestError
from groupnl_device.manifest import ExplicitPairs, Layer, SeededPairs

LAYER = Layer(
    name="body",
    nlf="sine",
    normalize="l2",
    seed_channels=5,
    out_channels=12,
    nl_groups=2,
    pairs=SeededPairs(seed=7, key="body", period_range=(1.0, 2.0), shift_range=(1.0, 5.0)),
    initializers={"period": "body.period", "shift": "body.shift", "source": "body.source"},
)


def test_constants_are_those_of_the_definition() -> None:
    period, shift = nlf.draw_pairs(nlf="sine", nl_groups=2, copies=2, seed=7, key="body")
    built = rebuild([LAYER], {})
    assert set(built) == {"body.period", "body.shift", "body.source"}
    # groups of 3 and 2 seed maps, two copies each, cut to 7 maps
    np.testing.assert_array_equal(built["body.source"], [0, 1, 2, 0, 1, 2, 3])
    flat = [period[0, 0]] * 3 + [period[0, 1]] * 3 + [period[1, 0]]
    np.testing.assert_array_equal(built["body.period"], np.reshape(flat, (7, 1, 1)), strict=True)
    flat = [shift[0, 0]] * 3 + [shift[0, 1]] * 3 + [shift[1, 0]]
    np.testing.assert_array_equal(built["body.shift"], np.reshape(flat, (7, 1, 1)), strict=True)


def test_the_gaussian_is_scaled_after_the_l2_norm() -> None:
    pairs = SeededPairs(seed=0, key="", period_range=(1.0, 2.0), shift_range=(-1.0, 1.0))
    layer = replace(LAYER, nlf="gaussian", seed_channels=9, out_channels=18, pairs=pairs)
    scaled = layer_constants(layer, {})
    plain = layer_constants(replace(layer, normalize="rms"), {})
    np.testing.assert_allclose(scaled["period"], plain["period"] * 3, rtol=1e-6)
    np.testing.assert_allclose(scaled["shift"], plain["shift"] / 3, rtol=1e-6)


def test_explicit_pairs_are_taken_from_the_weights() -> None:
    layer = replace(LAYER, pairs=ExplicitPairs(period="p", shift="s"), initializers={"period": "body.period"})
    weights = {"p": np.full((2, 2), 1.5, np.float32), "s": np.zeros((2, 2), np.float32)}
    np.testing.assert_array_equal(rebuild([layer], weights)["body.period"], np.full((7, 1, 1), 1.5, np.float32))
    for wrong in ({}, {**weights, "p": np.ones((2, 3), np.float32)}, {**weights, "s": np.zeros((2, 2))}):
        with pytest.raises(InvalidManifestError, match=r"explicit pairs .* expected float32 of shape \(2, 2\)"):
            rebuild([layer], wrong)


def test_a_constant_is_shipped_or_rebuilt_never_both() -> None:
    with pytest.raises(InvalidManifestError, match="shipped and rebuilt"):
        rebuild([LAYER], {"body.shift": np.zeros((7, 1, 1), np.float32)})


def test_nothing_is_drawn_for_a_graph_that_uses_nothing() -> None:
    assert rebuild([replace(LAYER, initializers={})], {}) == {}
