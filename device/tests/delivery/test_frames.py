"""Frames give exactly the bytes that are expected of them, or a PatchError."""

import os

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from groupnl_device.delivery.errors import PatchError
from groupnl_device.delivery.frames import pack_frame, told_length, unpack_frame

NOISE = os.urandom(5000)


@settings(deadline=None, max_examples=50)
@given(st.binary(max_size=300), st.binary(max_size=300))
def test_round_trip(data: bytes, prefix: bytes) -> None:
    frame = pack_frame(data, prefix=prefix)
    assert told_length(frame) == len(data)
    assert unpack_frame(frame, len(data), prefix=prefix) == data


def test_what_the_prefix_holds_is_not_in_the_frame() -> None:
    assert len(pack_frame(NOISE, prefix=NOISE)) < 40 < len(NOISE) < len(pack_frame(NOISE))


def test_prefix_is_used_to_its_first_byte() -> None:
    prefix = os.urandom(2**21)
    assert len(pack_frame(prefix[:1000], prefix=prefix)) < 40


def test_other_length() -> None:
    with pytest.raises(PatchError, match="gives 5000 bytes, expected are 4999"):
        unpack_frame(pack_frame(NOISE), 4999)


def test_frame_without_its_length() -> None:
    frame = zstandard.ZstdCompressor(write_content_size=False).compress(NOISE)
    with pytest.raises(PatchError, match="expected are 5000"):
        unpack_frame(frame, 5000)


def test_bomb_is_not_expanded() -> None:
    frame = zstandard.ZstdCompressor().compress(bytes(10**8))
    with pytest.raises(PatchError, match="gives 100000000 bytes, expected are 10"):
        unpack_frame(frame, 10)


def test_other_prefix() -> None:
    frame = pack_frame(NOISE, prefix=NOISE)
    with pytest.raises(PatchError, match="damaged, or made from another bundle"):
        unpack_frame(frame, 5000, prefix=NOISE[:100])


@pytest.mark.parametrize("frame", [b"", b"x" * 100, pack_frame(NOISE)[:-1], pack_frame(NOISE) + b"x"])
def test_no_whole_frame(frame: bytes) -> None:
    with pytest.raises(PatchError, match="damaged"):
        unpack_frame(frame, 5000)


def test_bytes_that_mark_a_trained_dictionary_are_a_prefix_like_any_other() -> None:
    prefix = bytes.fromhex("37a430ec") + NOISE
    assert unpack_frame(pack_frame(NOISE, prefix=prefix), 5000, prefix=prefix) == NOISE
