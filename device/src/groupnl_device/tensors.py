"""Reads the tensors of a safetensors entry where they lie: on a device the weights are most of the memory, so no copy.

Format: github.com/huggingface/safetensors: 8 bytes of header length, a JSON header, then the data without gaps.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groupnl_device.bundle import Bundle
from groupnl_device.errors import BundleError
from groupnl_device.schema import is_integer
from groupnl_device.strict_json import parse

_LENGTH_BYTES = 8
_LARGEST_HEADER = 4 * 1024**2
_MOST_DIMENSIONS = 8
_DTYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "u1",
    "BOOL": "?",
}


def read_tensors(bundle: Bundle, name: str) -> dict[str, NDArray[Any]]:
    """All tensors of one entry, by name; read-only views of the bundle.

    Raises:
        BundleError: The entry is not a safetensors file, or holds a dtype that numpy lacks.
    """
    data = bundle.read(name)
    try:
        return _views(data)
    except (ValueError, KeyError, TypeError) as error:
        raise BundleError(f"entry {name!r}: not a safetensors file that can be read ({error})") from error


def widened(tensors: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The tensors with those in float16 as float32: every float16 number is one of float32, so nothing is rounded."""
    return {name: array.astype(np.float32) if array.dtype == np.float16 else array for name, array in tensors.items()}


def _views(data: memoryview) -> dict[str, NDArray[Any]]:
    length = int.from_bytes(data[:_LENGTH_BYTES], "little")
    body = data[_LENGTH_BYTES + length :]
    if len(data) < _LENGTH_BYTES or length > min(_LARGEST_HEADER, len(data) - _LENGTH_BYTES):
        raise ValueError(f"a header of {length} bytes in a file of {len(data)}")
    header = parse(bytes(data[_LENGTH_BYTES : _LENGTH_BYTES + length]))
    if not isinstance(header, dict):
        raise ValueError("its header is no object")
    header.pop("__metadata__", None)
    tensors = {}
    position = 0
    for name, info in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        (begin, end), shape = info["data_offsets"], info["shape"]
        if not all(is_integer(v) and v >= 0 for v in (begin, end, *shape)) or len(shape) > _MOST_DIMENSIONS:
            raise ValueError(f"tensor {name!r}: impossible shape or offsets")
        dtype = np.dtype(_DTYPES[info["dtype"]])
        if begin != position or end > len(body) or end - begin != math.prod(shape) * dtype.itemsize:
            raise ValueError(f"tensor {name!r}: its bytes are not where its shape says")
        tensors[name] = np.frombuffer(body[begin:end], dtype).reshape(shape)
        position = end
    if position != len(body):
        raise ValueError(f"{len(body) - position} bytes belong to no tensor")
    return tensors
