"""Read the pickles that CIFAR-10 is published as, without trusting them.

A pickle is a program. This reader runs it with three harmless stand-ins of its own for the only names it allows:
numpy's array reconstruction, ndarray and dtype. All that can come out is uint8 arrays, bytes, str, integers, floats,
booleans, None, lists, tuples and dicts; any other name in the file is refused before it is looked up.
"""

import io
import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np

MAX_BYTES = 1 << 28  # of one file; CIFAR-10's largest is 31 MB


class _Dtype:
    """Stands for numpy.dtype: remembers the type code, ignores the rest."""

    def __init__(self, code: Any, *_: Any) -> None:
        self.code = code.decode() if isinstance(code, bytes) else code

    def __setstate__(self, state: Any) -> None:
        """Ignore byte order and fields, which mean nothing to uint8."""


class _Array:
    """Stands for an array: takes the state that numpy.ndarray pickles (version, shape, dtype, Fortran order, bytes)."""

    value: "np.ndarray[Any, np.dtype[np.uint8]]"

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran, raw = state
        if not isinstance(dtype, _Dtype) or dtype.code not in ("u1", "|u1") or not isinstance(raw, bytes):
            raise pickle.UnpicklingError("an array that is not uint8")
        if not all(isinstance(side, int) and side >= 0 for side in shape) or math.prod(shape) != len(raw):
            raise pickle.UnpicklingError(f"an array of shape {shape} in {len(raw)} bytes")
        self.value = np.frombuffer(raw, dtype=np.uint8).reshape(shape, order="F" if fortran else "C")


class _NdarrayName:
    """Stands for the class numpy.ndarray, which the files name but need not call."""


def _reconstruct(*_: Any) -> _Array:
    return _Array()


_ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy", "ndarray"): _NdarrayName,
    ("numpy", "dtype"): _Dtype,
}


_ITSELF = object()  # marks a container whose copy is being made


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which such a file has no need of") from None


def read_pickle(path: Path) -> Any:
    """Read one file.

    Args:
        path: A pickle of Python 2 or 3; strings of Python 2 come out as bytes.

    Returns:
        Nested containers; arrays are uint8 and read-only.

    Raises:
        ValueError: The file is truncated, too large, or holds or asks for anything else.
        OSError: It cannot be opened.
    """
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"{path}: {path.stat().st_size} bytes; expected at most {MAX_BYTES}, so not a CIFAR-10 file")
    try:
        return _plain(_Unpickler(io.BytesIO(path.read_bytes()), encoding="bytes").load(), {})
    except OSError:
        raise
    except Exception as error:  # a damaged pickle can raise anything from EOFError to MemoryError
        raise ValueError(f"{path}: not a pickle that can be read safely ({error or type(error).__name__})") from error


def _plain(value: Any, done: dict[int, Any]) -> Any:
    """Replace the stand-ins by what they stand for.

    Args:
        value: What was read.
        done: Results by identity of their containers, so that one which is referred to many times is copied once.
    """
    if isinstance(value, _Array):
        return value.value
    if value is None or isinstance(value, bytes | str | int | float | bool):
        return value
    if not isinstance(value, dict | list | tuple):
        raise pickle.UnpicklingError(f"it holds a {type(value).__name__}")
    if id(value) not in done:
        done[id(value)] = _ITSELF
        if isinstance(value, dict):
            done[id(value)] = {_plain(key, done): _plain(item, done) for key, item in value.items()}
        else:
            done[id(value)] = type(value)([_plain(item, done) for item in value])
    if done[id(value)] is _ITSELF:
        raise pickle.UnpicklingError("it holds a container that holds itself")
    return done[id(value)]
