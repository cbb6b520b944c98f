"""Publishes a bundle as a channel's next version, with patches from the versions before."""

from copy import deepcopy
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from tuf.api.metadata import TargetFile

from groupnl.delivery.commit import NewFile, commit, refuse_unfinished
from groupnl.delivery.errors import RepositoryError
from groupnl.delivery.layout import target_name
from groupnl.delivery.patches import make_patch
from groupnl.delivery.releases import next_version, releases_of
from groupnl.delivery.repository import Repository
from groupnl.delivery.state import State
from groupnl_device.bundle import Bundle
from groupnl_device.delivery.release import Needs, Release, Rollout, check_channel, patch_path
from groupnl_device.repack import compressed, stored

MOST_PATCHES = 100


@dataclass(frozen=True)
class Published:
    """What was published.

    Attributes:
        release: As devices see it.
        size_bytes: Of the file that a device downloads.
        sha256: Of it.
        patch_bytes: By the older version that a patch starts from, its size.
    """

    release: Release
    size_bytes: int
    sha256: str
    patch_bytes: dict[int, int]


def publish(
    repository: Repository,
    bundle: str | Path,
    channel: str,
    *,
    rollout: Rollout | None = None,
    most_latency_ms: float | None = None,
    memory_bytes: int | None = None,
    patches: int = 3,
) -> Published:
    """Publish a bundle.

    Args:
        repository: With the keys of targets, snapshot and timestamp.
        bundle: The file.
        channel: Its next version is what the bundle becomes.
        rollout: Which devices take it; None: all of the channel.
        most_latency_ms: A device on which a picture takes longer keeps its old model; None: no limit.
        memory_bytes: Of free memory that a device must have; None: the size of the unpacked bundle, which is the least.
        patches: From how many of the channel's latest versions to make a patch. One that is not smaller than the file
            is left out.

    Raises:
        ConflictError: Another publisher was first.
        UnfinishedError: Another publisher has not ended its change.
        RepositoryError: The repository is not as it should be.
        BundleError: The file is no bundle.
        ValueError: A wrong argument, a bundle without a self-test, or a key that is missing.
        OSError: The bundle or the store cannot be read or written.
    """
    check_channel(channel)
    if not 0 <= patches <= MOST_PATCHES:
        raise ValueError(f"patches={patches}: expected 0 to {MOST_PATCHES}")
    new = Bundle.open(bundle)
    if new.manifest.self_test is None:
        raise ValueError(f"{bundle}: carries no sample pictures, without which no device takes it; export it again")
    before = repository.state()
    refuse_unfinished(repository, before.next_number)
    version = next_version(before.targets, channel)
    content, plain = compressed(new), stored(new)
    made = _patches(repository, before, channel, new, patches, len(content))
    release = Release(
        channel=channel,
        version=version,
        model=new.manifest.name,
        published=repository.clock().isoformat(),
        rollout=rollout or Rollout(),
        needs=_needs(new, len(plain) if memory_bytes is None else memory_bytes),
        stored_sha256=sha256(plain).hexdigest(),
        stored_bytes=len(plain),
        patches={older: patch_path(channel, version, older) for older in made},
        most_latency_ms=most_latency_ms,
    )
    files = [_new_file(release.path, content, release.to_custom())]
    files += [_new_file(path, made[older], {}) for older, path in release.patches.items()]
    targets = deepcopy(before.targets)
    targets.targets.update({file.target.path: file.target for file in files})
    commit(repository, before, targets, files)
    sizes = {older: len(patch) for older, patch in made.items()}
    return Published(release, len(content), sha256(content).hexdigest(), sizes)


def _patches(
    repository: Repository, before: State, channel: str, new: Bundle, count: int, most_bytes: int
) -> dict[int, bytes]:
    """By older version, the patches that are worth it."""
    earlier = [release for release in releases_of(before.targets) if release.channel == channel]
    made = {}
    for release in earlier[max(0, len(earlier) - count) :]:
        old = Bundle.from_bytes(_read_target(repository, before.targets.targets[release.path]))
        patch = make_patch(old, new)
        if len(patch) < most_bytes:
            made[release.version] = patch
    return made


def _read_target(repository: Repository, target: TargetFile) -> bytes:
    name = target_name(target.path, target.hashes["sha256"])
    content = repository.store.read(name)
    if content is None or sha256(content).hexdigest() != target.hashes["sha256"]:
        raise RepositoryError(
            f"{repository.store.where}: {name} is missing or another file than was published; restore it from a copy, "
            "or publish with no patches"
        )
    return content


def _new_file(path: str, content: bytes, custom: dict[str, Any]) -> NewFile:
    target = TargetFile.from_data(path, content, ["sha256"])
    target.unrecognized_fields["custom"] = custom
    return NewFile(target, content)


def _needs(bundle: Bundle, memory_bytes: int) -> Needs:
    manifest = bundle.manifest
    return Needs(
        runtimes=tuple(dict.fromkeys(artifact.runtime for artifact in manifest.artifacts)),
        input_size=manifest.preprocessing.input_size,
        memory_bytes=memory_bytes,
        format_version=manifest.format_version,
    )
