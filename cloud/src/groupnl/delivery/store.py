"""Where a repository lies: the three things that publishing asks of a folder, of S3 and of SFTP alike."""

from typing import Protocol
from urllib.parse import urlsplit

PROBE = "metadata/.probe"
FORMS = "a folder, s3://BUCKET/FOLDER or sftp://USER@HOST/FOLDER"


class Store(Protocol):
    """Named files. Names are relative, with ``/`` between their parts.

    Attributes:
        where: For messages.
    """

    where: str

    def read(self, name: str) -> bytes | None:
        """The content, or None where there is no such file.

        Raises:
            OSError: It cannot be read.
        """

    def create(self, name: str, content: bytes) -> bool:
        """Write a new file that appears whole or not at all; of several that try, one succeeds.

        Returns:
            False where the name is taken: that file is as it was.

        Raises:
            OSError: It cannot be written; or, after a broken connection, it is not known whether it was.
        """

    def replace(self, name: str, content: bytes) -> None:
        """Write a file or put it in the place of another: readers see the old content or the new one.

        Raises:
            OSError: It cannot be written.
        """


def open_store(url: str) -> Store:
    """The store that a folder's path or an address names.

    Raises:
        ValueError: It is of another kind, or does not keep two publishers apart.
        OSError: It cannot be reached.
    """
    scheme = urlsplit(url).scheme.lower()
    if scheme == "s3":
        from groupnl.delivery.s3_store import S3Store

        return S3Store.connect(url)
    if scheme in ("sftp", "ssh"):
        from groupnl.delivery.sftp_store import SftpStore

        return SftpStore.connect(url)
    if scheme in ("", "file") or len(scheme) == 1:  # one letter: a Windows drive
        from groupnl.delivery.folder_store import FolderStore

        return FolderStore.at(url)
    raise ValueError(
        f"repository {url}: publishing there cannot keep two publishers apart; expected {FORMS}. "
        "Publish to a folder and copy it, timestamp.json last, if devices read it from elsewhere"
    )


def prove_exclusive(store: Store) -> None:
    """Create a file twice; a store that lets the second through would let two publishers overwrite each other.

    Args:
        store: Of a kind whose servers differ in this. The file stays, for the next one who asks.

    Raises:
        ValueError: The store took both.
    """
    store.create(PROBE, b"1")
    if store.create(PROBE, b"2"):
        raise ValueError(
            f"{store.where}: overwrites a file that was to be created only if absent, hence cannot keep two publishers "
            "apart; use a server that can (S3: with conditional writes; SFTP: OpenSSH), or a folder"
        )
