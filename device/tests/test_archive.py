"""The archive's form, and every way in which a zip may lie."""

import io
import struct
import zipfile
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groupnl_device.archive import is_safe_name, pack, pack_pieces, unpack
from groupnl_device.errors import (
    BundleError,
    BundleTooLargeError,
    NotABundleError,
    TamperedBundleError,
    TruncatedBundleError,
    UnsafeBundleError,
)
from groupnl_device.limits import Limits

ENTRIES = {"manifest.json": b"{}", "b.bin": bytes(range(100)), "a/c.bin": b"", "weights": b"w" * 200}
PACKED = b"".join(pack(ENTRIES))


def zipped(*members: tuple[str | zipfile.ZipInfo, bytes], compression: int = zipfile.ZIP_STORED, comment=b"") -> bytes:
    """Written by Python's own zip module, which knows nothing of our form."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        archive.comment = comment
        for name, data in members:
            archive.writestr(name, data)
    return buffer.getvalue()


def patched(data: bytes, old: bytes, new: bytes) -> bytes:
    assert len(old) == len(new)
    assert old in data
    return data.replace(old, new)


def test_round_trip() -> None:
    assert {name: bytes(data) for name, data in unpack(PACKED).items()} == ENTRIES


def test_python_reads_the_archive() -> None:
    with zipfile.ZipFile(io.BytesIO(PACKED)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["manifest.json", "a/c.bin", "b.bin", "weights"]
        assert {name: archive.read(name) for name in archive.namelist()} == ENTRIES
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}


def test_data_are_aligned() -> None:
    starts = [PACKED.index(data) for data in ENTRIES.values() if data]
    assert [start % 64 for start in starts] == [0, 0, 0]


def test_content_may_come_in_pieces_and_is_asked_for_in_order() -> None:
    asked = []

    def content(name: str) -> list[bytes]:
        asked.append(name)
        return [ENTRIES[name][:7], ENTRIES[name][7:]]

    listed = {name: (len(data), zlib.crc32(data)) for name, data in ENTRIES.items()}
    assert b"".join(pack_pieces(listed, content)) == PACKED
    assert asked == ["manifest.json", "a/c.bin", "b.bin", "weights"]


def test_order_of_the_entries_does_not_change_the_bytes() -> None:
    assert b"".join(pack(dict(reversed(ENTRIES.items())))) == PACKED


@settings(deadline=None, max_examples=40)
@given(
    st.dictionaries(
        st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,8}(/[a-z0-9]{1,5}){0,2}", fullmatch=True).filter(
            lambda name: name.lower() != "manifest.json"
        ),
        st.binary(max_size=300),
        max_size=6,
    )
)
def test_any_content_comes_back(content: dict[str, bytes]) -> None:
    content = {name.lower(): data for name, data in content.items()} | {"manifest.json": b"x"}
    assert {name: bytes(data) for name, data in unpack(b"".join(pack(content))).items()} == content


def test_every_changed_byte_is_noticed() -> None:
    for position in range(len(PACKED)):
        changed = bytearray(PACKED)
        changed[position] ^= 0x41
        with pytest.raises(BundleError):
            unpack(bytes(changed))


def test_every_truncation_is_noticed() -> None:
    for length in range(len(PACKED)):
        with pytest.raises(BundleError):
            unpack(PACKED[:length])


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=200), st.integers(0, len(PACKED)), st.integers(0, 40))
def test_splicing_is_noticed(garbage: bytes, position: int, removed: int) -> None:
    changed = PACKED[:position] + garbage + PACKED[position + removed :]
    if changed != PACKED:
        with pytest.raises(BundleError):
            unpack(changed)


@pytest.mark.parametrize(
    "name", ["../evil", "/etc/passwd", "a/../b", "a//b", "a\\b", "C:x", ".hidden", "", "a b", "ä", "x/"]
)
def test_unsafe_names_are_neither_written_nor_read(name: str) -> None:
    assert not is_safe_name(name)
    with pytest.raises(ValueError, match="relative name"):
        list(pack({"manifest.json": b"", name: b""}))
    if name:
        with pytest.raises(UnsafeBundleError, match="unsafe name"):
            unpack(zipped(("manifest.json", b"{}"), (name, b"evil")))


def test_overlong_names_are_refused() -> None:
    with pytest.raises(UnsafeBundleError, match="unsafe name"):
        unpack(zipped(("manifest.json", b"{}"), ("a" * 201, b"")))


def test_writing_needs_a_manifest() -> None:
    with pytest.raises(ValueError, match=r"manifest\.json is missing"):
        list(pack({"a": b""}))


def test_other_files_are_no_bundles() -> None:
    for data in (b"", b"\x89PNG\r\n\x1a\n" + bytes(100), b"PK\5\6" + bytes(18)):
        with pytest.raises(NotABundleError, match="not a bundle"):
            unpack(data)
    with pytest.raises(NotABundleError, match=r"without manifest\.json"):
        unpack(zipped(("readme.txt", b"hello")))
    with pytest.raises(NotABundleError, match=r"without manifest\.json"):
        unpack(zipped(("Manifest.json", b"{}")))


def test_cut_off() -> None:
    with pytest.raises(TruncatedBundleError, match="copied whole"):
        unpack(PACKED[:-1])


def test_trailing_bytes() -> None:
    with pytest.raises(TamperedBundleError, match="bytes follow"):
        unpack(PACKED + b"x" * 30)
    with pytest.raises(TamperedBundleError, match="bytes follow"):
        unpack(zipped(("manifest.json", b"{}"), comment=b"a comment"))


def test_bytes_in_front() -> None:
    with pytest.raises(NotABundleError, match="does not begin"):
        unpack(b"#!/bin/sh\n" + PACKED)


def test_deflate_is_refused() -> None:
    with pytest.raises(UnsafeBundleError, match="compressed by zip"):
        unpack(zipped(("manifest.json", b"{}" * 500), compression=zipfile.ZIP_DEFLATED))


def test_a_zip_bomb_is_refused_unread() -> None:
    bomb = zipped(("manifest.json", b"{}"), ("weights", bytes(50_000_000)), compression=zipfile.ZIP_DEFLATED)
    assert len(bomb) < 100_000
    with pytest.raises(UnsafeBundleError, match="compressed by zip"):
        unpack(bomb)


def test_encryption_is_refused() -> None:
    data = bytearray(PACKED)
    data[data.index(b"PK\1\2") + 8] |= 1
    with pytest.raises(UnsafeBundleError, match="encrypted"):
        unpack(bytes(data))


def test_links_are_refused() -> None:
    link = zipfile.ZipInfo("weights")
    link.external_attr = 0o120777 << 16
    with pytest.raises(UnsafeBundleError, match="link"):
        unpack(zipped(("manifest.json", b"{}"), (link, b"/etc/passwd")))


def test_a_name_twice_is_refused() -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        data = zipped(("manifest.json", b"{}"), ("a", b"1"), ("a", b"2"))
    with pytest.raises(UnsafeBundleError, match="twice"):
        unpack(data)
    with pytest.raises(UnsafeBundleError, match="twice"):
        unpack(zipped(("manifest.json", b"{}"), ("a", b"1"), ("A", b"2")))


def test_overlapping_entries_are_refused() -> None:
    """The trick of non-recursive zip bombs: two rows of the directory share one entry's bytes."""
    data = bytearray(b"".join(pack({"manifest.json": b"{}", "a": b"1", "b": b"2"})))
    rows = [at for at in range(len(data)) if data[at : at + 4] == b"PK\1\2"]
    data[rows[2] + 42 : rows[2] + 46] = data[rows[1] + 42 : rows[1] + 46]
    with pytest.raises(UnsafeBundleError, match="overlaps"):
        unpack(bytes(data))


def test_sizes_that_reach_past_the_end_are_refused() -> None:
    data = bytearray(PACKED)
    row = data.rindex(b"PK\1\2")
    struct.pack_into("<2L", data, row + 20, 2**31, 2**31)
    with pytest.raises(UnsafeBundleError, match="overlaps the central directory"):
        unpack(bytes(data))


def test_gaps_are_refused() -> None:
    directory = PACKED.index(b"PK\1\2")
    end = bytearray(PACKED[-22:])
    struct.pack_into("<L", end, 16, directory + 7)
    with pytest.raises(TamperedBundleError, match="directory is at byte"):
        unpack(PACKED[:directory] + b"payload" + PACKED[directory:-22] + bytes(end))


def test_plain_zips_are_not_canonical() -> None:
    with pytest.raises(TamperedBundleError, match="in a bundle it would be at"):
        unpack(zipped(("manifest.json", b"{}"), ("a", b"1")))


def test_the_number_of_entries_is_limited_before_they_are_read() -> None:
    with pytest.raises(BundleTooLargeError, match="4 entries, at most 3"):
        unpack(PACKED, Limits(entries=3))
