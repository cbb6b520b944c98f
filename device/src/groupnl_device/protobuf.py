"""The wire format of protobuf, as far as ONNX models use it: reading a message field by field, and writing fields.

Nothing here knows what the fields mean. The format: https://protobuf.dev/programming-guides/encoding/
"""

from collections.abc import Iterator

Value = memoryview | int

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MOST = 2**64 - 1


class ProtobufError(ValueError):
    """The bytes are no protobuf message that can be followed."""


def fields(message: memoryview) -> Iterator[tuple[int, Value]]:
    """(number, value) of each field, as it lies; numbers for varints, views of the bytes for everything else.

    Raises:
        ProtobufError: The message ends early, or is none.
    """
    for number, value, _ in pieces(message):
        yield number, value


def pieces(message: memoryview) -> Iterator[tuple[int, Value, memoryview]]:
    """As ``fields``, and the bytes of the whole field, its tag included.

    Raises:
        ProtobufError: The message ends early, or is none.
    """
    at = 0
    while at < len(message):
        begin = at
        tag, at = _varint(message, at)
        kind = tag & 7
        if kind == _VARINT:
            number, at = _varint(message, at)
            yield tag >> 3, number, message[begin:at]
            continue
        if kind == _BYTES:
            size, at = _varint(message, at)
        elif kind in (_FIXED64, _FIXED32):
            size = 8 if kind == _FIXED64 else 4
        else:
            raise ProtobufError(f"protobuf wire type {kind}")
        if at + size > len(message):
            raise ProtobufError("it ends early")
        yield tag >> 3, message[at : at + size], message[begin : at + size]
        at += size


def varints(packed: memoryview) -> list[int]:
    """Signed numbers that lie one after the other: a packed field.

    Raises:
        ProtobufError: The last one ends early.
    """
    numbers, at = [], 0
    while at < len(packed):
        number, at = _varint(packed, at)
        numbers.append(signed(number))
    return numbers


def signed(number: int) -> int:
    """What an int64 field means by a varint."""
    return number - 2**64 if number >= 2**63 else number


def number_field(number: int, value: int) -> bytes:
    """An integer field."""
    return _varint_of(number << 3 | _VARINT) + _varint_of(value & _MOST)


def bytes_field(number: int, *parts: bytes | memoryview) -> bytes:
    """A field of bytes, a text or a message, given in parts."""
    head = _varint_of(number << 3 | _BYTES) + _varint_of(sum(len(part) for part in parts))
    return b"".join([head, *parts])


def _varint_of(value: int) -> bytes:
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            raise ProtobufError("it ends early")
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & _MOST, at
    raise ProtobufError("an endless number")
