"""Which state of the repository a device believes: one that keys of its own root have signed, and never an older one.

The Update Framework's client (tuf) does the work; here it is started from the root that came with the device, its
errors become ours, the clock is checked, and what it wrote is forced to the disk.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tuf.api import exceptions as tuf
from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp
from tuf.ngclient import Updater, UpdaterConfig

from groupnl_device.delivery.address import check_url
from groupnl_device.delivery.catalogue import Catalogue, catalogue
from groupnl_device.delivery.errors import (
    ClockError,
    ContentError,
    ExpiredError,
    MetadataError,
    NetworkError,
    OldMetadataError,
    SignatureError,
    StorageError,
)
from groupnl_device.delivery.fetch import Fetcher
from groupnl_device.delivery.release import KEY

MOST_TARGETS = 2_000_000  # bytes of targets metadata; to verify them takes 15 times as much memory
_SKEW = timedelta(minutes=5)  # that two clocks may differ without harm
_LEFTOVER = "tmp*"  # how Python names the temporary files of tuf's client


def refresh(repo: str, folder: Path, root: bytes, fetcher: Fetcher) -> Catalogue:
    """Bring the metadata up to date. One process at a time: hold the device's lock.

    Args:
        repo: Address of the repository, where ``metadata/`` and ``targets/`` lie.
        folder: Where the trusted metadata are kept between pulls; made if absent.
        root: The content of the root metadata that came with the device.
        fetcher: The network.

    Raises:
        ValueError: ``repo`` is no address.
        DeliveryError: One of its children says what is wrong; nothing that is not trusted was stored.
    """
    base = check_url(repo).rstrip("/")
    with trusted_updater(f"{base}/metadata/", folder, root, fetcher) as updater:
        updater.refresh()
        # What tuf has just verified, as it stored it.
        stamp = Metadata[Timestamp].from_file(str(folder / "timestamp.json")).signed
        snapshot = Metadata[Snapshot].from_file(str(folder / "snapshot.json")).signed
        targets = Metadata[Targets].from_file(str(folder / "targets.json")).signed
        made = _made(stamp)
        _check_clock(made)
        expires = min(stamp.expires, snapshot.expires, targets.expires, trusted_root(folder).expires)
        return catalogue(targets, f"{base}/targets", made=made, expires=expires)


@contextmanager
def trusted_updater(metadata_url: str, folder: Path, root: bytes, fetcher: Fetcher) -> Iterator[Updater]:
    """An updater of tuf that trusts that root alone; its errors become ours, and its files are on the disk at the end.

    Args:
        metadata_url: Where the metadata lie.
        folder: Where they are kept.
        root: The content of the trusted root metadata.
        fetcher: The network.
    """
    with _our_errors():
        folder.mkdir(parents=True, exist_ok=True)
        for leftover in folder.glob(_LEFTOVER):  # of a run that was killed
            leftover.unlink()
        if not root:  # tuf 6 would take it for none, and trust what lies in the folder
            raise MetadataError("the device's own root metadata cannot be used: the file is empty")
        try:
            config = UpdaterConfig(targets_max_length=MOST_TARGETS)
            updater = Updater(str(folder), metadata_url, fetcher=fetcher, config=config, bootstrap=root)
        except tuf.RepositoryError as error:
            raise MetadataError(f"the device's own root metadata cannot be used: {error}") from error
        try:
            yield updater
        finally:
            _force_to_disk(folder)


def trusted_root(folder: Path) -> Root:
    """The root that is trusted now."""
    return Metadata[Root].from_file(str(folder / "root.json")).signed


@contextmanager
def _our_errors() -> Iterator[None]:
    try:
        yield
    except tuf.ExpiredMetadataError as error:
        raise ExpiredError(f"{error}; by the device's clock it is {_now():%Y-%m-%d %H:%M} UTC") from error
    except tuf.UnsignedMetadataError as error:
        raise SignatureError(str(error)) from error
    except tuf.BadVersionNumberError as error:
        raise OldMetadataError(str(error) or type(error).__name__) from error
    except tuf.LengthOrHashMismatchError as error:
        raise ContentError(str(error)) from error
    except tuf.RepositoryError as error:
        raise MetadataError(str(error)) from error
    except tuf.DownloadError as error:
        raise NetworkError(str(error)) from error
    except (OSError, tuf.StorageError) as error:
        raise StorageError(f"metadata cannot be kept: {error}") from error


def _made(stamp: Timestamp) -> datetime:
    """When the timestamp metadata were made.

    Raises:
        MetadataError: They do not say.
    """
    told: Any = stamp.unrecognized_fields.get(KEY)
    try:
        made = datetime.fromisoformat(told["made"])
    except (TypeError, KeyError, ValueError):
        raise MetadataError("timestamp.json does not say when it was made; publish with groupnl") from None
    return made if made.tzinfo else made.replace(tzinfo=UTC)


def _check_clock(made: datetime) -> None:
    """A clock that stands before the metadata's own time would take expired ones for fresh.

    Raises:
        ClockError: It does.
    """
    if (now := _now()) < made - _SKEW:
        raise ClockError(
            f"the device's clock says {now:%Y-%m-%d %H:%M} UTC, but the repository's metadata were made at "
            f"{made:%Y-%m-%d %H:%M} UTC; set the clock"
        )


def _now() -> datetime:
    return datetime.now(UTC)


def _force_to_disk(folder: Path) -> None:
    """The updater renames its files into place without a sync: after a power cut they could be empty."""
    history = folder / "root_history"
    names = [path for path in (*folder.glob("*.json"), *history.glob("*.json")) if path.is_file()]
    for path in (*names, history, folder):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
