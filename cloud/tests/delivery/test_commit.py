"""Publishing is one step for devices: broken off at every call, and by two at once."""

import shutil
import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cloud.tests.delivery.simulated import NOW, FailingStore, bundle_file, device_of, new_repository, secret

from groupnl.delivery import ConflictError, Repository, RepositoryError, UnfinishedError, publish, recover, retire
from groupnl.delivery.commit import commit
from groupnl.delivery.store import Store

PATHS_OF_ONE = ["stable/1/model.gnl"]
PATHS_OF_TWO = ["stable/1/model.gnl", "stable/2/from-1.patch", "stable/2/model.gnl"]


def opened(folder: Path) -> Repository:
    return Repository.open(str(folder / "site"), folder / "keys", secret)


def with_store(repository: Repository, store: object) -> Repository:
    return replace(repository, store=store)


def calls_of_a_publication(repository: Repository, bundle: Path) -> int:
    counting = FailingStore(repository.store, 10**6)
    publish(with_store(repository, counting), bundle, "stable")
    return 10**6 - counting.left


def test_broken_off_at_every_call(tmp_path: Path) -> None:
    """Devices see the old state or the new one, whole; then the repository can be recovered and used."""
    new_repository(tmp_path / "begun")
    publish(opened(tmp_path / "begun"), bundle_file(tmp_path / "1.gnl", 1), "stable")
    bundle_file(tmp_path / "2.gnl", 2)
    shutil.copytree(tmp_path / "begun", tmp_path / "counted")
    calls = calls_of_a_publication(opened(tmp_path / "counted"), tmp_path / "2.gnl")
    assert calls > 10
    seen = set()
    for fail_at in range(1, calls + 1):
        for after in (False, True):
            folder = tmp_path / f"{fail_at}-{after}"
            shutil.copytree(tmp_path / "begun", folder)
            repository = opened(folder)
            device = device_of(folder)
            old = device.sees()
            assert sorted(old) == PATHS_OF_ONE
            failing = FailingStore(repository.store, fail_at, after=after)
            with pytest.raises((OSError, UnfinishedError), match=r"broke|answer was lost"):
                publish(with_store(repository, failing), tmp_path / "2.gnl", "stable")
            assert failing.failed
            now = device.sees()
            assert now == old or sorted(now) == PATHS_OF_TWO
            try:
                if now == old:
                    publish(repository, tmp_path / "2.gnl", "stable")
                    seen.add("published again")
            except UnfinishedError:
                assert device.sees() == old
                assert recover(repository) == 3
                seen.add("recovered")
            else:
                if now != old:
                    seen.add("was there")
            assert recover(repository) is None
            new = device.sees()
            assert sorted(new) == PATHS_OF_TWO
            assert new["stable/1/model.gnl"] == old["stable/1/model.gnl"]
            retire(repository, "stable", 2)
            assert device.sees() == old
    assert seen == {"published again", "recovered", "was there"}


class Meeting:
    """Lets two publishers read the repository, and go on only when both have."""

    def __init__(self, store: Store, barrier: threading.Barrier) -> None:
        self._store, self._barrier, self._met = store, barrier, False
        self.where = store.where

    def read(self, name: str) -> bytes | None:
        return self._store.read(name)

    def create(self, name: str, content: bytes) -> bool:
        if not self._met:
            self._met = True
            self._barrier.wait(timeout=60)
        return self._store.create(name, content)

    def replace(self, name: str, content: bytes) -> None:
        self._store.replace(name, content)


def test_two_publishers_at_once(tmp_path: Path) -> None:
    """Both begin from the same state; one wins, the other is told, and says so again until it is run again."""
    repository = new_repository(tmp_path)
    publish(repository, bundle_file(tmp_path / "1.gnl", 1), "stable")
    barrier = threading.Barrier(2)
    told: dict[int, object] = {}

    def work(number: int) -> None:
        try:
            told[number] = publish(
                with_store(repository, Meeting(repository.store, barrier)),
                bundle_file(tmp_path / f"{number}.gnl", number),
                "stable",
            )
        except RepositoryError as error:
            told[number] = error

    threads = [threading.Thread(target=work, args=(number,)) for number in (2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (loser,) = [number for number, result in told.items() if isinstance(result, ConflictError)]
    winner = told[5 - loser]
    device = device_of(tmp_path)
    assert device.sees()["stable/2/model.gnl"] == winner.sha256
    assert publish(repository, tmp_path / f"{loser}.gnl", "stable").release.version == 3
    assert "stable/3/from-2.patch" in device.sees()


def test_a_publisher_that_was_taken_for_dead(tmp_path: Path) -> None:
    """It has claimed its number; another ends its change and goes on. When it wakes up, it takes nothing back."""
    repository = new_repository(tmp_path)
    device = device_of(tmp_path)

    class Sleeping(Meeting):
        def replace(self, name: str, content: bytes) -> None:
            assert recover(repository) == 2
            publish(repository, bundle_file(tmp_path / "2.gnl", 2), "stable")
            assert len(device.sees()) == 3
            self._store.replace(name, content)

    barrier = threading.Barrier(1)
    publish(with_store(repository, Sleeping(repository.store, barrier)), bundle_file(tmp_path / "1.gnl", 1), "stable")
    # Its timestamp is the older one: a device that has seen more says so, and recovering leads on.
    with pytest.raises(Exception, match=r"must be >= 3"):
        device.sees()
    with pytest.raises(UnfinishedError, match=r"has begun snapshot 3"):
        retire(repository, "stable", 1)
    assert recover(repository) == 3
    assert sorted(device.sees()) == PATHS_OF_TWO


def test_it_sees_that_its_change_was_ended_by_another(tmp_path: Path) -> None:
    repository = new_repository(tmp_path)

    class Ended(Meeting):
        def create(self, name: str, content: bytes) -> bool:
            done = self._store.create(name, content)
            if name.endswith("snapshot.json"):
                assert recover(repository) == 2
                publish(repository, bundle_file(tmp_path / "2.gnl", 2), "stable")
            return done

    store = Ended(repository.store, threading.Barrier(1))
    published = publish(with_store(repository, store), bundle_file(tmp_path / "1.gnl", 1), "stable")
    assert published.release.version == 1
    assert sorted(device_of(tmp_path).sees()) == PATHS_OF_TWO


def test_keys_that_change_meanwhile(tmp_path: Path) -> None:
    repository = new_repository(tmp_path)

    class Changing(Meeting):
        def create(self, name: str, content: bytes) -> bool:
            done = self._store.create(name, content)
            if name.endswith("snapshot.json"):
                self._store.create("metadata/2.root.json", b"a new root")
            return done

    with pytest.raises(UnfinishedError, match=r"the keys were changed meanwhile"):
        publish(
            with_store(repository, Changing(repository.store, threading.Barrier(1))),
            bundle_file(tmp_path / "1.gnl", 1),
            "stable",
        )
    (tmp_path / "site/metadata/2.root.json").unlink()
    assert device_of(tmp_path).sees() == {}


def test_a_root_past_its_time(tmp_path: Path) -> None:
    repository = new_repository(tmp_path)
    late = replace(repository, clock=lambda: NOW + timedelta(days=366))
    with pytest.raises(RepositoryError, match=r"its root is past its time since .*renew --root-keys"):
        publish(late, bundle_file(tmp_path / "1.gnl", 1), "stable")


def test_a_key_that_is_missing_changes_nothing(tmp_path: Path) -> None:
    repository = new_repository(tmp_path)
    (tmp_path / "keys/timestamp-1.json").unlink()
    before = sorted((tmp_path / "site").rglob("*"))
    with pytest.raises(ValueError, match=r"signing timestamp takes 1 .*: none. Give the folder"):
        publish(repository, bundle_file(tmp_path / "1.gnl", 1), "stable")
    assert sorted((tmp_path / "site").rglob("*")) == before


def test_metadata_that_no_device_would_read(tmp_path: Path) -> None:
    repository = new_repository(tmp_path)
    state = repository.state()
    state.targets.unrecognized_fields["other"] = "x" * 2_000_000
    with pytest.raises(RepositoryError, match=r"would have 2,000,.* bytes, devices read 2,000,000; retire"):
        commit(repository, state, state.targets)


def test_another_file_under_the_name_of_a_target(tmp_path: Path) -> None:
    repository = new_repository(tmp_path)
    first = publish(repository, bundle_file(tmp_path / "1.gnl", 1), "stable")
    (tmp_path / "b").mkdir()
    other = new_repository(tmp_path / "b")
    path = tmp_path / f"b/site/targets/stable/1/{first.sha256}.model.gnl"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"half of")
    with pytest.raises(RepositoryError, match=r"model.gnl is there with another content than its name says"):
        publish(other, tmp_path / "1.gnl", "stable")
    path.unlink()
    publish(other, tmp_path / "1.gnl", "stable")
