"""The size of the image that a net is asked about."""

from collections.abc import Sequence


def require_input_size(input_size: Sequence[int]) -> tuple[int, int, int]:
    """(channels, height, width) of one image.

    Raises:
        ValueError: ``input_size`` is not three positive integers.
    """
    size = tuple(input_size)
    if len(size) != 3 or not all(isinstance(n, int) and n > 0 for n in size):
        raise ValueError(f"input_size={input_size!r}: expected (channels, height, width), positive integers")
    channels, height, width = size
    return channels, height, width
