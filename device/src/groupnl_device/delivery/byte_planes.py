"""How the numbers of a tensor changed, as planes: all lowest bytes, then all next ones, and so on.

When a net is trained on, a number mostly keeps its sign, its exponent and its first digits. The planes of the higher
bytes are then nearly constant, which zstd uses; in the numbers' own order it finds nothing. Numbers are compared as
little-endian unsigned integers, whatever they mean. Two ways:

- ``xor``: ``old XOR new``.
- ``difference``: ``d = new - old`` modulo 2**bits, as the unsigned ``2 d`` or ``-2 d - 1`` (the "zigzag" of Protocol
  Buffers), so that small changes of either sign have zeros in front. Unlike xor, it stays small where a carry runs
  through many bits.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Compared = Literal["xor", "difference"]


def to_planes(old: bytes, new: bytes, width: int, by: Compared) -> list[bytes]:
    """Planes of the change, the lowest bytes first.

    Args:
        old: Numbers of ``width`` bytes, little-endian.
        new: As many.
        width: 1, 2, 4 or 8.
        by: The way.
    """
    before, after = np.frombuffer(old, f"<u{width}"), np.frombuffer(new, f"<u{width}")
    change = before ^ after if by == "xor" else _zigzag(after - before)
    octets = change.astype(f"<u{width}", copy=False).view(np.uint8).reshape(-1, width)
    return [octets[:, k].tobytes() for k in range(width)]


def from_planes(old: bytes, planes: Sequence[bytes], by: Compared) -> bytes:
    """The new numbers; undoes :func:`to_planes`.

    Args:
        old: As many bytes as all planes have together.
        planes: 1, 2, 4 or 8 of equal length.
        by: The way.
    """
    width = len(planes)
    octets = np.empty((len(planes[0]), width), np.uint8)
    for k, plane in enumerate(planes):
        octets[:, k] = np.frombuffer(plane, np.uint8)
    change = octets.reshape(-1).view(f"<u{width}")
    before = np.frombuffer(old, f"<u{width}")
    after = before ^ change if by == "xor" else before + _signed(change)
    made: bytes = after.astype(f"<u{width}", copy=False).tobytes()
    return made


def _zigzag(change: NDArray[Any]) -> NDArray[Any]:
    sign = change.view(change.dtype.str.replace("u", "i")) >> (8 * change.itemsize - 1)  # 0 or -1
    return np.asarray((change << 1) ^ sign.view(change.dtype))


def _signed(zigzag: NDArray[Any]) -> NDArray[Any]:
    return np.asarray((zigzag >> 1) ^ np.negative(zigzag & 1))
