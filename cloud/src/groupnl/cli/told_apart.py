"""Names for things that call themselves the same: by what tells the files apart that they were read from."""

from collections.abc import Sequence
from pathlib import Path


def told_apart(named: Sequence[tuple[Path, str]]) -> list[str]:
    """The names; those that several share get what tells their files apart as well."""
    found = []
    for path, name in named:
        alike = [other for other, another in named if another == name]
        found.append(f"{name} ({_difference(path, alike)})" if len(alike) > 1 else name)
    return found


def _difference(path: Path, alike: Sequence[Path]) -> str:
    """The file's name, or where the names are the same the part of the path that is not: ``a`` of ``runs/a/x.json``."""
    if len({other.stem for other in alike}) == len(alike):
        return path.stem
    parts, others = path.with_suffix("").parts, [other.with_suffix("").parts for other in alike]
    shortest = min(map(len, others))
    first = next((k for k in range(shortest) if any(other[k] != parts[k] for other in others)), shortest)
    last = next((k for k in range(shortest - first) if any(other[-1 - k] != parts[-1 - k] for other in others)), 0)
    return "/".join(parts[first : len(parts) - last]) or path.stem
