"""Changes what devices see, in one step: everything is written beside the old state, then the timestamp points to it.

The order: files of targets (named by content), targets metadata (next unused number), the snapshot (whose name only one
publisher can create: the claim), the timestamp (replaced in one step: the switch). Killed before the switch, devices
see the old state, whole.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from securesystemslib.signer import Signer
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, TargetFile, Targets, Timestamp
from tuf.api.serialization.json import JSONSerializer

from groupnl.delivery.errors import ConflictError, RepositoryError, UnfinishedError
from groupnl.delivery.layout import FIELD, ONLINE, TIMESTAMP, Role, Validity, metadata_name, target_name
from groupnl.delivery.repository import Repository
from groupnl.delivery.state import State, read_timestamp, verified
from groupnl_device.delivery.trust import MOST_TARGETS

T = TypeVar("T", Root, Targets, Snapshot, Timestamp)
Signers = Mapping[Role, Sequence[Signer]]
_MOST_ABANDONED = 1000  # numbers of targets metadata that killed publishers have used up


@dataclass(frozen=True)
class NewFile:
    """A target's file, to be put into the repository.

    Attributes:
        target: As the targets metadata name it.
        content: Its bytes.
    """

    target: TargetFile
    content: bytes


def commit(repository: Repository, before: State, targets: Targets | None, files: Iterable[NewFile] = ()) -> None:
    """Make a new state of the repository: other targets, or the same with new snapshot and timestamp.

    Args:
        repository: To change.
        before: What it says now, as the change was made from.
        targets: The new ones, with version and expiry still to be set; None: as they are.
        files: Of targets that are new.

    Raises:
        ConflictError: Another publisher was first.
        UnfinishedError: Another publisher has not ended its change, or this one could not.
        RepositoryError: The root is past its time, or the targets metadata grew beyond what devices read.
        ValueError: A key is missing or cannot be used.
        OSError: The store failed; devices see the old state.
    """
    number = before.next_number
    check_root_valid(repository, before.root)
    refuse_unfinished(repository, number)
    signers = online_signers(repository, before.root)
    for file in files:
        _put_file(repository, file)
    named = before.snapshot.meta["targets.json"]
    if targets is not None:
        named = put_targets(repository, before.root, targets, before.targets.version, signers)
    snapshot = put_snapshot(repository, before.root, named, number, signers)
    if snapshot is None:
        raise ConflictError(
            f"{repository.store.where}: another publisher was first. Run the command again; should it then say that "
            "the other did not finish, groupnl repo recover does"
        )
    if repository.store.read(metadata_name("root", before.root.version + 1)) is not None:
        raise UnfinishedError(
            f"{repository.store.where}: the keys were changed meanwhile; run groupnl repo recover, then see with "
            "groupnl repo list whether the change is there"
        )
    try:
        switch(repository, before.root, snapshot, number, signers)
    except OSError as error:
        raise UnfinishedError(
            f"{repository.store.where}: all is written but the last file, without which devices see the old state "
            f"({error}). Once the store can be reached, groupnl repo recover ends the change"
        ) from error


def online_signers(repository: Repository, root: Root) -> Signers:
    """What signs for the roles that publishing needs, all of them found before anything is written."""
    return {role: repository.keyring.signers(root, role) for role in ONLINE}


def check_root_valid(repository: Repository, root: Root) -> None:
    """Refuse to publish what no device would accept.

    Raises:
        RepositoryError: The root is past its time.
    """
    if root.is_expired(repository.clock()):
        raise RepositoryError(
            f"{repository.store.where}: its root is past its time since {root.expires.isoformat()}; renew it with "
            "groupnl repo renew --root-keys FOLDER"
        )


def refuse_unfinished(repository: Repository, number: int) -> None:
    """Refuse to begin where another publisher has claimed the number.

    Raises:
        UnfinishedError: One has.
    """
    if repository.store.read(metadata_name("snapshot", number)) is not None:
        raise UnfinishedError(
            f"{repository.store.where}: another publisher has begun snapshot {number} and not ended it. Wait if it is "
            "at work; if it was killed, groupnl repo recover ends it"
        )


def put_targets(repository: Repository, root: Root, targets: Targets, last: int, signers: Signers) -> MetaFile:
    """Write targets metadata under the next unused number above the last one that counts, and set it.

    Returns:
        How a snapshot names them.

    Raises:
        RepositoryError: They are too long for a device, or there is no unused number.
    """
    for version in range(last + 1, last + 1 + _MOST_ABANDONED):
        targets.version = version
        content = _sealed(repository, root, "targets", targets, signers)
        if len(content) > MOST_TARGETS:
            raise RepositoryError(
                f"{repository.store.where}: the list of targets would have {len(content):,} bytes, devices read "
                f"{MOST_TARGETS:,}; retire old versions"
            )
        if repository.store.create(metadata_name("targets", version), content):
            return MetaFile.from_data(version, content, ["sha256"])
    raise RepositoryError(f"{repository.store.where}: no unused number for targets metadata after {last}")


def put_snapshot(repository: Repository, root: Root, named: MetaFile, number: int, signers: Signers) -> bytes | None:
    """Claim a number by creating its snapshot.

    Returns:
        What was written; None where another publisher has the number.
    """
    snapshot = Snapshot(version=number, meta={"targets.json": named})
    content = _sealed(repository, root, "snapshot", snapshot, signers)
    return content if repository.store.create(metadata_name("snapshot", number), content) else None


def switch(repository: Repository, root: Root, snapshot: bytes, number: int, signers: Signers) -> None:
    """Let the timestamp point to a snapshot, unless it points there or further already.

    Args:
        repository: To change.
        root: The newest.
        snapshot: The content of its file.
        number: Its version, which becomes the timestamp's.
        signers: At least those of the timestamp.
    """
    now = read_timestamp(repository.store, root)
    if now is not None and now.version >= number:  # somebody took this publisher for dead and ended its change
        return
    timestamp = Timestamp(version=number, snapshot_meta=MetaFile.from_data(number, snapshot, ["sha256"]))
    timestamp.unrecognized_fields[FIELD] = {"made": repository.clock().isoformat()}
    repository.store.replace(TIMESTAMP, _sealed(repository, root, "timestamp", timestamp, signers))


def sealed(payload: T, signers: Iterable[Signer]) -> bytes:
    """A signed metadata file.

    Raises:
        ValueError: A signer failed.
    """
    metadata = Metadata(payload)
    for signer in signers:
        try:
            metadata.sign(signer, append=True)
        except Exception as error:  # tokens and key services raise what their libraries do
            cause = error.__cause__ or error
            raise ValueError(f"signing {payload.type} failed: {type(cause).__name__} {cause}") from error
    return metadata.to_bytes(JSONSerializer(compact=True))


def _sealed(repository: Repository, root: Root, role: Role, payload: T, signers: Signers) -> bytes:
    """Signed, valid for the days that the root states, and verified as a device would."""
    days = Validity.of_root(root.unrecognized_fields).days(role)
    payload.expires = repository.clock() + timedelta(days=days)
    content = sealed(payload, signers[role])
    verified(root, role, Metadata[T].from_bytes(content), f"{role} just signed")
    return content


def _put_file(repository: Repository, file: NewFile) -> None:
    name = target_name(file.target.path, file.target.hashes["sha256"])
    if not repository.store.create(name, file.content) and repository.store.read(name) != file.content:
        raise RepositoryError(
            f"{repository.store.where}: {name} is there with another content than its name says; remove that file"
        )
