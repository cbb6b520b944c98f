"""Ending another's change: only what is whole and rightly signed."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from cloud.tests.delivery.simulated import bundle_file, device_of, new_repository

from groupnl.delivery import Repository, RepositoryError, UnfinishedError, UntrustedError, publish, recover
from groupnl.delivery.layout import TIMESTAMP


class NoTimestamp:
    """Fails at the last step."""

    def __init__(self, store: object) -> None:
        self._store = store
        self.where = store.where
        self.read, self.create = store.read, store.create

    def replace(self, name: str, content: bytes) -> None:
        assert name == TIMESTAMP
        raise OSError("the connection broke")


@pytest.fixture
def unfinished(tmp_path: Path) -> Repository:
    repository = new_repository(tmp_path)
    publish(repository, bundle_file(tmp_path / "1.gnl", 1), "stable")
    with pytest.raises(UnfinishedError, match=r"all is written but the last file, .*groupnl repo recover ends"):
        publish(replace(repository, store=NoTimestamp(repository.store)), bundle_file(tmp_path / "2.gnl", 2), "stable")
    return repository


def test_the_change_is_ended(unfinished: Repository, tmp_path: Path) -> None:
    device = device_of(tmp_path)
    assert len(device.sees()) == 1
    assert recover(unfinished) == 3
    assert len(device.sees()) == 3
    assert recover(unfinished) is None


def test_it_takes_the_timestamp_key_only(unfinished: Repository, tmp_path: Path) -> None:
    for role in ("targets", "snapshot"):
        (tmp_path / f"keys/{role}-1.pem").unlink()
    assert recover(unfinished) == 3


def test_a_file_that_is_not_there(unfinished: Repository, tmp_path: Path) -> None:
    (path,) = (tmp_path / "site/targets/stable/2").glob("*.model.gnl")
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    with pytest.raises(RepositoryError, match=r"model.gnl is missing or another one; the change cannot be ended"):
        recover(unfinished)
    path.write_bytes(content)
    assert recover(unfinished) == 3


def test_a_claim_that_nobody_signed(unfinished: Repository, tmp_path: Path) -> None:
    metadata = tmp_path / "site/metadata"
    shutil.copy(metadata / "2.snapshot.json", metadata / "3.snapshot.json")
    with pytest.raises(UntrustedError, match=r"3.snapshot.json: says version 2, expected 3"):
        recover(unfinished)
    (metadata / "3.snapshot.json").write_text("rubbish")
    with pytest.raises(UntrustedError, match=r"3.snapshot.json: not metadata"):
        recover(unfinished)
    assert len(device_of(tmp_path).sees()) == 1
    (metadata / "3.snapshot.json").unlink()  # by hand, as the docs say
    assert publish(unfinished, tmp_path / "2.gnl", "stable").release.version == 2
