"""Replaces a role's keys, in steps after each of which devices see a whole, rightly signed repository.

For targets, snapshot and timestamp: a root that takes the old keys and the new ones; all metadata signed again, with
the new keys too; a root that takes the new keys only. From then on nothing that the old keys sign is accepted, and a
device that an attacker sent ahead with them comes back. For root: one root, signed by the old keys and by the new ones.
"""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace

from tuf.api.metadata import Root

from groupnl.delivery.commit import check_root_valid, commit, refuse_unfinished
from groupnl.delivery.errors import ConflictError
from groupnl.delivery.keyring import KeyEntry
from groupnl.delivery.layout import Role
from groupnl.delivery.repository import Repository
from groupnl.delivery.roots import NewKeys, put_root


def rotate(repository: Repository, role: Role, entries: Sequence[KeyEntry], threshold: int) -> Root:
    """Replace all keys of a role. Killed between two steps, it is run again with the same new keys.

    Args:
        repository: With root keys enough and, but for ``root``, with the keys of targets, snapshot and timestamp.
        role: Whose keys.
        entries: The new keys, which lie in the repository's folders of keys.
        threshold: How many of them have to sign.

    Returns:
        The new root.

    Raises:
        ConflictError: Another publisher changed the repository meanwhile; run it again.
        UnfinishedError: Another publisher has not ended its change.
        RepositoryError: See :func:`groupnl.delivery.commit.commit`.
        ValueError: A key is missing or cannot be used, or the threshold does not fit.
        OSError: The store failed.
    """
    keys = [entry.public for entry in entries]
    if not 1 <= threshold <= len(keys):
        raise ValueError(f"threshold {threshold} with {len(keys)} new keys: expected 1 to {len(keys)}")
    wanted = NewKeys(role=role, threshold=threshold, keys=keys)
    before = repository.state()
    if role == "root":
        return put_root(repository, before.root, wanted)
    check_root_valid(repository, before.root)
    refuse_unfinished(repository, before.next_number)
    old = before.root.roles[role]
    both = {key.keyid: key for key in [*(before.root.keys[keyid] for keyid in old.keyids), *keys]}
    # The old signatures must do for the threshold, and so must the new ones.
    enough = min(old.threshold, len(keys))
    root = put_root(repository, before.root, NewKeys(role=role, threshold=enough, keys=list(both.values())))
    before = replace(before, root=root)
    commit(repository, before, deepcopy(before.targets) if role == "targets" else None)
    after = repository.state()
    if after.timestamp.version != before.next_number or after.root.version != root.version:
        raise ConflictError(
            f"{repository.store.where}: another publisher changed the repository meanwhile. The old keys are still "
            "accepted beside the new ones: run the command again"
        )
    return put_root(repository, after.root, wanted)
