"""Splits that come out the same on every machine: chosen by the hash of each item's identifier."""

import hashlib
from collections.abc import Iterable, Sequence


def held_out(identifiers: Iterable[str], share: float) -> set[str]:
    """Return ``share`` of the distinct identifiers, rounded to a whole number: those with the smallest sha256.

    Args:
        identifiers: What names each item wherever it is stored, such as "class/file name".
        share: From 0 to 1.
    """
    ordered = sorted(set(identifiers), key=lambda identifier: hashlib.sha256(identifier.encode()).hexdigest())
    return set(ordered[: round(share * len(ordered))])


def style_of(protocol: str, styles: Sequence[str], default: str) -> str | None:
    """Return the style that a protocol holds out: ``default`` for "style", S for "style:S", None for any other.

    Raises:
        ValueError: No such style.
    """
    if protocol == "style":
        return default
    if not protocol.startswith("style:"):
        return None
    style = protocol.removeprefix("style:")
    if style not in styles:
        raise ValueError(f"protocol={protocol!r}: expected style:S with S one of {', '.join(styles)}")
    return style
