"""What a repository says now, believed only as far as the trusted root's keys have signed it."""

from dataclasses import dataclass
from typing import TypeVar

from tuf.api.exceptions import RepositoryError as TufError
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, Targets, Timestamp
from tuf.api.serialization import DeserializationError

from groupnl.delivery.errors import RepositoryError, UntrustedError
from groupnl.delivery.layout import TIMESTAMP, metadata_name
from groupnl.delivery.store import Store

T = TypeVar("T", Root, Targets, Snapshot, Timestamp)


@dataclass(frozen=True)
class State:
    """A repository's metadata, each signed as the newest root asks.

    Attributes:
        root: The newest.
        timestamp: What devices see first.
        snapshot: The one that the timestamp names.
        targets: The one that the snapshot names.
    """

    root: Root
    timestamp: Timestamp
    snapshot: Snapshot
    targets: Targets

    @property
    def next_number(self) -> int:
        """Of the next snapshot and its timestamp, which always have the same one.

        So a timestamp belongs to one claimed snapshot, and a publisher that was thought dead cannot take back a later
        state: its number is smaller, and no device goes down.
        """
        return max(self.timestamp.version, self.snapshot.version) + 1


def newest_root(store: Store, trusted: bytes) -> Root:
    """Follow the chain of roots from the trusted one, each signed by the keys of the one before and by its own.

    Raises:
        UntrustedError: A root is not.
        RepositoryError: The trusted root is not one.
    """
    root = parse(Root, trusted, "the trusted root")
    _check(root.signed, "root", root, "the trusted root")
    while (content := store.read(name := metadata_name("root", root.signed.version + 1))) is not None:
        later = parse(Root, content, f"{store.where}: {name}")
        if later.signed.version != root.signed.version + 1:
            raise UntrustedError(f"{store.where}: {name} says version {later.signed.version}")
        _check(root.signed, "root", later, f"{store.where}: {name}")
        _check(later.signed, "root", later, f"{store.where}: {name}")
        root = later
    return root.signed


def read_state(store: Store, trusted: bytes) -> State:
    """Read what devices see now. Expired metadata are read too: a publisher is who renews them.

    Args:
        store: Where it lies.
        trusted: A root that is known to be right, as devices have it.

    Raises:
        UntrustedError: Metadata are not signed by the right keys, or contradict each other.
        RepositoryError: There is no repository, or a file of it is missing.
    """
    root = newest_root(store, trusted)
    timestamp = read_timestamp(store, root)
    if timestamp is None:
        raise RepositoryError(f"{store.where}: no {TIMESTAMP}; make a repository with groupnl repo init")
    snapshot = read_snapshot(store, root, timestamp.snapshot_meta)
    return State(root, timestamp, snapshot, read_targets(store, root, snapshot))


def read_timestamp(store: Store, root: Root) -> Timestamp | None:
    """What devices see first; None before the repository is made.

    Raises:
        UntrustedError: It is not signed.
    """
    content = store.read(TIMESTAMP)
    if content is None:
        return None
    where = f"{store.where}: {TIMESTAMP}"
    return verified(root, "timestamp", parse(Timestamp, content, where), where)


def read_snapshot(store: Store, root: Root, named: MetaFile) -> Snapshot:
    """The snapshot that a timestamp names.

    Raises:
        UntrustedError: It is not signed, or another one.
        RepositoryError: It is missing.
    """
    where, content = _read(store, metadata_name("snapshot", named.version), named)
    return verified(root, "snapshot", parse(Snapshot, content, where), where, named.version)


def read_targets(store: Store, root: Root, snapshot: Snapshot) -> Targets:
    """The targets that a snapshot names.

    Raises:
        UntrustedError: They are not signed, or others.
        RepositoryError: They are missing.
    """
    named = snapshot.meta["targets.json"]
    where, content = _read(store, metadata_name("targets", named.version), named)
    return verified(root, "targets", parse(Targets, content, where), where, named.version)


def parse(kind: type[T], content: bytes, where: str) -> Metadata[T]:
    """Metadata of a kind, not verified.

    Raises:
        UntrustedError: It is something else.
    """
    try:
        metadata = Metadata[T].from_bytes(content)
    except DeserializationError as error:
        raise UntrustedError(f"{where}: not metadata ({error})") from error
    if not isinstance(metadata.signed, kind):
        raise UntrustedError(f"{where}: {metadata.signed.type} metadata in place of {kind.type}")
    return metadata


def verified(root: Root, role: str, metadata: Metadata[T], where: str, version: int | None = None) -> T:
    """What is signed, once the root's keys for the role are found to have signed it.

    Raises:
        UntrustedError: They have not, or it is of another version.
    """
    _check(root, role, metadata, where)
    if version is not None and metadata.signed.version != version:
        raise UntrustedError(f"{where}: says version {metadata.signed.version}, expected {version}")
    return metadata.signed


def _read(store: Store, name: str, named: MetaFile) -> tuple[str, bytes]:
    where = f"{store.where}: {name}"
    content = store.read(name)
    if content is None:
        raise RepositoryError(f"{where} is missing, though signed metadata name it; restore it from a copy")
    try:
        named.verify_length_and_hashes(content)
    except TufError as error:
        raise UntrustedError(f"{where}: not the file that signed metadata name ({error})") from error
    return where, content


def _check(root: Root, role: str, metadata: Metadata[T], where: str) -> None:
    try:
        root.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
    except TufError as error:
        raise UntrustedError(
            f"{where}: not signed by the keys that the trusted root names for {role} ({error}). If the keys were "
            "replaced, take the repository's newest root.json from who did it"
        ) from error
