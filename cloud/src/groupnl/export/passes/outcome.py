"""What a pass did."""

from collections.abc import Callable
from dataclasses import dataclass

from groupnl.export.passes.network import Network


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a pass did to a net.

    Attributes:
        changed: How many places it rewrote.
        notes: What it could not do, or not as well, and where; for people.
    """

    changed: int
    notes: tuple[str, ...] = ()


Pass = Callable[[Network], Outcome]
