"""Checks of arguments that several layers share."""

import math
from typing import Literal

PaddingMode = Literal["zeros", "reflect", "replicate", "circular"]


def require_integer(name: str, value: int, least: int = 1) -> None:
    """Refuse what is no integer of at least ``least``.

    Raises:
        ValueError: It is none.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name}={value!r}: expected an integer of at least {least}")


def require_seed(seed: int) -> None:
    """Refuse what is no integer.

    Raises:
        ValueError: It is none.
    """
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise ValueError(f"seed={seed!r}: expected an integer")


def require_groups(groups: int, in_channels: int, seed_channels: int) -> None:
    """Refuse groups that do not divide both sides of a seed convolution.

    Raises:
        ValueError: They do not; the message lists those that do.
    """
    require_integer("groups", groups)
    common = math.gcd(in_channels, seed_channels)
    if common % groups:
        allowed = ", ".join(str(d) for d in range(1, common + 1) if common % d == 0)
        raise ValueError(
            f"groups={groups}: must divide in_channels={in_channels} and the {seed_channels} seed maps; "
            f"allowed: {allowed}"
        )
