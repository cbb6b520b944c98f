"""Which bytes of a new entry are compared with which bytes of the old one: tensor by tensor, or piece by piece."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from groupnl_device.delivery.patch_format import SPAN_BYTES, STEP_BYTES

_LENGTH_BYTES = 8  # of a safetensors file: the length of its header
_WIDTHS = {"64": 8, "32": 4, "16": 2}  # bytes of a number, by the last digits of its dtype's name; others: 1
_UNKNOWN_WIDTHS = (4, 2, 1)  # other formats hold float32, float16 and int8 too; which one, only trying tells
_WORTH_A_COPY = 1024  # bytes: a shorter run that is the same costs less together with its neighbours


@dataclass(frozen=True, kw_only=True)
class Region:
    """Bytes ``begin`` to ``end`` of a new entry, and where the old one may hold something like them.

    Attributes:
        begin: First byte.
        end: Behind the last one.
        near: Likewise of the old entry, where bytes that moved are looked for; empty: nowhere.
        beside: First of as many bytes of the old entry that correspond to these one by one; None: there are none.
        widths: Bytes of a number in them, as far as it is known.
        is_same: They are the same.
    """

    begin: int
    end: int
    near: tuple[int, int] = (0, 0)
    beside: int | None = None
    widths: tuple[int, ...] = ()
    is_same: bool = False

    @property
    def length(self) -> int:
        """In bytes."""
        return self.end - self.begin


@dataclass(frozen=True, kw_only=True)
class _Tensor:
    kind: str
    begin: int
    end: int


def regions_of(old: memoryview, new: memoryview) -> list[Region]:
    """Cut the new entry into regions, in order and without gaps; only those that are the same exceed ``STEP_BYTES``.

    Args:
        old: The old entry of the same name; empty where there was none.
        new: The new entry.
    """
    before, after = _tensors(old), _tensors(new)
    if before and after:
        regions = _by_tensor(before, after)
    elif len(old) == len(new):
        regions = [Region(begin=0, end=len(new), near=(0, len(old)), beside=0, widths=_UNKNOWN_WIDTHS)]
    else:
        regions = [Region(begin=0, end=len(new), near=(0, len(old)))]
    worth = (region for region in regions if region.length)
    compared = [replace(r, is_same=r.length >= _WORTH_A_COPY and _is_same(r, old, new)) for r in worth]
    return [piece for region in _joined(compared) for piece in _pieces(region, old, new)]


def _tensors(entry: memoryview) -> dict[str, _Tensor]:
    """Tensors of a safetensors file in the order of their bytes, its header as ``""``; none: it is another file."""
    start = _LENGTH_BYTES + int.from_bytes(entry[:_LENGTH_BYTES], "little")
    if start > len(entry):
        return {}
    try:
        header = json.loads(bytes(entry[_LENGTH_BYTES:start]))
        header.pop("__metadata__", None)
        places = sorted((told["data_offsets"], told["dtype"], name) for name, told in header.items())
        found = {name: _Tensor(kind=kind, begin=start + begin, end=start + end) for (begin, end), kind, name in places}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}
    at = start
    for tensor in found.values():
        if tensor.begin != at or tensor.end < at:
            return {}
        at = tensor.end
    return {"": _Tensor(kind="header", begin=0, end=start), **found} if at == len(entry) else {}


def _by_tensor(before: Mapping[str, _Tensor], after: Mapping[str, _Tensor]) -> list[Region]:
    """Each tensor beside the one of its name, if that has the same dtype and size."""
    regions = []
    for name, tensor in after.items():
        region = Region(begin=tensor.begin, end=tensor.end)
        if (old := before.get(name)) is not None:
            region = replace(region, near=(old.begin, old.end))
            if old.kind == tensor.kind and old.end - old.begin == region.length:
                region = replace(region, beside=old.begin, widths=(_WIDTHS.get(tensor.kind[-2:], 1),))
        regions.append(region)
    return regions


def _is_same(region: Region, old: memoryview, new: memoryview) -> bool:
    if region.beside is None:
        return False
    return old[region.beside : region.beside + region.length] == new[region.begin : region.end]


def _joined(regions: list[Region]) -> Iterator[Region]:
    """Neighbours of one kind become one region where they were neighbours in the old entry too."""
    if not regions:
        return
    last = regions[0]
    for region in regions[1:]:
        kind = (last.widths, last.is_same)
        follows = last.beside is not None and region.beside == last.beside + last.length
        if follows and kind == (region.widths, region.is_same):
            last = replace(last, end=region.end, near=(last.near[0], region.near[1]))
        else:
            yield last
            last = region
    yield last


def _pieces(region: Region, old: memoryview, new: memoryview) -> Iterator[Region]:
    """A region in steps' sizes; a piece is looked for within ``SPAN_BYTES`` around its own place."""
    if region.is_same:
        yield region
        return
    first, behind = region.near
    for begin in range(region.begin, region.end, STEP_BYTES):
        moved = begin - region.begin
        low = max(first, min(first + moved - (SPAN_BYTES - STEP_BYTES) // 2, behind - SPAN_BYTES))
        piece = replace(
            region,
            begin=begin,
            end=min(begin + STEP_BYTES, region.end),
            near=(low, min(low + SPAN_BYTES, behind)),
            beside=None if region.beside is None else region.beside + moved,
        )
        yield replace(piece, is_same=_is_same(piece, old, new))
