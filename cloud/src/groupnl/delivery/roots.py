"""The next root: other keys or a later end of its time, signed by the keys of the root before and by its own."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import timedelta

from securesystemslib.signer import Key
from tuf.api.metadata import Metadata, Root

from groupnl.delivery.commit import sealed
from groupnl.delivery.errors import ConflictError
from groupnl.delivery.layout import FIELD, Role, Validity, metadata_name
from groupnl.delivery.repository import ROOT_FILE, Repository
from groupnl.delivery.state import verified
from groupnl_device.atomic import write_atomically


@dataclass(frozen=True, kw_only=True)
class NewKeys:
    """What a role's keys are to be.

    Attributes:
        role: Whose.
        threshold: How many have to sign.
        keys: All of them.
    """

    role: Role
    threshold: int
    keys: Sequence[Key]


def put_root(
    repository: Repository, before: Root, change: NewKeys | None = None, validity: Validity | None = None
) -> Root:
    """Write the root that follows.

    Args:
        repository: With root keys enough for both roots.
        before: The newest root.
        change: Another set of keys for a role; None: as they are.
        validity: For how long metadata are valid from now on; None: as before.

    Returns:
        The new root, which devices follow from now on.

    Raises:
        ConflictError: Another publisher wrote a root meanwhile.
        ValueError: A key is missing or cannot be used.
        OSError: The store failed.
    """
    after = deepcopy(before)
    after.version += 1
    validity = validity or Validity.of_root(before.unrecognized_fields)
    after.unrecognized_fields[FIELD] = {**after.unrecognized_fields.get(FIELD, {}), **validity.to_field()}
    after.expires = repository.clock() + timedelta(days=validity.root)
    if change is not None:
        for keyid in list(after.roles[change.role].keyids):
            after.revoke_key(keyid, change.role)
        for key in change.keys:
            after.add_key(key, change.role)
        after.roles[change.role].threshold = change.threshold
    signers = {
        signer.public_key.keyid: signer
        for root in (before, after)
        for signer in repository.keyring.signers(root, "root")
    }
    content = sealed(after, signers.values())
    for root in (before, after):
        verified(root, "root", Metadata[Root].from_bytes(content), "root just signed")
    name = metadata_name("root", after.version)
    if not repository.store.create(name, content):
        raise ConflictError(f"{repository.store.where}: another publisher wrote {name} first; run the command again")
    _keep(repository, content)
    return after


def _keep(repository: Repository, content: bytes) -> None:
    """Put the newest root beside the keys, from where it goes onto new devices; those in use follow by themselves."""
    path = repository.keyring.folders[0] / ROOT_FILE
    write_atomically(path, lambda file: file.write(content))
