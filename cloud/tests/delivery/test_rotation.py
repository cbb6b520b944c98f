"""Keys replaced: devices follow at each step, and what the old keys sign is worth nothing afterwards."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from cloud.tests.delivery.simulated import FailingStore, bundle_file, device_of, new_repository, secret
from tuf.api.metadata import Metadata, Timestamp

from groupnl.delivery import (
    ConflictError,
    Repository,
    RepositoryError,
    RoleKeys,
    make_key,
    publish,
    recover,
    rotate,
)
from groupnl.delivery.keyring import Keyring
from groupnl.delivery.roots import put_root

ONLINE = ["targets", "snapshot", "timestamp"]


def new_key(folder: Path, role: str, number: int = 1) -> list:
    where = folder / ("root-keys" if role == "root" else "keys")
    return [make_key(where, role, None) for _ in range(number)]


def published(folder: Path, **options) -> Repository:
    repository = new_repository(folder, **options)
    publish(repository, bundle_file(folder / "1.gnl", 1), "stable")
    return repository


@pytest.mark.parametrize("role", [*ONLINE, "root"])
def test_devices_follow(tmp_path: Path, role: str) -> None:
    repository = published(tmp_path)
    device = device_of(tmp_path)
    before = device.sees()
    (entry,) = new_key(tmp_path, role)
    root = rotate(repository, role, [entry], 1)
    assert root.roles[role].keyids == [entry.public.keyid]
    assert device.sees() == before
    assert device.root_version() == (2 if role == "root" else 3)
    old = "root-keys/root-1" if role == "root" else f"keys/{role}-1"
    for ending in ("json", "pem"):
        (tmp_path / f"{old}.{ending}").unlink()
    publish(repository, bundle_file(tmp_path / "2.gnl", 2), "stable")
    assert len(device.sees()) == 3
    fresh = device_of(tmp_path, "fresh", (tmp_path / "keys/root.json").read_bytes())
    assert fresh.sees() == device.sees()


def test_a_stolen_key_is_worth_nothing(tmp_path: Path) -> None:
    """The thief sends devices far ahead; after the rotation they come back, and do not believe the thief again."""
    repository = published(tmp_path)
    device = device_of(tmp_path)
    before = device.sees()
    path = tmp_path / "site/metadata/timestamp.json"
    right = path.read_bytes()
    (signer,) = Keyring([tmp_path / "keys"], secret).signers(repository.state().root, "timestamp")
    forged = Metadata[Timestamp].from_bytes(right)
    forged.signed.version = 10**6
    forged.sign(signer)
    path.write_bytes(forged.to_bytes())
    device.sees()
    path.write_bytes(right)
    with pytest.raises(Exception, match=r"must be >= 1000000"):
        device.sees()
    rotate(repository, "timestamp", new_key(tmp_path, "timestamp"), 1)
    assert device.sees() == before
    path.write_bytes(forged.to_bytes())
    with pytest.raises(Exception, match=r"timestamp was signed by 0/1 keys"):
        device.sees()


def test_more_keys_and_a_higher_threshold(tmp_path: Path) -> None:
    repository = published(tmp_path)
    device = device_of(tmp_path)
    before = device.sees()
    rotate(repository, "targets", new_key(tmp_path, "targets", 3), 2)
    assert device.sees() == before
    rotate(repository, "targets", new_key(tmp_path, "targets", 1), 1)
    assert device.sees() == before
    root = rotate(repository, "root", new_key(tmp_path, "root", 3), 2)
    assert (root.roles["root"].threshold, len(root.roles["root"].keyids)) == (2, 3)
    assert device.root_version() == root.version


def test_a_lost_online_key_is_replaced(tmp_path: Path) -> None:
    repository = published(tmp_path)
    (tmp_path / "keys/snapshot-1.pem").unlink()
    (tmp_path / "keys/snapshot-1.json").unlink()
    rotate(repository, "snapshot", new_key(tmp_path, "snapshot"), 1)
    assert len(device_of(tmp_path).sees()) == 1


def test_a_root_takes_its_old_threshold(tmp_path: Path) -> None:
    repository = published(tmp_path, roles={"root": RoleKeys(threshold=2, made=2)})
    (tmp_path / "root-keys/root-1.json").unlink()
    with pytest.raises(ValueError, match=r"signing root takes 2 of the repository's 2 keys .*\(--root-keys\)"):
        rotate(repository, "root", new_key(tmp_path, "root"), 1)
    assert not (tmp_path / "site/metadata/2.root.json").exists()


def test_broken_off_at_every_call(tmp_path: Path) -> None:
    """At each step devices see a whole repository; run again, the rotation comes to its end."""
    role = "targets"
    (tmp_path / "begun").mkdir()
    published(tmp_path / "begun")
    entries = new_key(tmp_path / "begun", role)
    calls = 0
    for fail_at in range(1, 200):
        folder = tmp_path / str(fail_at)
        shutil.copytree(tmp_path / "begun", folder)
        repository = Repository.open(str(folder / "site"), folder / "keys", secret, [folder / "root-keys"])
        failing = FailingStore(repository.store, fail_at)
        device = device_of(folder)
        before = device.sees()
        try:
            rotate(replace(repository, store=failing), role, entries, 1)
        except (OSError, RepositoryError):
            calls = fail_at
        if not failing.failed:
            break
        assert device.sees() == before
        recover(repository)
        assert device.sees() == before
        root = rotate(repository, role, entries, 1)
        assert root.roles[role].keyids == [entries[0].public.keyid]
        assert device.sees() == before
    assert calls > 15


def test_two_roots_at_once(tmp_path: Path) -> None:
    repository = published(tmp_path)
    before = repository.state().root
    put_root(repository, before)
    with pytest.raises(ConflictError, match=r"another publisher wrote metadata/2.root.json first; run the command"):
        put_root(repository, before)


def test_a_publisher_in_between(tmp_path: Path) -> None:
    """Another publishes between the second step and the third: the old keys stay until it is run again."""
    repository = published(tmp_path)
    entries = new_key(tmp_path, "targets")

    class Between:
        def __init__(self, store) -> None:
            self._store, self.where = store, store.where
            self.read, self.create = store.read, store.create

        def replace(self, name: str, content: bytes) -> None:
            self._store.replace(name, content)
            publish(repository, bundle_file(tmp_path / "2.gnl", 2), "stable")

    with pytest.raises(ConflictError, match=r"The old keys are still accepted beside the new ones"):
        rotate(replace(repository, store=Between(repository.store)), "targets", entries, 1)
    device = device_of(tmp_path)
    assert len(device.sees()) == 3
    rotate(repository, "targets", entries, 1)
    assert len(device.sees()) == 3


@pytest.mark.parametrize("threshold", [0, 2])
def test_a_threshold_that_does_not_fit(tmp_path: Path, threshold: int) -> None:
    repository = published(tmp_path)
    with pytest.raises(ValueError, match=rf"threshold {threshold} with 1 new keys: expected 1 to 1"):
        rotate(repository, "targets", new_key(tmp_path, "targets"), threshold)


def test_the_days_stay_in_the_root(tmp_path: Path) -> None:
    repository = published(tmp_path)
    rotate(repository, "snapshot", new_key(tmp_path, "snapshot"), 1)
    document = json.loads((tmp_path / "keys/root.json").read_text())
    assert document["signed"]["groupnl"]["days"]["timestamp"] == 30
