"""Checks that an ONNX graph asks for no file: a runtime would read whatever path a graph names for a weight.

Older versions of ONNX Runtime follow absolute paths (seen with 1.22). So before a graph is loaded, its protobuf is
walked by the few fields that can hold tensors (a test compares them with ONNX's own descriptors), and every tensor that
is marked as external must be one of those that the bundle itself fills.
"""

from collections.abc import Collection, Iterator

from groupnl_device.errors import UnsafeBundleError

# message -> {field number: message it holds}; fields that hold no tensors are skipped
_FIELDS = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
_TENSOR_NAME, _EXTERNAL_DATA, _DATA_LOCATION = 8, 13, 14
_TOP_LEVEL = ("model", "graph", "tensor")
_DEEPEST = 64  # messages within each other
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def check_external(graph: bytes, filled: Collection[str]) -> None:
    """Refuse a graph with an external tensor that is not filled from memory.

    Args:
        graph: A serialised ONNX model.
        filled: Names of the initializers for which tensors are at hand.

    Raises:
        UnsafeBundleError: There is one, or the protobuf cannot be followed.
    """
    seen = set()
    for path, tensor in _tensors(memoryview(graph), ("model",)):
        name = _external_name(tensor)
        if name is None:
            continue
        if path != _TOP_LEVEL or name not in filled:
            raise UnsafeBundleError(f"the graph wants the tensor {name!r} from a file; bundles bring their own tensors")
        if name in seen:
            raise UnsafeBundleError(f"the graph holds the tensor {name!r} twice")
        seen.add(name)


def _tensors(message: memoryview, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], memoryview]]:
    """Every tensor in a message, with the messages that lead to it."""
    if path[-1] == "tensor":
        yield path, message
        return
    if len(path) > _DEEPEST:
        raise UnsafeBundleError(f"the graph nests deeper than {_DEEPEST} levels")
    inner = _FIELDS[path[-1]]
    for number, value in _fields(message):
        if number in inner and isinstance(value, memoryview):
            yield from _tensors(value, (*path, inner[number]))


def _external_name(tensor: memoryview) -> str | None:
    """The tensor's name if it is marked as external, else None."""
    name, external = "", False
    for number, value in _fields(tensor):
        if number == _TENSOR_NAME and isinstance(value, memoryview):
            name = bytes(value).decode("utf-8", errors="replace")
        elif number == _EXTERNAL_DATA or (number == _DATA_LOCATION and value != 0):
            external = True
    return name if external else None


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview | int]]:
    """(number, value) of each field, as it lies; numbers for varints, views of the bytes for everything else."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        kind = tag & 7
        if kind == _VARINT:
            value, at = _varint(message, at)
            yield tag >> 3, value
            continue
        if kind == _BYTES:
            size, at = _varint(message, at)
        elif kind in (_FIXED64, _FIXED32):
            size = 8 if kind == _FIXED64 else 4
        else:
            raise UnsafeBundleError(f"the graph is no ONNX: protobuf wire type {kind}")
        if at + size > len(message):
            raise UnsafeBundleError("the graph is no ONNX: it ends early")
        yield tag >> 3, message[at : at + size]
        at += size


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            raise UnsafeBundleError("the graph is no ONNX: it ends early")
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & (2**64 - 1), at
    raise UnsafeBundleError("the graph is no ONNX: an endless number")
