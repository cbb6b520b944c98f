"""Folders of signing keys: for each key a small JSON file that says where the private part is.

``targets-1.json`` holds ``{"uri": "file:targets-1.pem", "public": {...}}``; the address may as well name a token
(``hsm:``) or a key service (``awskms:`` and others), which securesystemslib's signers then use.
"""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import CryptoSigner, Key, Signer, SSlibKey
from tuf.api.metadata import Root

from groupnl.delivery.encrypted_key import is_encrypted, read_key, write_key
from groupnl.delivery.layout import Role
from groupnl_device.atomic import write_atomically

FILE = "file"
Secrets = Callable[[str, str], str]  # kind ("passphrase", "new passphrase", "pin") and the key's name, to the secret


@dataclass(frozen=True)
class KeyEntry:
    """A key that this machine can sign with.

    Attributes:
        name: As its file is called, such as ``targets-1``.
        folder: Where that lies.
        uri: Where the private part is; ``file:`` is relative to the folder.
        public: The public part.
    """

    name: str
    folder: Path
    uri: str
    public: Key

    def signer(self, secrets: Secrets) -> Signer:
        """What signs with it.

        Raises:
            ValueError: The private part cannot be used; the message says which and why.
        """
        scheme, _, place = self.uri.partition(":")
        try:
            if scheme != FILE:
                return Signer.from_priv_key_uri(self.uri, self.public, lambda kind: secrets(kind, self.name))
            pem = (self.folder / place).read_bytes()
            passphrase = secrets("passphrase", self.name) if is_encrypted(pem) else None
            if not isinstance(self.public, SSlibKey):
                raise ValueError(f"a key of type {self.public.keytype} does not lie in a file")
            return CryptoSigner(read_key(pem, passphrase), self.public)
        except Exception as error:  # the signers of tokens and services raise what their libraries do
            raise ValueError(f"key {self.name} ({self.uri}): {error}") from error


class Keyring:
    """The keys of some folders, those of the first one first.

    Args:
        folders: Of keys; one that is not there (an offline medium) holds none.
        secrets: Asked for passphrases and pins, and only for keys that are used.
    """

    def __init__(self, folders: Sequence[Path], secrets: Secrets) -> None:
        self.folders = tuple(folders)
        self._secrets = secrets

    def entries(self) -> list[KeyEntry]:
        """All keys, by name.

        Raises:
            ValueError: A file is no key.
        """
        return [_read(path) for folder in self.folders for path in sorted(folder.glob("*-*.json"))]

    def signers(self, root: Root, role: Role) -> list[Signer]:
        """What signs for a role: each key that is here and that the root names for it.

        Raises:
            ValueError: They are too few, or one cannot be used.
        """
        needed = root.roles[role]
        by_id = {entry.public.keyid: entry for entry in reversed(self.entries())}  # one may be noted twice
        here = sorted((by_id[keyid] for keyid in needed.keyids if keyid in by_id), key=lambda entry: entry.name)
        if len(here) < needed.threshold:
            found = ", ".join(entry.name for entry in here) or "none"
            raise ValueError(
                f"signing {role} takes {needed.threshold} of the repository's {len(needed.keyids)} keys for it; in "
                f"{', '.join(map(str, self.folders))}: {found}. Give the folder that holds them"
                + (" (--root-keys)" if role == "root" else " (--keys)")
            )
        return [entry.signer(self._secrets) for entry in here]


def make_key(folder: Path, role: Role, secrets: Secrets | None) -> KeyEntry:
    """Make an Ed25519 key for a role and write it, the private part first and readable by this user only.

    Args:
        folder: Made where absent.
        role: Begins the key's name; a number follows that no other key there has.
        secrets: Gives the passphrase that encrypts the private part; None: it is not encrypted.

    Raises:
        ValueError: The passphrase is empty.
    """
    key = Ed25519PrivateKey.generate()
    name = _free_name(folder, role)
    passphrase = None if secrets is None else secrets("new passphrase", name)
    if passphrase == "":
        raise ValueError(f"key {name}: the passphrase is empty")
    pem = write_key(key, passphrase)
    descriptor = os.open(folder / f"{name}.pem", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())
    return _write(KeyEntry(name, folder, f"{FILE}:{name}.pem", SSlibKey.from_crypto(key.public_key())))


def add_key(folder: Path, role: Role, uri: str, public: Key) -> KeyEntry:
    """Note a key that lies elsewhere."""
    return _write(KeyEntry(_free_name(folder, role), folder, uri, public))


def _free_name(folder: Path, role: Role) -> str:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    number = 1
    while any((folder / f"{role}-{number}.{ending}").exists() for ending in ("json", "pem")):
        number += 1
    return f"{role}-{number}"


def _write(entry: KeyEntry) -> KeyEntry:
    document = {"uri": entry.uri, "public": {"keyid": entry.public.keyid, **entry.public.to_dict()}}
    text = json.dumps(document, indent=2, sort_keys=True) + "\n"
    write_atomically(entry.folder / f"{entry.name}.json", lambda file: file.write(text.encode()))
    return entry


def _read(path: Path) -> KeyEntry:
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        public = dict(document["public"])
        return KeyEntry(path.stem, path.parent, str(document["uri"]), Key.from_dict(public.pop("keyid"), public))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: not a key ({type(error).__name__}: {error})") from error
