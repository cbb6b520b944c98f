"""How entries are cut for comparison: every byte once, tensors beside their old selves."""

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from groupnl.delivery.regions import Region, regions_of
from groupnl_device.delivery.patch_format import SPAN_BYTES, STEP_BYTES

DTYPES = (np.float32, np.float16, np.int8, np.int64)
tensors = st.dictionaries(
    st.sampled_from("abcdef"), st.tuples(st.sampled_from(DTYPES), st.integers(0, 900), st.integers(0, 2)), max_size=6
)


def saved(told: dict[str, tuple[type, int, int]]) -> bytes:
    return safetensors.numpy.save({name: np.full(size, value, dtype) for name, (dtype, size, value) in told.items()})


def cut(old: bytes, new: bytes) -> list[Region]:
    return regions_of(memoryview(old), memoryview(new))


def check(old: bytes, new: bytes) -> list[Region]:
    """What holds for any two entries."""
    regions = cut(old, new)
    ends = [0, *(region.end for region in regions)]
    assert [region.begin for region in regions] == ends[:-1]
    assert ends[-1] == len(new)
    for region in regions:
        low, high = region.near
        assert 0 <= low <= high <= len(old)
        assert region.length > 0
        if not region.is_same:
            assert region.length <= STEP_BYTES
            assert high - low <= SPAN_BYTES
        if region.beside is not None:
            assert 0 <= region.beside <= len(old) - region.length
            held = old[region.beside : region.beside + region.length]
            assert region.is_same == (held == new[region.begin : region.end])
    return regions


@settings(deadline=None, max_examples=60)
@given(tensors, tensors)
def test_any_two_files_of_tensors(old: dict, new: dict) -> None:
    check(saved(old), saved(new))


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=200), st.binary(max_size=200))
def test_any_two_files(old: bytes, new: bytes) -> None:
    check(old, new)


def test_tensors_lie_beside_their_old_selves_though_they_moved() -> None:
    old = {"a": np.zeros(1000, np.float32), "b": np.ones(2000, np.int8)}
    new = {"a": np.zeros(1000, np.float32), "b": np.ones(2000, np.int8), "c": np.ones(500, np.float16)}
    header, *regions = check(safetensors.numpy.save(old), safetensors.numpy.save(new))
    assert header.beside is None  # it became longer, so all behind it moved
    by_length = {region.length: region for region in regions}
    assert (by_length[4000].is_same, by_length[4000].widths) == (True, (4,))
    assert (by_length[2000].is_same, by_length[2000].widths) == (True, (1,))
    assert (by_length[1000].near, by_length[1000].beside) == ((0, 0), None)


def test_neighbours_are_compared_together_and_small_same_ones_with_them() -> None:
    old = {name: np.arange(size, dtype=np.float32) for name, size in (("a", 600), ("b", 100), ("c", 600), ("d", 5000))}
    new = {name: value + (name in "ac") for name, value in old.items()}
    header, changed, same = check(safetensors.numpy.save(old), safetensors.numpy.save(new))
    assert header.is_same
    assert (changed.length, changed.is_same) == (4 * 1300, False)
    assert (same.length, same.is_same) == (4 * 5000, True)


def test_neighbours_that_were_none_before_stay_apart() -> None:
    old = {name: np.full(500, k, np.float32) for k, name in enumerate("abc")}
    before, after = safetensors.numpy.save(old), safetensors.numpy.save({"a": old["a"] + 5, "c": old["c"] + 5})
    *_, first, second = check(before, after)
    assert (first.length, second.length) == (2000, 2000)
    assert before[second.beside : second.beside + 2000] == old["c"].tobytes()


def test_tensor_of_another_dtype_is_no_counterpart() -> None:
    old, new = np.ones(500, np.float32), np.ones(2000, np.int8)
    region = check(safetensors.numpy.save({"a": old}), safetensors.numpy.save({"a": new}))[-1]
    assert (region.beside, region.widths) == (None, ())
    assert region.near != (0, 0)


def test_tensor_of_another_size_is_looked_for_near_its_old_self() -> None:
    old = safetensors.numpy.save({"head": np.ones((10, 8), np.float32)})
    new = safetensors.numpy.save({"head": np.ones((11, 8), np.float32)})
    region = check(old, new)[-1]
    assert (region.near, region.beside) == ((len(old) - 320, len(old)), None)


def test_large_entries_are_cut_and_looked_for_around_their_place() -> None:
    rng = np.random.default_rng(0)
    old = rng.bytes(3 * STEP_BYTES + 100)
    pieces = check(old, b"x" + old)
    half = (SPAN_BYTES - STEP_BYTES) // 2
    assert [piece.length for piece in pieces] == [STEP_BYTES] * 3 + [101]
    assert [piece.near[0] for piece in pieces[:2]] == [0, STEP_BYTES - half]
    assert pieces[-1].near == (len(old) - SPAN_BYTES, len(old))
    changed = bytearray(old)
    changed[STEP_BYTES + 5] ^= 1
    assert [piece.is_same for piece in check(old, bytes(changed))] == [True, False, True, True]


@pytest.mark.parametrize("length", [7, 2**40])
def test_what_only_begins_like_tensors_is_cut_like_any_file(length: int) -> None:
    good = bytearray(safetensors.numpy.save({"a": np.ones(9, np.float32)}))
    bad = bytes(length.to_bytes(8, "little") + good[8:])
    (region,) = check(bytes(good), bad)
    assert region.widths == (4, 2, 1)


def test_nothing_old_and_nothing_new() -> None:
    assert cut(b"abc", b"") == []
    (region,) = check(b"", b"abc")
    assert (region.near, region.beside) == ((0, 0), None)
