"""Versions withdrawn, and given to more devices."""

from pathlib import Path

import pytest
from cloud.tests.delivery.simulated import bundle_file, device_of, new_repository

from groupnl.delivery import Repository, publish, releases_of, retire, set_rollout, withdrawn_of
from groupnl_device.delivery.release import Release, Rollout


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    repository = new_repository(tmp_path)
    for number in (1, 2, 3):
        publish(repository, bundle_file(tmp_path / f"{number}.gnl", number), "stable")
    return repository


def test_a_version_is_withdrawn(repository: Repository, tmp_path: Path) -> None:
    retire(repository, "stable", 2)
    device = device_of(tmp_path)
    # what leads away from version 2 stays, for devices that run it
    assert sorted(device.sees()) == [
        "stable/1/model.gnl",
        "stable/3/from-1.patch",
        "stable/3/from-2.patch",
        "stable/3/model.gnl",
    ]
    targets = device.refresh()._trusted_set.targets
    assert targets.unrecognized_fields["groupnl"] == {"withdrawn": {"stable": [2]}}
    retire(repository, "stable", 3)
    assert withdrawn_of(repository.state().targets) == {"stable": [2, 3]}
    assert [release.version for release in releases_of(repository.state().targets)] == [1]


def test_publishing_keeps_what_was_withdrawn(repository: Repository, tmp_path: Path) -> None:
    retire(repository, "stable", 3)
    publish(repository, tmp_path / "1.gnl", "beta")
    assert withdrawn_of(repository.state().targets) == {"stable": [3]}


def test_a_rollout_grows(repository: Repository, tmp_path: Path) -> None:
    before = device_of(tmp_path).sees()
    wanted = Rollout(percent=50, groups=("lab", "roof"))
    assert set_rollout(repository, "stable", 3, wanted).rollout == wanted
    device = device_of(tmp_path, "other")
    assert device.sees() == before
    told = Release.from_custom(device.refresh().get_targetinfo("stable/3/model.gnl").custom)
    assert told.rollout == wanted
    assert sorted(told.patches) == [1, 2]


@pytest.mark.parametrize("act", [retire, lambda *a: set_rollout(*a, Rollout())])
def test_a_version_that_is_not_there(repository: Repository, act) -> None:
    with pytest.raises(ValueError, match=r"channel stable has no version 4; it has: 1, 2, 3"):
        act(repository, "stable", 4)
    with pytest.raises(ValueError, match=r"channel beta has no version 1; it has: none"):
        act(repository, "beta", 1)
    with pytest.raises(ValueError, match=r"channel 'a/b': expected"):
        act(repository, "a/b", 1)
    assert repository.state().timestamp.version == 4
