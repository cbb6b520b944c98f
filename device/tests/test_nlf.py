"""The seeded hyperparameters: golden bits, an independent Philox, and independence of everything but (seed, key)."""

import hashlib
import math
import struct
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groupnl_device import nlf

MASK = (1 << 64) - 1

# seed 0, key layer1.0.conv1, 4 groups, 2 copies, the sine's own ranges; no release may ever change these
GOLDEN_PERIOD = [
    "0x1.cbcce20000000p+0",
    "0x1.149fee0000000p+0",
    "0x1.0027e40000000p+0",
    "0x1.e2cfd40000000p+0",
    "0x1.7b0fbc0000000p+0",
    "0x1.5963460000000p+0",
    "0x1.becb500000000p+0",
    "0x1.0e8e540000000p+0",
]
GOLDEN_SHIFT = [
    "0x1.c6f00c0000000p+1",
    "0x1.baf1160000000p+1",
    "0x1.9602880000000p+1",
    "0x1.8bd98e0000000p+1",
    "0x1.2fcc780000000p+2",
    "0x1.3190ea0000000p+1",
    "0x1.440f940000000p+1",
    "0x1.65fe600000000p+0",
]


def philox_block(counter: list[int], key: list[int]) -> list[int]:
    """One Philox4x64-10 block in Python integers, from Salmon et al., SC 2011."""
    x, k = list(counter), list(key)
    for _ in range(10):
        high0, low0 = divmod(0xD2E7470EE14C6C93 * x[0], 1 << 64)
        high1, low1 = divmod(0xCA5A826395121157 * x[2], 1 << 64)
        x = [high1 ^ x[1] ^ k[0], low1, high0 ^ x[3] ^ k[1], low0]
        k = [(k[0] + 0x9E3779B97F4A7C15) & MASK, (k[1] + 0xBB67AE8584CAA73B) & MASK]
    return x


def independent_uniform(seed: int, key: str, stream: str, count: int, low: float, high: float) -> list[float]:
    digest = hashlib.sha256(
        b"philox-v1\0" + str(seed).encode() + b"\0" + key.encode() + b"\0" + stream.encode()
    ).digest()
    philox_key = list(struct.unpack("<2Q", digest[:16]))
    raw: list[int] = []
    while len(raw) < count:
        raw += philox_block([len(raw) // 4 + 1, 0, 0, 0], philox_key)
    values = [low + (high - low) * ((integer >> 40) / 2**24) for integer in raw[:count]]
    return [struct.unpack("<f", struct.pack("<f", value))[0] for value in values]


def test_golden_values_never_change():
    period, shift = nlf.draw_pairs(nlf="sine", nl_groups=4, copies=2, seed=0, key="layer1.0.conv1")
    assert [float(v).hex() for v in period.ravel()] == GOLDEN_PERIOD
    assert [float(v).hex() for v in shift.ravel()] == GOLDEN_SHIFT


@settings(max_examples=100, deadline=None)
@given(
    seed=st.integers(-(2**70), 2**70),
    key=st.text(max_size=20),
    stream=st.sampled_from(["period", "shift"]),
    count=st.integers(0, 23),
)
def test_draws_equal_an_independent_philox(seed, key, stream, count):
    drawn = nlf.uniform(seed, key, stream, (count,), 1.0, 5.0)
    assert drawn.dtype == np.float32
    assert drawn.tolist() == independent_uniform(seed, key, stream, count, 1.0, 5.0)


def test_another_process_with_another_hash_seed_draws_the_same_bits():
    code = (
        "import numpy as np; np.random.seed(1); from groupnl_device import nlf;"
        "p, s = nlf.draw_pairs(nlf='sine', nl_groups=3, copies=2, seed=7, key='é');"
        "print(p.tobytes().hex(), s.tobytes().hex())"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": "99"}
    )
    period, shift = nlf.draw_pairs(nlf="sine", nl_groups=3, copies=2, seed=7, key="é")
    assert run.stdout.split() == [period.tobytes().hex(), shift.tobytes().hex()]


def test_a_longer_draw_begins_with_the_shorter_one():
    assert nlf.uniform(0, "a", "period", (7,), 0, 1)[:3].tolist() == nlf.uniform(0, "a", "period", (3,), 0, 1).tolist()


def test_seed_key_and_stream_all_matter():
    draws = {
        tuple(nlf.uniform(*arguments, (4,), 1, 2).tolist())
        for arguments in [
            (0, "a", "period"),
            (1, "a", "period"),
            (0, "b", "period"),
            (0, "a", "shift"),
            (0, "ap", "eriod"),
        ]
    }
    assert len(draws) == 5


def test_draws_fill_the_range_evenly():
    values = nlf.uniform(3, "layer", "period", (20000,), 1.0, 5.0).astype(np.float64)
    assert values.min() >= 1.0
    assert values.max() <= 5.0
    counts, _ = np.histogram(values, bins=10, range=(1, 5))
    # chi-square with 9 degrees of freedom: 27.9 is exceeded once in a thousand seeds, and this seed is fixed
    assert ((counts - 2000) ** 2 / 2000).sum() < 27.9


def test_default_pairs_of_each_function():
    for name in nlf.NLFS:
        period, shift = nlf.draw_pairs(nlf=name, nl_groups=3, copies=2, seed=0, key="")
        assert period.shape == shift.shape == (3, 2)
        assert period.dtype == shift.dtype == np.float32
    period, shift = nlf.draw_pairs(nlf="legendre", nl_groups=2, copies=3, seed=0, key="")
    assert period.tolist() == [[2, 3, 4], [2, 3, 4]]
    assert not shift.any()


@settings(max_examples=60, deadline=None)
@given(seeds=st.integers(1, 30), extra=st.integers(0, 80), data=st.data())
def test_channel_map_equals_nested_loops(seeds, extra, data):
    groups = data.draw(st.integers(1, seeds))
    copies = math.ceil(extra / seeds)
    expected, first = [], 0
    for group in range(groups):
        size = seeds // groups + (group < seeds % groups)
        for copy in range(copies):
            expected += [(first + k, group * copies + copy) for k in range(size)]
        first += size
    source, pair = nlf.channel_map(seed_channels=seeds, out_channels=seeds + extra, nl_groups=groups, copies=copies)
    assert list(zip(source.tolist(), pair.tolist(), strict=True)) == expected[:extra]


def test_channel_constants_scale_the_gaussian_after_the_l2_norm_only():
    period, shift = nlf.draw_pairs(nlf="gaussian", nl_groups=2, copies=1, seed=0, key="")
    sizes = {"seed_channels": 4, "out_channels": 8}
    wide_period, wide_shift = nlf.channel_constants(period, shift, nlf="gaussian", normalize="l2", **sizes)
    np.testing.assert_array_equal(wide_period, np.repeat(period.ravel() * 2, 2))
    np.testing.assert_array_equal(wide_shift, np.repeat(shift.ravel() / 2, 2))
    plain_period, _ = nlf.channel_constants(period, shift, nlf="gaussian", normalize="rms", **sizes)
    np.testing.assert_array_equal(plain_period, np.repeat(period.ravel(), 2))


@pytest.mark.parametrize(
    ("low", "high"), [(2.0, 1.0), (0.0, math.inf), (math.nan, 1.0)], ids=["reversed", "infinite", "nan"]
)
def test_bad_ranges_are_refused(low, high):
    with pytest.raises(ValueError, match="expected two finite numbers"):
        nlf.uniform(0, "", "period", (1,), low, high)


def test_an_unknown_function_is_refused_with_the_list():
    with pytest.raises(ValueError, match="nlf='tan': expected one of sine, gaussian, monomial, legendre, identity"):
        nlf.draw_pairs(nlf="tan", nl_groups=1, copies=1, seed=0, key="")
