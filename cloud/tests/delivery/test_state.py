"""What is read from a store is believed only as far as it is signed."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from cloud.tests.delivery.simulated import bundle_file, new_repository

from groupnl.delivery import (
    Repository,
    RepositoryError,
    UntrustedError,
    make_key,
    publish,
    renew,
    rotate,
)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    repository = new_repository(tmp_path)
    publish(repository, bundle_file(tmp_path / "1.gnl", 1), "stable")
    return repository


def metadata(tmp_path: Path, name: str) -> Path:
    return tmp_path / "site/metadata" / name


def test_the_newest_state(repository: Repository) -> None:
    state = repository.state()
    versions = [s.version for s in (state.root, state.timestamp, state.snapshot, state.targets)]
    assert versions == [1, 2, 2, 2]
    assert state.next_number == 3


def test_no_repository(tmp_path: Path, repository: Repository) -> None:
    metadata(tmp_path, "timestamp.json").unlink()
    with pytest.raises(RepositoryError, match=r"no metadata/timestamp.json; make a repository with groupnl repo init"):
        repository.state()


@pytest.mark.parametrize("name", ["2.snapshot.json", "2.targets.json"])
def test_a_file_that_is_missing(tmp_path: Path, repository: Repository, name: str) -> None:
    metadata(tmp_path, name).unlink()
    with pytest.raises(RepositoryError, match=rf"{name} is missing, though signed metadata name it; restore"):
        repository.state()


@pytest.mark.parametrize("name", ["2.snapshot.json", "2.targets.json", "timestamp.json"])
def test_a_file_that_was_changed(tmp_path: Path, repository: Repository, name: str) -> None:
    path = metadata(tmp_path, name)
    document = json.loads(path.read_text())
    document["signed"]["expires"] = "2099-01-01T00:00:00Z"
    path.write_text(json.dumps(document))
    with pytest.raises(UntrustedError, match=r"not the file that signed|not signed by the keys"):
        repository.state()


@pytest.mark.parametrize("content", [b"", b"no JSON", b'{"signed": {"_type": "root"}, "signatures": []}'])
def test_a_file_that_is_no_metadata(tmp_path: Path, repository: Repository, content: bytes) -> None:
    metadata(tmp_path, "timestamp.json").write_bytes(content)
    with pytest.raises(UntrustedError, match=r"timestamp.json: not metadata"):
        repository.state()


def test_one_kind_in_place_of_another(tmp_path: Path, repository: Repository) -> None:
    shutil.copy(metadata(tmp_path, "2.snapshot.json"), metadata(tmp_path, "timestamp.json"))
    with pytest.raises(UntrustedError, match=r"timestamp.json: snapshot metadata in place of timestamp"):
        repository.state()


def test_a_store_that_somebody_else_filled(tmp_path: Path, repository: Repository) -> None:
    """Whoever writes to the store cannot make a publisher sign what is there."""
    (tmp_path / "evil").mkdir()
    evil = new_repository(tmp_path / "evil")
    publish(evil, bundle_file(tmp_path / "e.gnl", 9), "stable")
    shutil.rmtree(tmp_path / "site")
    shutil.copytree(tmp_path / "evil/site", tmp_path / "site")
    with pytest.raises(UntrustedError, match=r"timestamp.json: not signed by the keys that the trusted root names"):
        repository.state()
    with pytest.raises(UntrustedError, match=r"not signed"):
        renew(repository)


def test_a_root_that_the_old_keys_have_not_signed(tmp_path: Path, repository: Repository) -> None:
    (tmp_path / "evil").mkdir()
    evil = new_repository(tmp_path / "evil")
    rotate(evil, "root", [make_key(tmp_path / "evil/root-keys", "root", None)], 1)
    shutil.copy(tmp_path / "evil/site/metadata/2.root.json", metadata(tmp_path, "2.root.json"))
    with pytest.raises(UntrustedError, match=r"2.root.json: not signed by the keys"):
        repository.state()


def test_a_root_under_another_number(tmp_path: Path, repository: Repository) -> None:
    rotate(repository, "root", [make_key(tmp_path / "root-keys", "root", None)], 1)
    shutil.copy(metadata(tmp_path, "2.root.json"), metadata(tmp_path, "3.root.json"))
    with pytest.raises(UntrustedError, match=r"3.root.json says version 2"):
        repository.state()


def test_the_trusted_root_itself(repository: Repository) -> None:
    document = json.loads(repository.trusted)
    document["signed"]["version"] = 7
    with pytest.raises(UntrustedError, match=r"the trusted root: not signed"):
        replace(repository, trusted=json.dumps(document).encode()).state()
