"""Each threat of The Update Framework's list (specification, section 1.5.2) as a test named after it."""

import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from device.tests.delivery.http_server import Server, endless, serving, stalled_after, stalled_in_headers
from device.tests.delivery.signed_repository import SignedRepository, in_days, release_custom, sign
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, MetaFile
from tuf.ngclient._internal import trusted_metadata_set

from groupnl_device.delivery import trust
from groupnl_device.delivery.catalogue import Catalogue
from groupnl_device.delivery.download import download
from groupnl_device.delivery.errors import (
    ClockError,
    ContentError,
    ExpiredError,
    MetadataError,
    OldMetadataError,
    SignatureError,
    SlowError,
)
from groupnl_device.delivery.fetch import Fetcher
from groupnl_device.delivery.patience import Patience

MODEL = "stable/1/model.gnl"
CONTENT = bytes(range(256)) * 1000
QUICK = Patience(attempts=2, first_wait_seconds=0, window_seconds=0.2, least_rate=10**7)  # a test's server is local


@dataclass
class World:
    """A repository, the server between it and the device, and the device."""

    repository: SignedRepository
    server: Server
    folder: Path
    root: bytes

    def refresh(self, patience: Patience | None = None) -> Catalogue:
        with Fetcher(patience or Patience(attempts=1)) as fetcher:
            return trust.refresh(self.server.url, self.folder / "metadata", self.root, fetcher)

    def pull(self, path: str = MODEL, patience: Patience | None = None) -> bytes:
        file = self.refresh().file(path)
        with Fetcher(patience or Patience(attempts=1)) as fetcher:
            return download(file, self.folder / "staging", fetcher).path.read_bytes()

    def staged(self) -> list[bytes]:
        return [path.read_bytes() for path in (self.folder / "staging").iterdir()]

    def trusted_version(self, role: str) -> int:
        version: int = Metadata.from_file(str(self.folder / "metadata" / f"{role}.json")).signed.version
        return version


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    repository = SignedRepository(threshold=2)
    repository.add(MODEL, CONTENT, release_custom())
    repository.publish()
    with serving() as server:
        server.files = repository.files
        yield World(repository, server, tmp_path, repository.first_root)


def test_without_an_attack_the_model_arrives(world: World) -> None:
    assert world.pull() == CONTENT
    assert [release.path for release in world.refresh().releases] == [MODEL]


def test_arbitrary_software_attack(world: World) -> None:
    place = world.repository.place(MODEL)
    world.repository.files[place] = bytes(len(CONTENT))
    with pytest.raises(ContentError, match="its sha256 is"):
        world.pull()
    assert world.staged() == []

    # The attacker describes its file in metadata of its own, signed with keys of its own.
    world.repository.add(MODEL, b"malware", release_custom())
    world.repository.signers = {
        role: [CryptoSigner.generate_ed25519() for _ in keys] for role, keys in world.repository.signers.items()
    }
    world.repository.publish()
    with pytest.raises(SignatureError, match="timestamp"):
        world.pull()
    assert world.staged() == []


def test_endless_data_attack_on_metadata(world: World) -> None:
    world.server.answers["/metadata/timestamp.json"] = endless(b" " * 4096)
    with pytest.raises(ContentError, match="longer than 16384 bytes"):
        world.refresh()


def test_endless_data_attack_on_a_target(world: World) -> None:
    world.server.answers[world.repository.place(MODEL)] = endless(b"\0" * 4096)
    with pytest.raises(ContentError, match="its sha256 is"):
        world.pull()
    assert world.staged() == []

    world.server.answers[world.repository.place(MODEL)] = lambda request: request.begin(
        200, {"Content-Length": str(10**15)}
    )
    with pytest.raises(ContentError, match="the server's file has 1000000000000000 bytes"):
        world.pull()


def test_extraneous_dependencies_attack(world: World) -> None:
    """More than was asked for: a patch that the signed release does not name, on the server and in the metadata."""
    extra = "stable/1/from-0.patch"
    world.repository.files["/targets/" + extra] = b"malware"
    catalogue = world.refresh()
    with pytest.raises(MetadataError, match="not among the 1 files"):
        catalogue.file(extra)

    world.repository.add(extra, b"malware")
    true_keys, world.repository.signers["targets"] = world.repository.signers["targets"], []
    world.repository.publish()
    with pytest.raises(SignatureError, match="targets"):
        world.refresh()
    world.repository.signers["targets"] = true_keys[:1]  # one key of the two that are needed
    world.repository.publish()
    with pytest.raises(SignatureError, match="targets"):
        world.refresh()


def test_fast_forward_attack(world: World) -> None:
    """Stolen keys push the versions far ahead; after new keys the true, lower versions count again."""
    repository = world.repository
    world.refresh()
    repository.snapshot.version = repository.timestamp.version = 2**31
    repository.publish("snapshot", "timestamp")
    world.refresh()
    assert world.trusted_version("timestamp") == 2**31 + 1

    repository.snapshot.version, repository.timestamp.version = 2, 2
    repository.publish("snapshot", "timestamp")
    with pytest.raises(OldMetadataError, match=r"New timestamp version 3 must be >= 2147483649"):
        world.refresh()

    repository.rotate("snapshot", "timestamp")
    repository.publish("root", "snapshot", "timestamp")
    assert world.pull() == CONTENT
    assert world.trusted_version("timestamp") == 4


def _at(monkeypatch: pytest.MonkeyPatch, now: datetime.datetime) -> None:
    class Clock(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:
            return now

    class Module:
        timezone = datetime.timezone
        datetime = Clock

    monkeypatch.setattr(trusted_metadata_set, "datetime", Module)
    monkeypatch.setattr(trust, "datetime", Clock)


def test_indefinite_freeze_attack(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.refresh()
    _at(monkeypatch, in_days(31))  # and the server still shows what it showed
    with pytest.raises(ExpiredError, match=r"expired; by the device's clock it is \d{4}-"):
        world.refresh()

    _at(monkeypatch, in_days(-1))  # a clock that was set back does not make old metadata fresh
    with pytest.raises(ClockError, match="set the clock"):
        world.refresh()


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets", "root"])
def test_indefinite_freeze_attack_by_one_role(world: World, role: str) -> None:
    getattr(world.repository, role).expires = in_days(-1)
    world.repository.publish(*(["root"] if role == "root" else []), "targets", "snapshot", "timestamp")
    with pytest.raises(ExpiredError, match=f"{role}.* expired"):
        world.refresh()


def test_mix_and_match_attack(world: World) -> None:
    """Files that were all signed, but never at the same time."""
    files = world.repository.files
    old = dict(files)
    world.repository.add("stable/2/model.gnl", b"newer", release_custom(version=2))
    world.repository.publish()
    new = dict(files)

    files["/metadata/3.targets.json"] = old["/metadata/2.targets.json"]
    with pytest.raises(OldMetadataError, match="Expected targets v3, got v2"):
        world.refresh()
    files.update(new)
    files["/metadata/3.snapshot.json"] = old["/metadata/2.snapshot.json"]
    (world.folder / "metadata/snapshot.json").unlink()
    with pytest.raises(OldMetadataError, match="Expected snapshot version 3, got 2"):
        world.refresh()

    files.update(new)
    world.repository.targets.expires = in_days(29)
    files["/metadata/3.targets.json"] = sign(world.repository.targets, world.repository.signers["targets"])
    world.repository.snapshot.meta["targets.json"] = MetaFile.from_data(3, new["/metadata/3.targets.json"], ["sha256"])
    world.repository.snapshot.version = 4
    files["/metadata/4.snapshot.json"] = sign(world.repository.snapshot, world.repository.signers["snapshot"])
    world.repository.timestamp.snapshot_meta = MetaFile(4)
    world.repository.timestamp.version += 1
    files["/metadata/timestamp.json"] = sign(world.repository.timestamp, world.repository.signers["timestamp"])
    with pytest.raises(ContentError, match="hash"):
        world.refresh()


def test_rollback_attack(world: World) -> None:
    files = world.repository.files
    old = dict(files)
    world.repository.add("stable/2/model.gnl", b"newer", release_custom(version=2))
    world.repository.publish()
    assert world.pull("stable/2/model.gnl") == b"newer"

    new = dict(files)
    files["/metadata/timestamp.json"] = old["/metadata/timestamp.json"]
    with pytest.raises(OldMetadataError, match="New timestamp version 2 must be >= 3"):
        world.refresh()
    files.update(new)
    assert world.refresh().releases[-1].version == 2


def test_rollback_attack_with_stolen_online_keys(world: World) -> None:
    """Whoever can sign timestamps and snapshots still cannot bring back older targets, or drop them."""
    repository = world.repository
    repository.publish()
    world.refresh()

    repository.timestamp.version += 1
    repository.timestamp.snapshot_meta = MetaFile(1)
    stamp = sign(repository.timestamp, repository.signers["timestamp"])
    repository.files["/metadata/timestamp.json"] = stamp
    with pytest.raises(OldMetadataError, match="New snapshot version must be >= 3, got version 1"):
        world.refresh()

    repository.targets.version = 1
    repository.publish("snapshot", "timestamp")
    with pytest.raises(OldMetadataError, match=r"Expected targets\.json version"):
        world.refresh()
    assert world.trusted_version("targets") == 3


def test_key_compromise_attack(world: World) -> None:
    """Keys below the threshold are worth nothing; stolen ones lose their worth by rotation."""
    repository = world.repository
    world.refresh()
    stolen = {role: list(keys) for role, keys in repository.signers.items()}

    repository.signers = {**stolen, "root": stolen["root"][:1]}  # one key of the two that a root needs
    repository.root.add_key(CryptoSigner.generate_ed25519().public_key, "targets")
    repository.publish("root")
    with pytest.raises(SignatureError, match="root"):
        world.refresh()
    assert world.trusted_version("root") == 1

    repository.signers = dict(stolen)
    repository.root.version = 1
    repository.rotate(*stolen)
    repository.publish("root", "targets", "snapshot", "timestamp")
    assert world.pull() == CONTENT
    assert world.trusted_version("root") == 2

    repository.signers = {**stolen, "root": stolen["root"][:2]}
    repository.add(MODEL, b"malware", release_custom())
    repository.publish()
    with pytest.raises(SignatureError, match="timestamp"):
        world.refresh()
    repository.root.version = 2
    repository.publish("root")
    with pytest.raises(SignatureError, match="root"):
        world.refresh()
    assert world.trusted_version("root") == 2


def test_wrong_target_attack(world: World) -> None:
    """Genuine files in each other's place: an older model, another channel's, all signed by the same keys."""
    repository = world.repository
    other = bytes(reversed(CONTENT))
    repository.add("stable/2/model.gnl", other, release_custom(version=2))
    repository.publish()
    files = repository.files
    first, second = repository.place(MODEL), repository.place("stable/2/model.gnl")
    files[first], files[second] = files[second], files[first]
    with pytest.raises(ContentError, match="its sha256 is"):
        world.pull("stable/2/model.gnl")
    assert world.staged() == []

    # A signed target whose custom field speaks of another one is no release.
    repository.targets.targets[MODEL].unrecognized_fields["custom"] = release_custom(version=7)
    repository.publish()
    catalogue = world.refresh()
    assert [release.version for release in catalogue.releases] == [2]
    assert catalogue.unreadable == {MODEL: "it calls itself 'stable/7/model.gnl'"}


def test_slow_retrieval_attack_on_metadata(world: World) -> None:
    world.server.answers["/metadata/timestamp.json"] = stalled_in_headers
    with pytest.raises(SlowError, match=r"/timestamp\.json: \d+ bytes in .* s, expected 1e\+07 bytes/s or more"):
        world.refresh(QUICK)


def test_slow_retrieval_attack_on_a_target(world: World) -> None:
    world.server.answers[world.repository.place(MODEL)] = stalled_after(CONTENT[:100], len(CONTENT))
    with pytest.raises(SlowError, match=r"/stable/1/.*\.gnl: \d+ bytes in .* s, expected 1e\+07 bytes/s or more"):
        world.pull(patience=QUICK)
    assert world.staged() == [CONTENT[:100]]
    del world.server.answers[world.repository.place(MODEL)]
    assert world.pull() == CONTENT
    assert world.server.requests[-1] == (world.repository.place(MODEL), "bytes=100-")
