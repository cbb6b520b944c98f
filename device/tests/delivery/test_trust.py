"""Bringing metadata up to date: what is kept, what is refused, what a killed run leaves. Attacks: test_attacks.py."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from device.tests.delivery.http_server import Server, serving, status
from device.tests.delivery.signed_repository import SignedRepository, in_days, release_custom, sign
from tuf.api.metadata import Metadata, Root

from groupnl_device.delivery import trust
from groupnl_device.delivery.catalogue import Catalogue
from groupnl_device.delivery.errors import (
    ClockError,
    ContentError,
    MetadataError,
    NetworkError,
    SignatureError,
    StorageError,
)
from groupnl_device.delivery.fetch import Fetcher
from groupnl_device.delivery.patience import Patience
from groupnl_device.delivery.trust import refresh

MODEL = "stable/1/model.gnl"


@pytest.fixture
def repository() -> SignedRepository:
    repository = SignedRepository()
    repository.add(MODEL, b"model", release_custom())
    repository.publish()
    return repository


@pytest.fixture
def server(repository: SignedRepository) -> Iterator[Server]:
    with serving() as server:
        server.files = repository.files
        yield server


def update(server: Server, folder: Path, root: bytes) -> Catalogue:
    with Fetcher(Patience(attempts=1)) as fetcher:
        return refresh(server.url + "/", folder, root, fetcher)


def test_the_catalogue(server: Server, repository: SignedRepository, tmp_path: Path) -> None:
    repository.timestamp.expires = tomorrow = in_days(1)
    repository.targets.unrecognized_fields["groupnl"] = {"withdrawn": {"stable": [9]}}
    repository.publish()
    offered = update(server, tmp_path / "deep/metadata", repository.first_root)
    assert [release.path for release in offered.releases] == [MODEL]
    assert offered.file(MODEL).url == server.url + repository.place(MODEL)
    assert offered.version == 3
    assert offered.expires == tomorrow
    assert abs(offered.made - datetime.now(UTC)) < timedelta(hours=1)
    assert offered.withdrawn == {"stable": {9}}


def test_a_second_refresh_asks_for_what_may_be_new_only(
    server: Server, repository: SignedRepository, tmp_path: Path
) -> None:
    first = update(server, tmp_path, repository.first_root)
    server.requests.clear()
    assert update(server, tmp_path, repository.first_root) == first
    assert [path for path, _ in server.requests] == ["/metadata/2.root.json", "/metadata/timestamp.json"]


def test_rotated_roots_are_fetched_once(server: Server, repository: SignedRepository, tmp_path: Path) -> None:
    for _ in range(3):
        repository.rotate("timestamp")
        repository.publish("root", "timestamp")
    update(server, tmp_path, repository.first_root)
    server.requests.clear()
    update(server, tmp_path, repository.first_root)
    assert server.requests[0] == ("/metadata/5.root.json", None)
    assert Metadata[Root].from_file(str(tmp_path / "root.json")).signed.version == 4


def test_the_root_is_never_taken_on_first_use(server: Server, repository: SignedRepository, tmp_path: Path) -> None:
    """Another repository's root came with the device: nothing here counts, also where this root lies in the folder."""
    other = SignedRepository()
    update(server, tmp_path, repository.first_root)
    for folder in (tmp_path, tmp_path / "new"):
        with pytest.raises(SignatureError, match="timestamp"):
            update(server, folder, other.first_root)
    assert not (tmp_path / "new/targets.json").exists()


@pytest.mark.parametrize("root", [b"", b"{}", b"not json", b"[" * 100_000])
def test_a_root_that_is_none(server: Server, tmp_path: Path, root: bytes) -> None:
    with pytest.raises(MetadataError, match="the device's own root metadata cannot be used"):
        update(server, tmp_path, root)
    assert server.requests == []


def test_a_root_that_its_own_keys_have_not_signed(server: Server, repository: SignedRepository, tmp_path: Path) -> None:
    forged = repository.first_root.replace(b'"version": 1', b'"version": 2').replace(b'"version":1', b'"version":2')
    assert forged != repository.first_root
    with pytest.raises(MetadataError, match=r"own root metadata cannot be used.*root was signed by 0/1 keys"):
        update(server, tmp_path, forged)


@pytest.mark.parametrize("name", ["timestamp.json", "2.snapshot.json", "2.targets.json"])
@pytest.mark.parametrize("content", [b"", b"{}", b"[" * 10_000, b'{"signed": 1, "signatures": []}', b"\xff"])
def test_malformed_metadata(
    server: Server, repository: SignedRepository, tmp_path: Path, name: str, content: bytes
) -> None:
    repository.files[f"/metadata/{name}"] = content
    with pytest.raises(MetadataError):
        update(server, tmp_path, repository.first_root)


def test_more_metadata_than_a_device_has_memory_for(
    server: Server, repository: SignedRepository, tmp_path: Path
) -> None:
    repository.files["/metadata/2.targets.json"] = bytes(trust.MOST_TARGETS + 1)
    with pytest.raises(ContentError, match="longer than 2000000 bytes"):
        update(server, tmp_path, repository.first_root)


def test_absent_metadata(server: Server, repository: SignedRepository, tmp_path: Path) -> None:
    del repository.files["/metadata/timestamp.json"]
    with pytest.raises(NetworkError, match=r"/metadata/timestamp\.json: HTTP status 404"):
        update(server, tmp_path, repository.first_root)


def test_a_broken_server_is_not_taken_for_the_end_of_the_roots(
    server: Server, repository: SignedRepository, tmp_path: Path
) -> None:
    server.answers["/metadata/2.root.json"] = status(500)
    with pytest.raises(NetworkError, match="HTTP status 500"):
        update(server, tmp_path, repository.first_root)
    assert len(server.requests) == 1


def test_refuses_an_address_that_is_none(tmp_path: Path) -> None:
    with Fetcher() as fetcher, pytest.raises(ValueError, match="expected an address"):
        refresh("/srv/models", tmp_path, b"", fetcher)


class TestClock:
    def publish(self, repository: SignedRepository, made: object) -> None:
        repository.publish()
        repository.timestamp.unrecognized_fields["groupnl"] = made
        repository.files["/metadata/timestamp.json"] = sign(repository.timestamp, repository.signers["timestamp"])

    def test_before_the_metadata_were_made(self, server: Server, repository: SignedRepository, tmp_path: Path) -> None:
        self.publish(repository, {"made": in_days(1).isoformat()})
        with pytest.raises(ClockError, match=r"the device's clock says .*, but .* were made at .*; set the clock"):
            update(server, tmp_path, repository.first_root)

    @pytest.mark.parametrize("zone", ["+00:00", "Z", ""])
    def test_a_few_minutes_do_no_harm(
        self, server: Server, repository: SignedRepository, tmp_path: Path, zone: str
    ) -> None:
        made = (datetime.now(UTC) + timedelta(minutes=3)).replace(tzinfo=None).isoformat()
        self.publish(repository, {"made": made + zone})
        update(server, tmp_path, repository.first_root)

    @pytest.mark.parametrize("made", [None, [], {}, {"made": None}, {"made": 5}, {"made": "yesterday"}])
    def test_metadata_that_do_not_say_when(
        self, server: Server, repository: SignedRepository, tmp_path: Path, made: object
    ) -> None:
        self.publish(repository, made)
        with pytest.raises(MetadataError, match="does not say when it was made"):
            update(server, tmp_path, repository.first_root)


class TestFolder:
    def test_leftovers_of_killed_runs_go(self, server: Server, repository: SignedRepository, tmp_path: Path) -> None:
        update(server, tmp_path, repository.first_root)
        (tmp_path / "tmpabcd1234").write_bytes(b"half")
        (tmp_path / "root.json").unlink()  # killed between removing and making the link
        update(server, tmp_path, repository.first_root)
        assert sorted(path.name for path in tmp_path.iterdir()) == [
            "root.json",
            "root_history",
            "snapshot.json",
            "targets.json",
            "timestamp.json",
        ]

    @pytest.mark.parametrize("name", ["timestamp.json", "snapshot.json", "targets.json"])
    @pytest.mark.parametrize("content", [b"", b"{", None])
    def test_spoiled_files_are_fetched_again(
        self, server: Server, repository: SignedRepository, tmp_path: Path, name: str, content: bytes | None
    ) -> None:
        """As a power cut may leave them."""
        first = update(server, tmp_path, repository.first_root)
        if content is None:
            (tmp_path / name).unlink()
        else:
            (tmp_path / name).write_bytes(content)
        assert update(server, tmp_path, repository.first_root) == first

    def test_everything_is_forced_to_the_disk(
        self, server: Server, repository: SignedRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        synced = set()
        fsync = os.fsync
        monkeypatch.setattr(trust.os, "fsync", lambda fd: (synced.add(os.fstat(fd).st_ino), fsync(fd))[1])
        update(server, tmp_path, repository.first_root)
        kept = [tmp_path, *tmp_path.rglob("*")]
        assert synced == {path.stat().st_ino for path in kept}

    def test_what_was_trusted_before_a_refusal_stays(
        self, server: Server, repository: SignedRepository, tmp_path: Path
    ) -> None:
        update(server, tmp_path, repository.first_root)
        before = {path: path.read_bytes() for path in tmp_path.rglob("*.json")}
        repository.signers["timestamp"] = SignedRepository().signers["timestamp"]
        repository.publish("timestamp")
        with pytest.raises(SignatureError):
            update(server, tmp_path, repository.first_root)
        assert {path: path.read_bytes() for path in tmp_path.rglob("*.json")} == before

    def test_a_folder_that_is_a_file(self, server: Server, repository: SignedRepository, tmp_path: Path) -> None:
        (tmp_path / "metadata").write_bytes(b"")
        with pytest.raises(StorageError, match="metadata cannot be kept"):
            update(server, tmp_path / "metadata", repository.first_root)

    @pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write into read-only folders")
    def test_a_read_only_folder(self, server: Server, repository: SignedRepository, tmp_path: Path) -> None:
        update(server, tmp_path, repository.first_root)
        tmp_path.chmod(0o500)
        try:
            with pytest.raises(StorageError, match="Permission denied"):
                update(server, tmp_path, repository.first_root)
        finally:
            tmp_path.chmod(0o700)
