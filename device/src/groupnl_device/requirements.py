"""What an artifact needs and this device may lack: its runtime's package, versions, files by their roles."""

from collections.abc import Mapping, Set
from importlib import metadata

from groupnl_device.manifest import Artifact


def installed_version(package: str) -> str | None:
    """The version of an installed distribution, or None; the package is not imported."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def unmet(artifact: Artifact, roles: Set[str], packages: Mapping[str, str]) -> str | None:
    """Why an artifact cannot run here, or None.

    Args:
        artifact: What the manifest says of it.
        roles: Which files it must have, exactly.
        packages: Distributions that must be here, and what pip is given to install each.
    """
    for package, installable in packages.items():
        if installed_version(package) is None:
            return f'the package {package} is not installed; pip install "{installable}"'
    if set(artifact.files) != roles:
        return f"its files are {', '.join(sorted(artifact.files))}, expected {', '.join(sorted(roles))}"
    for name, least in artifact.requires.items():
        found = installed_version(name) if name in packages else None
        if found is None:
            return f"requires {name}, which is unknown here"
        if version_numbers(found) < version_numbers(least):
            return f"requires {name} {least} or newer, {found} is installed"
    return None


def version_numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a version: 1.32.0rc1 is (1, 32, 0)."""
    numbers = []
    for part in version.split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        numbers.append(int(digits))
    return tuple(numbers)


def first_line(error: Exception) -> str:
    """What an error of a runtime says, without its stack of places."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
