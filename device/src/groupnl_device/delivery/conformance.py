"""The client as the public TUF conformance suite drives it: any repository, any target, delegations too.

The form of the command is CLIENT-CLI.md of github.com/theupdateframework/tuf-conformance. What runs is what ``pull``
uses: the same network, the same trust, the same download; only the choice of a model is left out.
"""

import hashlib
from pathlib import Path
from urllib.parse import quote

from groupnl_device.atomic import sync_folder, write_atomically
from groupnl_device.delivery.catalogue import TargetFile, target_file
from groupnl_device.delivery.download import download
from groupnl_device.delivery.errors import MetadataError
from groupnl_device.delivery.fetch import Fetcher
from groupnl_device.delivery.trust import trusted_root, trusted_updater

_ROOT = "root.json"


def provision(metadata: Path, root: Path) -> None:
    """Keep the root that is trusted from now on; nothing is asked of the repository.

    Args:
        metadata: The folder of trusted metadata.
        root: A file.

    Raises:
        OSError: It cannot be read or kept.
    """
    content = root.read_bytes()
    metadata.mkdir(parents=True, exist_ok=True)
    write_atomically(metadata / _ROOT, lambda file: file.write(content))


def refresh(metadata: Path, metadata_url: str) -> None:
    """Bring the metadata up to date.

    Args:
        metadata: The folder of trusted metadata, provisioned before.
        metadata_url: Where the repository has its metadata.

    Raises:
        DeliveryError: They cannot be trusted, or not be had.
        OSError: The folder was not provisioned.
    """
    root = (metadata / _ROOT).read_bytes()
    with Fetcher() as fetcher, trusted_updater(metadata_url, metadata, root, fetcher) as updater:
        updater.refresh()


def fetch_target(metadata: Path, metadata_url: str, name: str, target_base_url: str, folder: Path) -> Path:
    """Bring the metadata up to date, then one target, unless it is there already.

    Args:
        metadata: The folder of trusted metadata, provisioned before.
        metadata_url: Where the repository has its metadata.
        name: The target's path.
        target_base_url: Where the repository has its targets.
        folder: Where the file goes, under its path with all signs but letters and digits quoted.

    Returns:
        The file.

    Raises:
        DeliveryError: It cannot be trusted, or not be had.
        OSError: The metadata were not provisioned, or the folder cannot be written.
    """
    root = (metadata / _ROOT).read_bytes()
    with Fetcher() as fetcher:
        with trusted_updater(metadata_url, metadata, root, fetcher) as updater:
            signed = updater.get_targetinfo(name)
        if signed is None:
            raise MetadataError(f"{name!r}: the signed metadata know no such target")
        prefixed = trusted_root(metadata).consistent_snapshot is True
        file = target_file(signed, target_base_url, prefixed=prefixed)
        place = folder / quote(name, safe="")
        if not _is_there(place, file):
            download(file, folder / ".staging", fetcher).path.replace(place)
            sync_folder(folder)
    return place


def _is_there(place: Path, file: TargetFile) -> bool:
    if not place.is_file() or place.stat().st_size != file.length:
        return False
    with place.open("rb") as stream:
        return hashlib.file_digest(stream, file.algorithm).hexdigest() == file.digest
