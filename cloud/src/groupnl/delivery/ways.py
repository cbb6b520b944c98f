"""Makes one region of a new entry from the old entry in the way that takes the fewest bytes."""

import bz2
import struct
from collections.abc import Iterator

import bsdiff4
import numpy as np
from numpy.typing import NDArray

from groupnl.delivery.regions import Region
from groupnl_device.delivery.byte_planes import to_planes
from groupnl_device.delivery.frames import pack_frame
from groupnl_device.delivery.patch_format import Source, Step, Way
from groupnl_device.delivery.patch_steps import CONTROL, MOST_CONTROLS

_NUMBERS = (
    (2,),
    (4,),
    (8,),
)  # trained on, nearly every one has changed somewhere: nothing moved, nothing to search for

Made = tuple[Step, list[bytes]]


def cheapest(entry: str, region: Region, old: memoryview, new: memoryview) -> Made:
    """The step, and the frames that it takes.

    Args:
        entry: Name of the old entry.
        region: Of the new one.
        old: All of the old entry.
        new: All of the new entry.
    """
    if region.is_same and region.beside is not None:
        source = Source(entry=entry, at=region.beside, span=region.length)
        return Step(by="copy", length=region.length, source=source), []
    return min(_ways(entry, region, old, new), key=lambda made: sum(map(len, made[1])))


def _ways(entry: str, region: Region, old: memoryview, new: memoryview) -> Iterator[Made]:
    wanted = bytes(new[region.begin : region.end])
    yield _made("zstd", wanted, [pack_frame(wanted)])
    if region.beside is not None:
        beside = Source(entry=entry, at=region.beside, span=region.length)
        held = bytes(old[beside.at : beside.at + beside.span])
        for width in region.widths:
            if region.length % width == 0:
                for by in ("xor", "difference"):
                    planes = to_planes(held, wanted, width, by)
                    yield _made(by, wanted, [pack_frame(plane) for plane in planes], beside)
    low, high = region.near
    if low < high and region.widths not in _NUMBERS:
        near = Source(entry=entry, at=low, span=high - low)
        held = bytes(old[low:high])
        yield _made("prefix", wanted, [pack_frame(wanted, prefix=held)], near)
        controls, changes, news = _bsdiff(held, wanted)
        if len(controls) <= MOST_CONTROLS:
            parts = [controls.astype(CONTROL).tobytes(), changes, news]
            yield _made("bsdiff", wanted, [pack_frame(part) for part in parts], near)


def _made(by: Way, wanted: bytes, frames: list[bytes], source: Source | None = None) -> Made:
    return Step(by=by, length=len(wanted), parts=tuple(map(len, frames)), source=source), frames


def _bsdiff(old: bytes, new: bytes) -> tuple[NDArray[np.int64], bytes, bytes]:
    """Controls, shape (N, 3), bytes to add and bytes to insert: bsdiff4's file, taken apart for a better compressor.

    The file: 8 bytes ``BSDIFF40``; lengths of the first two blocks and of the result; three blocks packed by bzip2.
    Integers have 8 bytes, little-endian, the sign in the highest bit.
    """
    file = bsdiff4.diff(old, new)
    first, second = struct.unpack_from("<2q", file, 8)
    controls = np.frombuffer(bz2.decompress(file[32 : 32 + first]), "<u8")
    sizes = (controls & np.uint64(2**63 - 1)).astype(np.int64)
    signed = np.where(controls >> np.uint64(63), -sizes, sizes).reshape(-1, 3)
    changes, news = file[32 + first : 32 + first + second], file[32 + first + second :]
    return signed, bz2.decompress(changes), bz2.decompress(news)
