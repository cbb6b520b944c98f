"""Makes the bytes of one step: the ways by which a piece of the new bundle comes from a piece of the old one."""

from collections.abc import Sequence

import numpy as np

from groupnl_device.delivery.byte_planes import from_planes
from groupnl_device.delivery.errors import PatchError
from groupnl_device.delivery.frames import told_length, unpack_frame
from groupnl_device.delivery.patch_format import Step

MOST_CONTROLS = 2**14  # of a step by bsdiff: bounds what they take in memory to a few MB
CONTROL = np.dtype("<i4")  # three of them: bytes to add to the old ones, new bytes, and how far to move on in the old


def make(step: Step, frames: Sequence[bytes], source: bytes) -> bytes:
    """The step's bytes, ``step.length`` of them.

    Args:
        step: Any but a copy.
        frames: Its parts.
        source: Its part of the old bundle; empty where it has none.

    Raises:
        PatchError: The frames are damaged, or made from another bundle.
    """
    if step.by == "bsdiff":
        return _bsdiff(step.length, frames, source)
    if step.by == "xor" or step.by == "difference":
        width = len(frames)
        return from_planes(source, [unpack_frame(frame, step.length // width) for frame in frames], step.by)
    return unpack_frame(frames[0], step.length, prefix=source)


def _bsdiff(length: int, frames: Sequence[bytes], source: bytes) -> bytes:
    """Old bytes plus changes, then new bytes, again and again: Percival, "Naive differences of executable code"."""
    control_bytes = told_length(frames[0])
    if control_bytes % (3 * CONTROL.itemsize) or control_bytes > 3 * CONTROL.itemsize * MOST_CONTROLS:
        raise PatchError(f"a step by bsdiff with controls of {control_bytes} bytes")
    controls = np.frombuffer(unpack_frame(frames[0], control_bytes), CONTROL).reshape(-1, 3).astype(np.int64)
    added, fresh, moved = controls.T
    begins = np.cumsum(added + moved) - (added + moved)  # in the source
    if controls[:, :2].min(initial=0) < 0 or controls[:, :2].sum() != length:
        raise PatchError(f"a step by bsdiff whose controls do not make its {length} bytes")
    if begins.min(initial=0) < 0 or (begins + added).max(initial=0) > len(source):
        raise PatchError("a step by bsdiff that looks outside of its source")
    changes = np.frombuffer(unpack_frame(frames[1], int(added.sum())), np.uint8)
    news = unpack_frame(frames[2], int(fresh.sum()))
    old = np.frombuffer(source, np.uint8)
    made = bytearray()
    change_at = new_at = 0
    for begin, count, new_count in zip(begins.tolist(), added.tolist(), fresh.tolist(), strict=True):
        made += (old[begin : begin + count] + changes[change_at : change_at + count]).tobytes()
        made += news[new_at : new_at + new_count]
        change_at, new_at = change_at + count, new_at + new_count
    return bytes(made)
