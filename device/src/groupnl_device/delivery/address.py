"""Addresses of the repository: which a device can fetch from, and how they are shown."""

from urllib.parse import urljoin, urlsplit, urlunsplit

from groupnl_device.delivery.errors import NetworkError


def check_url(url: str) -> str:
    """The URL itself.

    Raises:
        ValueError: Not one that a device can fetch from.
    """
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and bool(parts.hostname)
        _ = parts.port
    except ValueError:
        known = False
    if not known:
        raise ValueError(f"{url[:200]!r}: expected an address such as https://models.example.org/fleet")
    if "@" in parts.netloc:
        raise ValueError(f"{shown(url)}: a name and password in the address are not supported; leave them out")
    return url


def shown(url: str) -> str:
    """The URL for messages and logs: without what may be secret in it, a password or a signed query."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))[:300]


def redirected(url: str, target: str) -> str:
    """Where a redirect leads.

    Args:
        url: What was asked for.
        target: The header ``Location`` of the answer.

    Raises:
        NetworkError: To something that a device cannot fetch from.
    """
    try:
        return check_url(urljoin(url, target))
    except ValueError as error:
        raise NetworkError(f"{shown(url)}: redirected to where no device can fetch from: {error}") from error
