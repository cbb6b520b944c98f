"""Ends a change that a killed publisher has begun: what it had claimed is verified, then the timestamp points to it."""

from hashlib import sha256

from tuf.api.metadata import Root, Snapshot, Targets

from groupnl.delivery.commit import Signers, check_root_valid, switch
from groupnl.delivery.errors import RepositoryError
from groupnl.delivery.layout import metadata_name, target_name
from groupnl.delivery.repository import Repository
from groupnl.delivery.state import parse, read_targets, verified


def recover(repository: Repository) -> int | None:
    """End an unfinished change. A publisher that still works at it finds it done.

    Returns:
        The number of the snapshot that devices see now; None where nothing was unfinished.

    Raises:
        UntrustedError: What was claimed is not signed by the right keys.
        RepositoryError: A file of it is missing.
        ValueError: The timestamp's key is missing or cannot be used.
        OSError: The store failed.
    """
    before = repository.state()
    number = before.next_number
    if repository.store.read(metadata_name("snapshot", number)) is None:
        return None
    check_root_valid(repository, before.root)
    finish(
        repository,
        before.root,
        number,
        {"timestamp": repository.keyring.signers(before.root, "timestamp")},
        before.targets,
    )
    return number


def finish(repository: Repository, root: Root, number: int, signers: Signers, before: Targets | None = None) -> None:
    """Verify a snapshot that was claimed, all that it names, and switch to it.

    Args:
        repository: To change.
        root: The newest.
        number: Of the snapshot.
        signers: At least those of the timestamp.
        before: What devices see now; files of its targets are not read again.

    Raises:
        UntrustedError: See :func:`recover`.
        RepositoryError: See :func:`recover`.
    """
    store = repository.store
    where = f"{store.where}: {metadata_name('snapshot', number)}"
    content = store.read(metadata_name("snapshot", number))
    if content is None:
        raise RepositoryError(f"{where} is missing, though it was written a moment ago")
    snapshot = verified(root, "snapshot", parse(Snapshot, content, where), where, number)
    targets = read_targets(store, root, snapshot)
    known = set() if before is None else {target_name(t.path, t.hashes["sha256"]) for t in before.targets.values()}
    for target in targets.targets.values():
        name = target_name(target.path, target.hashes["sha256"])
        if name in known:
            continue
        file = store.read(name)
        if file is None or sha256(file).hexdigest() != target.hashes["sha256"]:
            raise RepositoryError(f"{store.where}: {name} is missing or another one; the change cannot be ended")
    switch(repository, root, content, number, signers)
