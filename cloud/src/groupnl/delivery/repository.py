"""A repository as a publisher has it: where it lies, the keys at hand, the root that is trusted, and the clock."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from groupnl.delivery.keyring import Keyring, Secrets
from groupnl.delivery.layout import utc_now
from groupnl.delivery.state import State, read_state
from groupnl.delivery.store import Store, open_store

ROOT_FILE = "root.json"  # in the folder of keys: what publishers trust, and what is put on every device


@dataclass(frozen=True)
class Repository:
    """See the module.

    Attributes:
        store: Where it lies.
        keyring: The keys at hand.
        trusted: A root metadata file, known to be right: never taken from the store.
        clock: The time now, UTC.
    """

    store: Store
    keyring: Keyring
    trusted: bytes
    clock: Callable[[], datetime] = utc_now

    @classmethod
    def open(cls, url: str, keys: Path, secrets: Secrets, root_keys: Sequence[Path] = ()) -> "Repository":
        """The repository at an address, with the keys and the root of a folder.

        Args:
            url: A folder, ``s3://...`` or ``sftp://...``.
            keys: Holds ``root.json`` and the keys of targets, snapshot and timestamp.
            secrets: Gives passphrases.
            root_keys: Folders of the offline keys, for what needs them.

        Raises:
            ValueError: No ``root.json`` there, or the address is none.
            OSError: The repository cannot be reached.
        """
        return cls(open_store(url), Keyring([keys, *root_keys], secrets), read_trusted(keys))

    def state(self) -> State:
        """What devices see now; see :func:`groupnl.delivery.state.read_state`."""
        return read_state(self.store, self.trusted)


def read_trusted(keys: Path) -> bytes:
    """The root in a folder of keys.

    Raises:
        ValueError: There is none.
    """
    try:
        return (keys / ROOT_FILE).read_bytes()
    except FileNotFoundError as error:
        raise ValueError(
            f"{keys}: no {ROOT_FILE} there; give the folder that groupnl repo init --keys wrote, or make one"
        ) from error
