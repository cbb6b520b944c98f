"""Every way of a step, against plain Python; and steps that lie."""

import struct

import pytest
import zstandard

from groupnl_device.delivery.errors import PatchError
from groupnl_device.delivery.patch_format import Source, Step, Way
from groupnl_device.delivery.patch_steps import MOST_CONTROLS, make

OLD = bytes(range(256)) * 4


def frame(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


def made(by: Way, length: int, contents: list[bytes], old: bytes = OLD) -> bytes:
    frames = [frame(content) for content in contents]
    source = None if by == "zstd" else Source(entry="w", at=0, span=len(old))
    step = Step(by=by, length=length, parts=tuple(map(len, frames)), source=source)
    return make(step, frames, b"" if by == "zstd" else old)


def controls(*triples: tuple[int, int, int]) -> bytes:
    return b"".join(struct.pack("<3i", *triple) for triple in triples)


def plain_bsdiff(triples: list[tuple[int, int, int]], changes: bytes, news: bytes) -> bytes:
    """Colin Percival's scheme, byte by byte."""
    result, old_at, change_at, new_at = bytearray(), 0, 0, 0
    for added, fresh, moved in triples:
        for _ in range(added):
            result.append((OLD[old_at] + changes[change_at]) % 256)
            old_at, change_at = old_at + 1, change_at + 1
        result += news[new_at : new_at + fresh]
        new_at, old_at = new_at + fresh, old_at + moved
    return bytes(result)


def test_zstd() -> None:
    assert made("zstd", 3, [b"new"]) == b"new"


def test_prefix() -> None:
    dictionary = zstandard.ZstdCompressionDict(OLD, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    packed = zstandard.ZstdCompressor(dict_data=dictionary).compress(OLD + b"!")
    step = Step(by="prefix", length=1025, parts=(len(packed),), source=Source(entry="w", at=0, span=1024))
    assert make(step, [packed], OLD) == OLD + b"!"


def test_xor_and_difference() -> None:
    old, new = b"\x01\x02\xff\xff", b"\x03\x02\x00\x00"  # 0x0201 -> 0x0203 and 0xffff -> 0
    assert made("xor", 4, [b"\x02\xff", b"\x00\xff"], old) == new
    assert made("difference", 4, [b"\x04\x02", b"\x00\x00"], old) == new  # +2 and +1


def test_bsdiff() -> None:
    triples = [(10, 2, 100), (0, 1, -60), (5, 0, 0)]
    changes, news = bytes(range(250, 256)) + bytes(9), b"abc"
    assert made("bsdiff", 18, [controls(*triples), changes, news]) == plain_bsdiff(triples, changes, news)


@pytest.mark.parametrize(
    ("triples", "changes", "news", "message"),
    [
        ([(4, 0, 0)], b"1234", b"", "do not make its 5 bytes"),
        ([(-1, 6, 0)], b"", b"123456", "do not make its 5 bytes"),
        ([(6, -1, 0)], b"123456", b"", "do not make its 5 bytes"),
        ([(5, 0, 0)], b"1234", b"", "gives 4 bytes, expected are 5"),
        ([(4, 1, 0)], b"1234", b"12", "gives 2 bytes, expected are 1"),
        ([(1, 0, -2), (4, 0, 0)], b"12345", b"", "outside of its source"),
        ([(1, 0, 1020), (4, 0, 0)], b"12345", b"", "outside of its source"),
        ([(0, 0, 2**31 - 1)] * 3 + [(5, 0, 0)], b"12345", b"", "outside of its source"),
        ([(0, 0, 0)] * MOST_CONTROLS + [(5, 0, 0)], b"12345", b"", "with controls of 196620 bytes"),
    ],
)
def test_bsdiff_that_lies(triples: list[tuple[int, int, int]], changes: bytes, news: bytes, message: str) -> None:
    with pytest.raises(PatchError, match=message):
        made("bsdiff", 5, [controls(*triples), changes, news])


def test_bsdiff_with_part_of_a_control() -> None:
    with pytest.raises(PatchError, match="with controls of 13 bytes"):
        made("bsdiff", 5, [bytes(13), b"", b""])


def test_plane_of_another_length() -> None:
    with pytest.raises(PatchError, match="gives 3 bytes, expected are 2"):
        made("xor", 4, [b"\0\0", b"\0\0\0"], b"1234")
