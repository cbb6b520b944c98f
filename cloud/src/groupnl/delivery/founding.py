"""Makes a repository: keys, the first root, an empty first state. Run again after a kill, it goes on where it was."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from securesystemslib.signer import Key
from tuf.api.metadata import Root, Targets

from groupnl.delivery.commit import online_signers, put_snapshot, put_targets, sealed
from groupnl.delivery.errors import RepositoryError
from groupnl.delivery.keyring import KeyEntry, Keyring, Secrets, add_key, make_key
from groupnl.delivery.layout import FIELD, ROLES, Role, Validity, metadata_name, utc_now
from groupnl.delivery.recovery import finish
from groupnl.delivery.repository import ROOT_FILE, Repository
from groupnl.delivery.state import newest_root, read_timestamp
from groupnl.delivery.store import open_store
from groupnl_device.atomic import write_atomically


@dataclass(frozen=True, kw_only=True)
class RoleKeys:
    """The keys of a role.

    Attributes:
        threshold: How many of them have to sign.
        made: How many are made here, each in a file.
        elsewhere: Address and public part of those on tokens and in key services.
    """

    threshold: int = 1
    made: int = 1
    elsewhere: tuple[tuple[str, Key], ...] = ()

    def __post_init__(self) -> None:
        count = self.made + len(self.elsewhere)
        if self.made < 0 or not 1 <= self.threshold <= count:
            raise ValueError(f"{self.threshold} of {count} keys have to sign: expected 1 to {count} of at least one")


def init_repository(
    url: str,
    keys: Path,
    root_keys: Path,
    secrets: Secrets,
    *,
    roles: Mapping[Role, RoleKeys] | None = None,
    validity: Validity | None = None,
    encrypt: bool = True,
    clock: Callable[[], datetime] = utc_now,
) -> Repository:
    """Make an empty repository.

    Args:
        url: A folder, ``s3://...`` or ``sftp://...``.
        keys: Where the keys that publishing needs are put, and ``root.json``, which goes onto every device.
        root_keys: Where the root's keys are put; to be kept offline. Publishing never reads it.
        secrets: Gives passphrases.
        roles: The keys of each role; one of one where absent.
        validity: Of the metadata.
        encrypt: Whether keys in files are encrypted.
        clock: The time now, UTC.

    Raises:
        ValueError: There is a repository already, or the folders hold another one's keys.
        OSError: A folder or the store cannot be written.
    """
    store = open_store(url)
    keyring = Keyring([keys, root_keys], secrets)
    if not (keys / ROOT_FILE).exists():
        if store.read(metadata_name("root", 1)) is not None:
            raise RepositoryError(f"{url}: there is a repository already, and {keys} does not hold its {ROOT_FILE}")
        made = {
            role: _keys_of(role, (roles or {}).get(role, RoleKeys()), keys, root_keys, secrets if encrypt else None)
            for role in ROLES
        }
        content = _first_root(made, roles or {}, validity or Validity(), keyring, clock())
        write_atomically(keys / ROOT_FILE, lambda file: file.write(content))
    repository = Repository(store, keyring, (keys / ROOT_FILE).read_bytes(), clock)
    _write_first_state(repository)
    return repository


def _keys_of(role: Role, wanted: RoleKeys, keys: Path, root_keys: Path, secrets: Secrets | None) -> list[KeyEntry]:
    folder = root_keys if role == "root" else keys
    return [make_key(folder, role, secrets) for _ in range(wanted.made)] + [
        add_key(folder, role, uri, public) for uri, public in wanted.elsewhere
    ]


def _first_root(
    made: Mapping[Role, list[KeyEntry]],
    roles: Mapping[Role, RoleKeys],
    validity: Validity,
    keyring: Keyring,
    now: datetime,
) -> bytes:
    root = Root(version=1, expires=now + timedelta(days=validity.root), consistent_snapshot=True)
    root.unrecognized_fields[FIELD] = validity.to_field()
    for role, entries in made.items():
        for entry in entries:
            root.add_key(entry.public, role)
        root.roles[role].threshold = roles.get(role, RoleKeys()).threshold
    return sealed(root, keyring.signers(root, "root"))


def _write_first_state(repository: Repository) -> None:
    """Write what a killed attempt has not written yet."""
    store = repository.store
    name = metadata_name("root", 1)
    if not store.create(name, repository.trusted) and store.read(name) != repository.trusted:
        raise RepositoryError(f"{store.where}: there is another repository already, with other keys")
    root = newest_root(store, repository.trusted)
    if read_timestamp(store, root) is not None:
        raise RepositoryError(f"{store.where}: there is a repository already, with these keys")
    signers = online_signers(repository, root)
    named = put_targets(repository, root, Targets(), 0, signers)
    put_snapshot(repository, root, named, 1, signers)
    finish(repository, root, 1, signers)
