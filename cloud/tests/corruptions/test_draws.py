import hashlib
import math

import numpy as np
import pytest
import scipy.special
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from groupnl.corruptions.draws import DrawSource, normal_quantile

CPU = torch.device("cpu")


def source(
    first_index: int, count: int, *, seed: int = 3, name: str = "gaussian_noise", severity: int = 2
) -> DrawSource:
    return DrawSource(seed=seed, corruption=name, severity=severity, first_index=first_index, count=count, device=CPU)


def philox4x64(key: tuple[int, int], block: int) -> list[int]:
    """One block of Philox4x64-10 in Python integers, from the paper (Salmon et al., SC 2011, section 4.3)."""
    mask = 2**64 - 1
    counter = [(block >> (64 * i)) & mask for i in range(4)]
    k0, k1 = key
    for _ in range(10):
        left, right = counter[0] * 0xD2E7470EE14C6C93, counter[2] * 0xCA5A826395121157
        counter = [(right >> 64) ^ counter[1] ^ k0, right & mask, (left >> 64) ^ counter[3] ^ k1, left & mask]
        k0, k1 = (k0 + 0x9E3779B97F4A7C15) & mask, (k1 + 0xBB67AE8584CAA73B) & mask
    return counter


@pytest.mark.parametrize("shape", [(3,), (8,), (2, 5), (3, 4, 7)])
def test_fractions_are_the_documented_bits(shape: tuple[int, ...]) -> None:
    message = "\0".join(("corruption-philox-v1", "-5", "fog", "4", "map")).encode()
    digest = hashlib.sha256(message).digest()
    key = (int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:16], "little"))
    size = math.prod(shape)
    blocks = -(-size // 8)
    for index, picture in enumerate(
        source(6, 2, seed=-5, name="fog", severity=4).fractions(shape, stream="map"), start=6
    ):
        words: list[int] = []
        for block in range(index * blocks, (index + 1) * blocks):
            for value in philox4x64(key, block + 1):  # numpy advances the counter before its first block
                words += [value & 0xFFFFFFFF, value >> 32]
        expected = [(word + 0.5) / 2**32 for word in words[:size]]
        assert picture.shape == shape
        assert picture.flatten().tolist() == expected


def test_golden_values() -> None:
    drawn = source(0, 2)
    assert [value.hex() for value in drawn.fractions((3,), stream="noise").flatten().tolist()] == [
        "0x1.510507a100000p-1",
        "0x1.9717848700000p-1",
        "0x1.d3a3227f00000p-1",
        "0x1.b24677ef00000p-1",
        "0x1.7c7233a000000p-6",
        "0x1.392a80ed00000p-1",
    ]
    assert [value.hex() for value in drawn.normals((3,), stream="noise").flatten().tolist()] == [
        "0x1.a173dfe367a5cp-2",
        "0x1.a6041fe0f6e2fp-1",
        "0x1.5c987d5161091p+0",
        "0x1.075a0f1ea6391p+0",
        "-0x1.fdc9dba0ed4d0p+0",
        "0x1.226f7975d7b7cp-2",
    ]


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(-(2**70), 2**70),
    first=st.integers(0, 10**9),
    count=st.integers(1, 9),
    split=st.integers(0, 9),
    size=st.integers(1, 40),
)
def test_draws_belong_to_the_picture_not_to_the_batch(seed: int, first: int, count: int, split: int, size: int) -> None:
    split = min(split, count)
    whole = source(first, count, seed=seed).normals((size,), stream="noise")
    parts = [
        source(first, split, seed=seed).normals((size,), stream="noise"),
        source(first + split, count - split, seed=seed).normals((size,), stream="noise"),
    ]
    assert torch.equal(whole, torch.cat(parts))


def test_everything_in_the_key_matters_and_nothing_else() -> None:
    reference = source(4, 3).fractions((50,), stream="noise")
    others = [
        source(4, 3, seed=4).fractions((50,), stream="noise"),
        source(4, 3, name="shot_noise").fractions((50,), stream="noise"),
        source(4, 3, severity=3).fractions((50,), stream="noise"),
        source(4, 3).fractions((50,), stream="angle"),
        source(7, 3).fractions((50,), stream="noise"),
    ]
    assert all(not torch.isin(other, reference).any() for other in others)
    torch.manual_seed(99)
    np.random.default_rng(1).random(5)
    assert torch.equal(source(4, 3).fractions((50,), stream="noise"), reference)


def test_global_random_state_is_left_alone() -> None:
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()
    source(0, 3).normals((100,), stream="noise")
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)


def test_no_pictures_no_draws() -> None:
    assert source(5, 0).normals((3, 2), stream="noise").shape == (0, 3, 2)


def test_normal_quantile_matches_scipy_from_end_to_end() -> None:
    ends = 2.0 ** -torch.arange(1, 34, dtype=torch.float64)
    inside = torch.rand(20_001, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).clamp(
        2**-33, 1 - 2**-33
    )
    seams = torch.tensor([0.075, 0.925, 0.0750000001, 0.9249999999, 0.5], dtype=torch.float64)
    fractions = torch.cat([ends, 1 - ends, inside, seams])
    np.testing.assert_allclose(
        normal_quantile(fractions).numpy(), scipy.special.ndtri(fractions.numpy()), rtol=3e-15, atol=3e-16
    )


def test_normal_quantile_does_not_depend_on_neighbours() -> None:
    fractions = torch.rand(101, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    one_by_one = torch.cat([normal_quantile(fractions[i : i + 1]) for i in range(101)])
    assert torch.equal(normal_quantile(fractions), one_by_one)


def test_distribution_of_the_draws() -> None:
    many = source(0, 400)
    uniform = many.fractions((500,), stream="noise").flatten().numpy()
    normal = many.normals((500,), stream="noise").flatten().numpy()
    assert scipy.stats.kstest(uniform, "uniform").pvalue > 1e-3
    assert scipy.stats.kstest(normal, "norm").pvalue > 1e-3
    assert abs(np.corrcoef(uniform[:-1], uniform[1:])[0, 1]) < 0.01
    assert uniform.min() > 0
    assert uniform.max() < 1
