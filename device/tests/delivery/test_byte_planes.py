"""Changed numbers as planes of bytes, against plain integers."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groupnl_device.delivery.byte_planes import from_planes, to_planes

WIDTHS = (1, 2, 4, 8)


def plain_change(old: int, new: int, width: int, by: str) -> int:
    """One number's change, by the definition."""
    if by == "xor":
        return old ^ new
    bits = 8 * width
    change = (new - old) % 2**bits
    signed = change - 2**bits if change >= 2 ** (bits - 1) else change
    return 2 * signed if signed >= 0 else -2 * signed - 1


@settings(deadline=None, max_examples=60)
@given(st.data())
@pytest.mark.parametrize("by", ["xor", "difference"])
@pytest.mark.parametrize("width", WIDTHS)
def test_planes_hold_the_change_and_give_the_new_numbers_back(width: int, by: str, data: st.DataObject) -> None:
    largest = 2 ** (8 * width) - 1
    edges = st.sampled_from([0, 1, largest, largest // 2, largest // 2 + 1])
    numbers = st.lists(st.tuples(*[st.integers(0, largest) | edges] * 2), min_size=1, max_size=9)
    pairs = data.draw(numbers)
    old = b"".join(before.to_bytes(width, "little") for before, _ in pairs)
    new = b"".join(after.to_bytes(width, "little") for _, after in pairs)
    changes = [plain_change(before, after, width, by) for before, after in pairs]
    planes = to_planes(old, new, width, by)
    assert planes == [bytes(change >> 8 * k & 255 for change in changes) for k in range(width)]
    assert from_planes(old, planes, by) == new


def test_small_steps_of_either_sign_leave_the_upper_planes_zero() -> None:
    old = (0x3F7FFFFF).to_bytes(4, "little") + (0x3F800000).to_bytes(4, "little")
    new = (0x3F800000).to_bytes(4, "little") + (0x3F7FFFFF).to_bytes(4, "little")
    assert to_planes(old, new, 4, "difference") == [b"\2\1", b"\0\0", b"\0\0", b"\0\0"]
    assert to_planes(old, new, 4, "xor")[2] == b"\xff\xff"  # the carry shows


def test_no_numbers() -> None:
    assert to_planes(b"", b"", 4, "xor") == [b""] * 4
    assert from_planes(b"", [b""] * 4, "difference") == b""
