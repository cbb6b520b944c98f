"""A session whose GroupNL layers work in ONNX Runtime's blocked layout, made on the device at the first load.

ONNX Runtime optimises the graph for this processor and saves it; ``to_blocks`` edits what it saved; the new graph is
compared with the first on a random picture, and kept in the user's cache for the next load. Whatever goes wrong on the
way, the session is the first one: the same operators in the plain layout.
"""

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from groupnl_device.blocked_layout import BLOCKS, to_blocks
from groupnl_device.model_cache import ModelCache, default_cache, key_of
from groupnl_device.onnx_external import check_external
from groupnl_device.protobuf import bytes_field, number_field

TOLERANCE = 1e-4  # between the two layouts, of the largest answer
_FORMAT = "blocked layout 2"  # another number for another edit: what caches hold is then made anew
_PLAIN = b"plain"  # kept where a net has nothing to gain
_PROVIDERS = ["CPUExecutionProvider"]
_FLOAT, _IR_VERSION = 1, 8

_Made = TypeVar("_Made")
Session = Any  # onnxruntime.InferenceSession, which has no types


class Opened(NamedTuple):
    """A session, and how it came about.

    Attributes:
        session: Ready to run.
        blocked: Whether its GroupNL layers work in the blocked layout.
        held: What the session reads and does not own: keep it as long.
    """

    session: Session
    blocked: bool
    held: Any = None


def open_session(
    graph: bytes,
    tensors: Mapping[str, NDArray[Any]],
    options: Callable[[], Any],
    *,
    versions: str,
    cache: ModelCache | None = None,
) -> Opened:
    """A session of a graph with native operators, in the blocked layout where that can be had.

    Args:
        graph: Serialised; its external tensors are those in ``tensors``.
        tensors: By name.
        options: Makes ``onnxruntime.SessionOptions`` that know the native operators, and no tensors.
        versions: Of ONNX Runtime and the native operators.
        cache: By default this user's.

    Raises:
        Exception: ONNX Runtime refuses the graph as it is: its own errors, which have no common base.
    """
    cache = default_cache() if cache is None else cache
    key = key_of(graph, tensors, [_FORMAT, versions])
    kept = cache.load(key)
    if kept == _PLAIN:
        return plain_session(graph, tensors, options())
    if kept is not None:
        session = _or_none(lambda: _blocked(kept, options()))
        if session is not None:
            return Opened(session, blocked=True)
    plain, saved = _saved(graph, tensors, options)
    if saved is None:
        return plain
    made = _or_none(lambda: _made(saved, plain.session, options))
    cache.store(key, _PLAIN if made is None else made[0])
    return plain if made is None else Opened(made[1], blocked=True)


def _made(saved: bytes, plain: Session, options: Callable[[], Any]) -> tuple[bytes, Session] | None:
    """The edited graph and its session; None where there is nothing to edit, or where it answers otherwise."""
    block = block_of_this_runtime()
    model = to_blocks(saved, block) if block in BLOCKS else None
    if model is None:
        return None
    session = _blocked(model, options())
    return (model, session) if _answer_alike(plain, session) else None


def plain_session(graph: bytes, tensors: Mapping[str, NDArray[Any]], options: Any) -> Opened:
    """A session of a graph as it is.

    Args:
        graph: Serialised; its external tensors are those in ``tensors``.
        tensors: By name.
        options: ``onnxruntime.SessionOptions``.

    Raises:
        Exception: ONNX Runtime refuses the graph: its own errors, which have no common base.
    """
    import onnxruntime

    values = [onnxruntime.OrtValue.ortvalue_from_numpy(array) for array in tensors.values()]
    options.add_external_initializers(list(tensors), values)
    session = onnxruntime.InferenceSession(graph, options, providers=_PROVIDERS)
    return Opened(session, blocked=False, held=values)


def _saved(
    graph: bytes, tensors: Mapping[str, NDArray[Any]], options: Callable[[], Any]
) -> tuple[Opened, bytes | None]:
    """The plain session and what ONNX Runtime saved of it; None where there is no place to save."""
    try:
        folder = tempfile.TemporaryDirectory(prefix="groupnl-", ignore_cleanup_errors=True)
    except OSError:
        return plain_session(graph, tensors, options()), None
    with folder as path:
        file = Path(path) / "optimized.onnx"
        wish = options()
        wish.optimized_model_filepath = str(file)
        opened = _or_none(lambda: plain_session(graph, tensors, wish))
        if opened is None:  # the disk may be full: once more without saving, and that error counts
            return plain_session(graph, tensors, options()), None
        return opened, _or_none(file.read_bytes)


def _blocked(model: bytes, options: Any) -> Session:
    """A session of an edited graph, its weights inside, as it is: optimised once more, its layout would be undone."""
    import onnxruntime

    check_external(model, ())
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(model, options, providers=_PROVIDERS)


def block_of_this_runtime() -> int:
    """How many channels ONNX Runtime puts in a block: what one reorder makes of 8.

    Raises:
        Exception: This ONNX Runtime has no such layout.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(_reorder_model(), options, providers=_PROVIDERS)
    channels: int = session.run(None, {"x": np.ones((1, BLOCKS[0], 1, 1), np.float32)})[0].shape[1]
    return channels


def _reorder_model() -> bytes:
    """A model of one node, ``ReorderInput`` of x, shape (1, 8, 1, 1). Field numbers: ``onnx.proto``."""

    def text(number: int, value: str) -> bytes:
        return bytes_field(number, value.encode())

    dims = [bytes_field(1, number_field(1, size)) for size in (1, BLOCKS[0], 1, 1)]
    shaped = bytes_field(2, bytes_field(1, number_field(1, _FLOAT), bytes_field(2, *dims)))
    free = bytes_field(2, bytes_field(1, number_field(1, _FLOAT)))
    node = bytes_field(1, text(1, "x"), text(2, "y"), text(4, "ReorderInput"), text(7, "com.microsoft.nchwc"))
    values = bytes_field(11, text(1, "x"), shaped) + bytes_field(12, text(1, "y"), free)
    imports = [
        bytes_field(8, text(1, domain), number_field(2, version))
        for domain, version in (("", 17), ("com.microsoft.nchwc", 1))
    ]
    return b"".join([number_field(1, _IR_VERSION), *imports, bytes_field(7, node, text(2, "reorder"), values)])


def _answer_alike(one: Session, other: Session) -> bool:
    """Whether two sessions agree on a random picture."""
    entry = one.get_inputs()[0]
    shape = [size if isinstance(size, int) else 1 for size in entry.shape]
    picture = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    answers = [session.run(None, {entry.name: picture}) for session in (one, other)]
    return all(
        a.shape == b.shape and bool(np.abs(a - b).max() <= TOLERANCE * np.abs(a).max())  # NaN is none
        for a, b in zip(*answers, strict=True)
    )


def _or_none(make: Callable[[], _Made]) -> _Made | None:
    """What is only ever an advantage: any error of it is a reason to go without."""
    try:
        return make()
    except Exception:
        return None
