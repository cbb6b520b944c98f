"""Signs again what would soon be past its time. A job that runs every few days does it for snapshot and timestamp."""

from copy import deepcopy
from datetime import timedelta

from tuf.api.metadata import Root, Targets

from groupnl.delivery.commit import commit
from groupnl.delivery.layout import Validity
from groupnl.delivery.repository import Repository
from groupnl.delivery.roots import put_root


def renew_root(repository: Repository, validity: Validity | None = None) -> Root:
    """Write a root with the same keys and a later end of its time; needs the offline keys.

    Args:
        repository: With root keys enough.
        validity: For how long metadata are valid from now on; None: as before.

    Raises:
        ConflictError: Another publisher wrote a root meanwhile.
        RepositoryError: The repository is not as it should be.
        ValueError: A key is missing or cannot be used.
        OSError: The store failed.
    """
    return put_root(repository, repository.state().root, validity=validity)


def renew(repository: Repository) -> None:
    """Sign snapshot and timestamp again and, where less than half of their time is left, the targets.

    Raises:
        RepositoryError: See :func:`groupnl.delivery.commit.commit`.
        ValueError: A key is missing or cannot be used.
        OSError: The store failed.
    """
    before = repository.state()
    validity = Validity.of_root(before.root.unrecognized_fields)
    half = timedelta(days=validity.targets) / 2
    again: Targets | None = None
    if before.targets.expires - repository.clock() < half:
        again = deepcopy(before.targets)
    commit(repository, before, again)
