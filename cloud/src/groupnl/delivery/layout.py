"""Where things lie in a repository and how long its metadata are valid: any web server can serve this folder."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, Literal, get_args

Role = Literal["root", "targets", "snapshot", "timestamp"]
ROLES: tuple[Role, ...] = get_args(Role)
ONLINE: tuple[Role, ...] = ("targets", "snapshot", "timestamp")  # what publishing signs with; root stays offline
TIMESTAMP = "metadata/timestamp.json"
FIELD = "groupnl"  # of ours, in signed metadata and in a target's custom field


def metadata_name(role: Role, version: int) -> str:
    """Name of a numbered metadata file, which is written once and never changed."""
    return f"metadata/{version}.{role}.json"


def target_name(path: str, sha256: str) -> str:
    """Name of a target's file: by its content, hence written once and never changed."""
    folder, _, file = path.rpartition("/")
    return f"targets/{folder}/{sha256}.{file}"


@dataclass(frozen=True, kw_only=True)
class Validity:
    """For how many days the metadata of each role are valid.

    A device accepts no state older than ``timestamp`` days, hence ``groupnl repo renew`` has to run more often than
    that. The defaults suit a fleet whose owner looks after it once a week.

    Attributes:
        root: Days; renewing needs the offline keys.
        targets: Days.
        snapshot: Days.
        timestamp: Days.
    """

    root: int = 365
    targets: int = 365
    snapshot: int = 30
    timestamp: int = 30

    def __post_init__(self) -> None:
        for item in fields(self):
            days = getattr(self, item.name)
            if isinstance(days, bool) or not isinstance(days, int) or not 1 <= days <= 36500:
                raise ValueError(f"{item.name}={days!r} days: expected 1 to 36500")

    def days(self, role: Role) -> int:
        """Of a role."""
        days: int = getattr(self, role)
        return days

    @classmethod
    def of_root(cls, told: Mapping[str, Any]) -> "Validity":
        """As a root's fields of ours say it; the defaults where they say nothing."""
        days = told.get(FIELD, {}).get("days", {})
        return cls(**{role: days[role] for role in ROLES if role in days})

    def to_field(self) -> dict[str, dict[str, int]]:
        """For a root's fields of ours; :meth:`of_root` reads it back."""
        return {"days": {role: self.days(role) for role in ROLES}}


def utc_now() -> datetime:
    """To the second, as metadata have it."""
    return datetime.now(UTC).replace(microsecond=0)
