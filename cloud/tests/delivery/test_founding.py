"""Making a repository: its keys and thresholds, killed at any call, and never over another one."""

import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from cloud.tests.delivery.simulated import (
    NOW,
    FailingStore,
    bundle_file,
    device_of,
    new_repository,
    secret,
)
from tuf.api.metadata import Metadata, Root

from groupnl.delivery import RepositoryError, RoleKeys, Validity, founding, publish
from groupnl.delivery.folder_store import FolderStore


def test_thresholds_and_validity(tmp_path: Path) -> None:
    roles = {"root": RoleKeys(threshold=2, made=3), "targets": RoleKeys(threshold=2, made=2)}
    repository = new_repository(
        tmp_path, roles=roles, validity=Validity(root=100, targets=50, snapshot=7, timestamp=1), clock=lambda: NOW
    )
    state = repository.state()
    assert {name: (role.threshold, len(role.keyids)) for name, role in state.root.roles.items()} == {
        "root": (2, 3),
        "targets": (2, 2),
        "snapshot": (1, 1),
        "timestamp": (1, 1),
    }
    days = [(signed.expires - NOW).days for signed in (state.root, state.targets, state.snapshot, state.timestamp)]
    assert days == [100, 50, 7, 1]
    assert state.root.consistent_snapshot
    root = Metadata[Root].from_file(str(tmp_path / "keys/root.json"))
    assert len(root.signatures) == 3
    assert device_of(tmp_path).sees() == {}
    publish(repository, bundle_file(tmp_path / "1.gnl", 1), "stable")
    assert len(device_of(tmp_path, "other").sees()) == 1


def test_root_keys_lie_apart(tmp_path: Path) -> None:
    new_repository(tmp_path)
    online = sorted(p.name for p in (tmp_path / "keys").iterdir())
    assert online == [
        "root.json",
        *(f"{role}-1.{ending}" for role in ("snapshot", "targets", "timestamp") for ending in ("json", "pem")),
    ]
    assert sorted(p.name for p in (tmp_path / "root-keys").iterdir()) == ["root-1.json", "root-1.pem"]


def test_keys_are_encrypted(tmp_path: Path) -> None:
    asked = []

    def ask(kind: str, name: str) -> str:
        asked.append((kind, name))
        return secret(kind, name)

    founding.init_repository(str(tmp_path / "site"), tmp_path / "keys", tmp_path / "root-keys", ask)
    for path in tmp_path.rglob("*.pem"):
        assert b"ENCRYPTED" in path.read_bytes()
    assert ("new passphrase", "root-1") in asked
    assert ("passphrase", "root-1") in asked
    assert device_of(tmp_path).sees() == {}


def test_broken_off_at_every_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run again, it goes on with the same keys."""
    calls = 0
    for fail_at in range(1, 100):
        for after in (False, True):
            folder = tmp_path / f"{fail_at}-{after}"
            folder.mkdir()
            failing = FailingStore(FolderStore(folder / "site"), fail_at, after=after)
            with monkeypatch.context() as broken:
                broken.setattr(founding, "open_store", lambda url, failing=failing: failing)
                try:
                    new_repository(folder)
                except OSError:
                    calls = fail_at
            if not failing.failed:
                break
            root = folder / "keys/root.json"
            before = root.read_bytes() if root.exists() else None
            try:
                new_repository(folder)
            except RepositoryError as error:
                assert "there is a repository already, with these keys" in str(error)  # noqa: PT017
            assert before in (None, root.read_bytes())
            assert device_of(folder).sees() == {}
        else:
            continue
        break
    assert calls > 8


def test_not_over_another_repository(tmp_path: Path) -> None:
    new_repository(tmp_path)
    with pytest.raises(RepositoryError, match=r"there is a repository already, with these keys"):
        new_repository(tmp_path)
    shutil.move(tmp_path / "keys", tmp_path / "old")
    with pytest.raises(RepositoryError, match=r"already, and .*keys does not hold its root.json"):
        new_repository(tmp_path)
    assert not (tmp_path / "keys").exists()
    (tmp_path / "b").mkdir()
    new_repository(tmp_path / "b")
    shutil.copytree(tmp_path / "b/keys", tmp_path / "keys")
    with pytest.raises(RepositoryError, match=r"there is another repository already, with other keys"):
        new_repository(tmp_path)


@pytest.mark.parametrize(("threshold", "made"), [(0, 1), (2, 1), (1, 0), (1, -1)])
def test_thresholds_that_do_not_fit(threshold: int, made: int) -> None:
    with pytest.raises(ValueError, match=r"keys have to sign: expected 1 to"):
        RoleKeys(threshold=threshold, made=made)


def test_devices_see_expiry(tmp_path: Path) -> None:
    new_repository(tmp_path, validity=Validity(timestamp=1), clock=lambda: NOW - timedelta(days=2))
    with pytest.raises(Exception, match=r"timestamp.json is expired"):
        device_of(tmp_path).sees()
