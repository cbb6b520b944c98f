"""Parts of the present bundle, whichever form it has; and files that are none."""

import errno
import io
import struct
import zipfile
from pathlib import Path

import pytest
import zstandard

from groupnl_device.bundle import Bundle
from groupnl_device.delivery.errors import PatchError
from groupnl_device.delivery.old_bundle import open_old
from groupnl_device.delivery.patch_format import Source
from groupnl_device.limits import Limits
from groupnl_device.repack import compressed


def zipped(entries: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> io.BytesIO:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return buffer


def opened(file: io.BytesIO, **limits: int) -> None:
    with open_old(file, None, Limits(**limits)):
        pass


@pytest.mark.parametrize("form", ["stored", "compressed"])
def test_parts_of_entries(form: str, bundle_bytes: bytes, tmp_path: Path) -> None:
    bundle = Bundle.from_bytes(bundle_bytes)
    data = bundle_bytes if form == "stored" else compressed(bundle)
    with open_old(io.BytesIO(data), tmp_path, Limits()) as old:
        assert old.manifest_json == bytes(Bundle.from_bytes(data).manifest_json)
        for name, info in bundle.manifest.entries.items():
            for at, span in ((0, info.size), (1, 5), (info.size - 1, 1)):
                assert old.read(Source(entry=name, at=at, span=span)) == bytes(bundle.read(name)[at : at + span])
        assert list(tmp_path.iterdir()) == []  # what was unpacked has no name that a kill could leave behind


@pytest.mark.parametrize("source", [("graph.onnx", 0, 10**6), ("absent", 0, 1), ("manifest.json", 0, 1)])
def test_parts_that_are_not_there(source: tuple[str, int, int], bundle_bytes: bytes) -> None:
    entry, at, span = source
    with (
        open_old(io.BytesIO(bundle_bytes), None, Limits()) as old,
        pytest.raises(PatchError, match="made from another"),
    ):
        old.read(Source(entry=entry, at=at, span=span))


def test_file_that_became_shorter(bundle_bytes: bytes) -> None:
    file = io.BytesIO(bundle_bytes)
    with open_old(file, None, Limits()) as old:
        file.truncate(1000)
        with pytest.raises(PatchError, match="ends early"):
            old.read(Source(entry="weights.safetensors", at=0, span=100))


@pytest.mark.parametrize("data", [b"", b"no zip", b"PK\5\6" + bytes(18)])
def test_no_bundle(data: bytes) -> None:
    with pytest.raises(PatchError, match=r"damaged|manifest\.json has 0 bytes"):
        opened(io.BytesIO(data))


def test_directory_before_the_begin_of_a_real_file(tmp_path: Path) -> None:
    """zipfile asks the disk for a negative place, which is an OSError, yet not the disk's fault."""
    path = tmp_path / "old.gnl"
    path.write_bytes(struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, 46, 2**20, 0))
    with path.open("rb") as file, pytest.raises(PatchError, match="damaged"), open_old(file, None, Limits()):
        pass


def test_failing_disk_is_no_damaged_bundle(bundle_bytes: bytes) -> None:
    class Disk(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() == 0:  # the first entry; the directory at the end can still be read
                raise OSError(errno.EIO, "input/output error")
            return super().read(size)

    with pytest.raises(OSError, match="input/output error"):
        opened(Disk(bundle_bytes))


@pytest.mark.parametrize("name", ["manifest.json", "a.zst"])
def test_entry_compressed_by_zip(name: str) -> None:
    with pytest.raises(PatchError, match=f"{name}.*compressed by zip"):
        opened(zipped({name: b"{}" * 100}, zipfile.ZIP_DEFLATED))


def test_compressed_entry_that_is_damaged() -> None:
    with pytest.raises(PatchError, match="damaged: ZstdError"):
        opened(zipped({"manifest.json": b"{}", "a.zst": b"no frame"}))


def test_compressed_entry_with_a_huge_window() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=27, write_content_size=False)
    frame = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    with pytest.raises(PatchError, match="damaged: ZstdError"):
        opened(zipped({"manifest.json": b"{}", "a.zst": frame.compress(b"a") + frame.flush()}))


def test_limits() -> None:
    packed = zstandard.ZstdCompressor().compress(bytes(10**6))
    bundle = {"manifest.json": b"{}", "a.zst": packed, "b.zst": packed}
    opened(zipped(bundle), unpacked_bytes=2 * 10**6)
    with pytest.raises(PatchError, match="unpack to more bytes"):
        opened(zipped(bundle), unpacked_bytes=2 * 10**6 - 1)
    with pytest.raises(PatchError, match="3 entries, at most 2 allowed"):
        opened(zipped(bundle), entries=2)
    with pytest.raises(PatchError, match="has 2 bytes; allowed are 1 to 1"):
        opened(zipped(bundle), manifest_bytes=1)
