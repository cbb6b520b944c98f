"""Gets a version's model into the staging folder by the cheapest way: a patch to what is in use, else the full file."""

from dataclasses import dataclass
from pathlib import Path

from groupnl_device.delivery.catalogue import Catalogue, TargetFile
from groupnl_device.delivery.disk import is_full, remove, sha256_of
from groupnl_device.delivery.download import Download, download
from groupnl_device.delivery.errors import ContentError, MetadataError, PatchError
from groupnl_device.delivery.fetch import Fetcher
from groupnl_device.delivery.patch import apply_patch
from groupnl_device.delivery.release import Release
from groupnl_device.delivery.slots import Installed, Way


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where versions come from in one pull.

    Attributes:
        catalogue: What the repository's signed metadata list.
        staging: Folder of what is being downloaded.
        fetcher: Reads from the network.
    """

    catalogue: Catalogue
    staging: Path
    fetcher: Fetcher

    def get(self, file: TargetFile) -> Download:
        """Download a file, or go on where an earlier pull stopped.

        Raises:
            DeliveryError: See :func:`groupnl_device.delivery.download.download`.
        """
        return download(file, self.staging, self.fetcher)


@dataclass(frozen=True, kw_only=True)
class Arrived:
    """A model in the staging folder, its hash verified.

    Attributes:
        path: Of the file.
        sha256: Of the file.
        length: Of the file, bytes.
        way: How it came.
        received_bytes: From the network, in this pull; of a patch that came whole and did not fit as well.
        reused_bytes: That an earlier pull had received.
        patch_refused: Why a patch that was tried did not serve; None: it did, or none was tried.
    """

    path: Path
    sha256: str
    length: int
    way: Way
    received_bytes: int
    reused_bytes: int
    patch_refused: str | None = None


def acquire(release: Release, source: Source, active: Installed | None, model: Path) -> Arrived:
    """Get a version's model.

    Args:
        release: The version.
        source: Where it comes from.
        active: What is in use.
        model: The file that is in use; a patch starts from it.

    Raises:
        DeliveryError: It cannot be had; what came stays in the staging folder for the next attempt.
        OSError: The disk refuses.
    """
    full = source.catalogue.file(release.path)
    patch = _patch_for(release, source.catalogue, active)
    _clear(source.staging, keep={full.sha256} | ({patch.sha256} if patch else set()))
    received, refused = 0, None
    if patch is not None and patch.length < full.length - _already(full, source.staging):
        patched = source.staging / f"{release.stored_sha256}.patched"
        try:
            got = source.get(patch)
            received = got.received_bytes
            _apply(model, got.path, patched, release)
        except (PatchError, ContentError) as error:
            refused = str(error)
            remove(source.staging / f"{patch.sha256}.part")
        except OSError as error:
            if not is_full(error):
                raise
            refused = "the disk has no room for what the patch makes"  # the full file may be smaller: it is compressed
            remove(source.staging / f"{patch.sha256}.part")
        else:
            return Arrived(
                path=patched,
                sha256=release.stored_sha256,
                length=release.stored_bytes,
                way="patch",
                received_bytes=received,
                reused_bytes=got.reused_bytes,
            )
    got = source.get(full)
    return Arrived(
        path=got.path,
        sha256=full.sha256,
        length=full.length,
        way="full",
        received_bytes=received + got.received_bytes,
        reused_bytes=got.reused_bytes,
        patch_refused=refused,
    )


def clear(staging: Path) -> None:
    """Remove all that is in the staging folder.

    Raises:
        OSError: The disk refuses.
    """
    _clear(staging, keep=set())


def _patch_for(release: Release, catalogue: Catalogue, active: Installed | None) -> TargetFile | None:
    """The patch from what is in use to this version, where there is one."""
    if active is None or active.channel != release.channel or active.version not in release.patches:
        return None
    try:
        return catalogue.file(release.patches[active.version])
    except MetadataError:  # promised, and not there: the full file serves
        return None


def _apply(model: Path, patch: Path, out: Path, release: Release) -> None:
    """Make the new model, and see that it is the promised one.

    Raises:
        PatchError: It is not.
        OSError: The disk refuses.
    """
    apply_patch(model, patch, out)
    if out.stat().st_size != release.stored_bytes or sha256_of(out) != release.stored_sha256:
        remove(out)
        raise PatchError(f"the patch gives another model than version {release.version} of {release.channel}")


def _already(file: TargetFile, staging: Path) -> int:
    """Bytes of a file that an earlier pull left."""
    part = staging / f"{file.sha256}.part"
    return part.stat().st_size if part.is_file() else 0


def _clear(staging: Path, *, keep: set[str]) -> None:
    """Remove what belongs to other versions than the one that is wanted now."""
    if not staging.is_dir():
        return
    for path in staging.iterdir():
        if path.name.partition(".")[0] not in keep:
            path.unlink()
