"""Checks that an ONNX graph asks for no file: a runtime would read whatever path a graph names for a weight.

Older versions of ONNX Runtime follow absolute paths (seen with 1.22). So before a graph is loaded, its protobuf is
walked by the few fields that can hold tensors (a test compares them with ONNX's own descriptors), and every tensor that
is marked as external must be one of those that the bundle itself fills.
"""

from collections.abc import Collection, Iterator

from groupnl_device.errors import UnsafeBundleError
from groupnl_device.protobuf import ProtobufError, fields

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


def check_external(graph: bytes, filled: Collection[str]) -> set[str]:
    """Refuse a graph with an external tensor that is not filled from memory.

    Args:
        graph: A serialised ONNX model.
        filled: Names of the initializers for which tensors are at hand.

    Returns:
        Names of the external tensors.

    Raises:
        UnsafeBundleError: There is one, or the protobuf cannot be followed.
    """
    seen: set[str] = set()
    try:
        for path, name in _external(memoryview(graph)):
            if path != _TOP_LEVEL or name not in filled:
                raise UnsafeBundleError(
                    f"the graph wants the tensor {name!r} from a file; bundles bring their own tensors"
                )
            if name in seen:
                raise UnsafeBundleError(f"the graph holds the tensor {name!r} twice")
            seen.add(name)
    except ProtobufError as error:
        raise UnsafeBundleError(f"the graph is no ONNX: {error}") from error
    return seen


def _external(graph: memoryview) -> Iterator[tuple[tuple[str, ...], str]]:
    """The name of every external tensor, with the messages that lead to it."""
    for path, tensor in _tensors(graph, ("model",)):
        name = _external_name(tensor)
        if name is not None:
            yield path, name


def _tensors(message: memoryview, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], memoryview]]:
    """Every tensor in a message, with the messages that lead to it."""
    if path[-1] == "tensor":
        yield path, message
        return
    if len(path) > _DEEPEST:
        raise UnsafeBundleError(f"the graph nests deeper than {_DEEPEST} levels")
    inner = _FIELDS[path[-1]]
    for number, value in fields(message):
        if number in inner and isinstance(value, memoryview):
            yield from _tensors(value, (*path, inner[number]))


def _external_name(tensor: memoryview) -> str | None:
    """The tensor's name if it is marked as external, else None."""
    name, external = "", False
    for number, value in fields(tensor):
        if number == _TENSOR_NAME and isinstance(value, memoryview):
            name = bytes(value).decode("utf-8", errors="replace")
        elif number == _EXTERNAL_DATA or (number == _DATA_LOCATION and value != 0):
            external = True
    return name if external else None
