"""Weights that a graph wants in parts: shipped whole and once, cut on the device."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groupnl_device.errors import InvalidManifestError

Array = NDArray[Any]

_MOST = 4  # bytes of all parts, as a multiple of what is shipped: no net needs its weights in more than two ways


@dataclass(frozen=True, kw_only=True)
class Cut:
    """Part of a tensor.

    Attributes:
        of: The tensor's name.
        ranges: Of its leading axes (first, end, step), as Python's ``range``; of the other axes all is taken.
    """

    of: str
    ranges: tuple[tuple[int, int, int], ...]

    @classmethod
    def of_part(cls, of: str, part: str) -> "Cut":
        """From the form that a manifest has.

        Args:
            of: The tensor's name.
            part: Such as ``0:96:2,0:1:1``; the schema has checked it.
        """
        axes = [[int(number) for number in axis.split(":")] for axis in part.split(",")]
        return cls(of=of, ranges=tuple((first, end, step) for first, end, step in axes))

    @property
    def part(self) -> str:
        """The ranges as a manifest has them."""
        return ",".join(":".join(map(str, bounds)) for bounds in self.ranges)


def add_cuts(tensors: Mapping[str, Array], cuts: Mapping[str, Cut]) -> dict[str, Array]:
    """The tensors and the parts of them that a graph asks for; parts lie densely in memory.

    Raises:
        InvalidManifestError: A tensor is absent or has fewer axes or indices than the cut, a name is taken, or the
            parts are far more than the tensors.
    """
    room = _MOST * sum(tensor.nbytes for tensor in tensors.values())
    found = dict(tensors)
    for name, cut in cuts.items():
        if name in tensors:
            raise InvalidManifestError(f"cut {name!r}: there is a tensor of this name")
        whole = tensors.get(cut.of)
        if whole is None:
            raise InvalidManifestError(f"cut {name!r}: of the tensor {cut.of!r}, which is absent")
        shape = whole.shape
        if len(cut.ranges) > len(shape) or any(
            end > size for (_, end, _), size in zip(cut.ranges, shape, strict=False)
        ):
            raise InvalidManifestError(f"cut {name!r}: {cut.part} of {cut.of!r}, whose shape is {shape}")
        part = whole[tuple(slice(*bounds) for bounds in cut.ranges)]
        room -= part.nbytes
        if room < 0:
            raise InvalidManifestError(f"cuts: more than {_MOST} times the tensors they are parts of")
        found[name] = np.ascontiguousarray(part)
    return found
