"""What the repository offers, read from targets metadata whose signatures were verified."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from tuf.api.metadata import TargetFile as SignedFile
from tuf.api.metadata import Targets

from groupnl_device.delivery.errors import MetadataError
from groupnl_device.delivery.release import KEY, Release, check_channel

Algorithm = Literal["sha256", "sha512"]
_DIGESTS: dict[Algorithm, re.Pattern[str]] = {
    "sha256": re.compile(r"[0-9a-f]{64}"),
    "sha512": re.compile(r"[0-9a-f]{128}"),
}  # the first that a target has is used


@dataclass(frozen=True)
class TargetFile:
    """A file that the signed metadata promise.

    Attributes:
        path: Its name in the metadata.
        url: Where it lies.
        length: In bytes.
        digest: Its hash in hexadecimal digits.
        algorithm: Of the hash; always sha256 for what a catalogue has.
    """

    path: str
    url: str
    length: int
    digest: str
    algorithm: Algorithm = "sha256"

    @property
    def sha256(self) -> str:
        """The digest, which is a SHA-256.

        Raises:
            MetadataError: It is none.
        """
        if self.algorithm != "sha256":
            raise MetadataError(f"{self.path!r}: the metadata give no sha256 of it")
        return self.digest


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """Releases of all channels.

    Attributes:
        version: Of the targets metadata.
        made: When the repository last said that this is its newest state.
        expires: When that ends.
        releases: Ordered by channel, then version.
        withdrawn: By channel, the versions that nobody is to run any more.
        unreadable: By path, why this device cannot read a release; a newer one can perhaps.
        files: By path, all targets.
    """

    version: int
    made: datetime
    expires: datetime
    releases: tuple[Release, ...]
    withdrawn: Mapping[str, frozenset[int]]
    unreadable: Mapping[str, str]
    files: Mapping[str, TargetFile]

    def file(self, path: str) -> TargetFile:
        """The file of that path.

        Raises:
            MetadataError: The signed metadata do not know it.
        """
        try:
            return self.files[path]
        except KeyError:
            raise MetadataError(f"{path!r} is not among the {len(self.files)} files of the signed metadata") from None


def catalogue(targets: Targets, targets_url: str, *, made: datetime, expires: datetime) -> Catalogue:
    """Sort what verified metadata say.

    Args:
        targets: The top-level role, verified.
        targets_url: Where the files lie, under names that begin with their hashes.
        made: See :class:`Catalogue`.
        expires: See :class:`Catalogue`.

    Raises:
        MetadataError: The list of withdrawn versions is malformed.
    """
    releases, unreadable, files = [], {}, {}
    for path, signed in targets.targets.items():
        try:
            file = target_file(signed, targets_url)
            _ = file.sha256  # slots and staging files are named by it
            files[path] = file
            custom = signed.unrecognized_fields.get("custom")
            if not isinstance(custom, Mapping) or KEY not in custom:
                continue  # a patch, or a file of somebody else
            release = Release.from_custom(custom)
            if release.path != path:
                raise ValueError(f"it calls itself {release.path!r}")
            releases.append(release)
        except ValueError as error:
            unreadable[path] = str(error)
    return Catalogue(
        version=targets.version,
        made=made,
        expires=expires,
        releases=tuple(sorted(releases, key=lambda release: (release.channel, release.version))),
        withdrawn=_withdrawn(targets.unrecognized_fields.get(KEY)),
        unreadable=unreadable,
        files=files,
    )


def target_file(signed: SignedFile, targets_url: str, *, prefixed: bool = True) -> TargetFile:
    """A target of tuf's as one of ours.

    Args:
        signed: From verified metadata.
        targets_url: Where the files lie.
        prefixed: Whether their names begin with their hashes.

    Raises:
        MetadataError: It has neither a SHA-256 nor a SHA-512.
    """
    for algorithm, form in _DIGESTS.items():
        digest = signed.hashes.get(algorithm, "")
        if form.fullmatch(digest):
            folder, slash, name = signed.path.rpartition("/")
            place = f"{folder}{slash}{digest}.{name}" if prefixed else signed.path
            return TargetFile(signed.path, f"{targets_url.rstrip('/')}/{place}", signed.length, digest, algorithm)
    raise MetadataError(f"{signed.path!r}: the metadata give no {' and no '.join(_DIGESTS)} of it")


def _withdrawn(told: Any) -> dict[str, frozenset[int]]:
    """By channel, from the ``groupnl`` member of the targets metadata."""
    try:
        channels = {} if told is None else told.get("withdrawn", {})
        return {check_channel(channel): frozenset(map(_version, versions)) for channel, versions in channels.items()}
    except (AttributeError, TypeError, ValueError) as error:
        raise MetadataError(f"the list of withdrawn versions is malformed: {error}") from error


def _version(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"version {value!r:.60}: expected a whole number")
    return value
