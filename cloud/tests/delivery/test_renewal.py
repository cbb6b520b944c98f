"""Metadata signed again before they are past their time."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cloud.tests.delivery.simulated import NOW, bundle_file, device_of, new_repository

from groupnl.delivery import Repository, RepositoryError, Validity, publish, renew, renew_root


def later(repository: Repository, days: float) -> Repository:
    return replace(repository, clock=lambda: NOW + timedelta(days=days))


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return new_repository(tmp_path, clock=lambda: NOW, validity=Validity(targets=100))


def test_snapshot_and_timestamp(repository: Repository) -> None:
    renew(later(repository, 10))
    state = repository.state()
    assert state.timestamp.expires == state.snapshot.expires == NOW + timedelta(days=40)
    assert (state.targets.version, state.targets.expires) == (1, NOW + timedelta(days=100))


def test_targets_once_half_of_their_time_is_over(repository: Repository) -> None:
    renew(later(repository, 51))
    state = repository.state()
    assert (state.targets.version, state.targets.expires) == (2, NOW + timedelta(days=151))


def test_what_had_expired_serves_again(tmp_path: Path) -> None:
    repository = new_repository(tmp_path, clock=lambda: NOW - timedelta(days=40))
    publish(repository, bundle_file(tmp_path / "1.gnl", 1), "stable")
    device = device_of(tmp_path)
    with pytest.raises(Exception, match=r"timestamp.json is expired"):
        device.sees()
    renew(replace(repository, clock=lambda: NOW))
    assert len(device.sees()) == 1


def test_the_root(repository: Repository, tmp_path: Path) -> None:
    device = device_of(tmp_path)
    late = later(repository, 366)
    with pytest.raises(RepositoryError, match=r"its root is past its time"):
        renew(late)
    root = renew_root(late)
    assert (root.version, root.expires) == (2, NOW + timedelta(days=731))
    renew(late)
    assert device.root_version() == 2
    assert (tmp_path / "keys/root.json").read_bytes() == (tmp_path / "site/metadata/2.root.json").read_bytes()


def test_another_validity(repository: Repository) -> None:
    renew_root(repository, Validity(timestamp=3))
    renew(repository)
    assert repository.state().timestamp.expires == NOW + timedelta(days=3)
