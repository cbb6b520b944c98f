"""What a publication looks like to a device, and which are refused."""

import hashlib
import importlib
from pathlib import Path

import pytest
from cloud.tests.delivery.simulated import bundle_file, device_of, new_repository, secret

from groupnl.delivery import Repository, RepositoryError, publish, releases_of, retire
from groupnl_device.bundle import Bundle
from groupnl_device.delivery.patch import apply_patch
from groupnl_device.delivery.release import Release, Rollout
from groupnl_device.errors import BundleError


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return new_repository(tmp_path)


def test_a_device_gets_the_bundle_and_its_description(repository: Repository, tmp_path: Path) -> None:
    bundle = bundle_file(tmp_path / "1.gnl", 1)
    published = publish(
        repository, bundle, "stable", rollout=Rollout(percent=12.5, groups=("lab",)), most_latency_ms=40
    )
    updater = device_of(tmp_path).refresh()
    target = updater.get_targetinfo("stable/1/model.gnl")
    got = Path(updater.download_target(target, str(tmp_path / "got.gnl")))
    assert hashlib.sha256(got.read_bytes()).hexdigest() == published.sha256
    assert got.stat().st_size == published.size_bytes
    assert bytes(Bundle.open(got).read("sample.bin.zst")) == bytes(100)
    release = Release.from_custom(target.custom)
    assert release == published.release
    assert (release.version, release.model, release.rollout.percent, release.most_latency_ms) == (1, "net", 12.5, 40)
    assert release.stored_sha256 == hashlib.sha256(bundle.read_bytes()).hexdigest()
    assert release.stored_bytes == bundle.stat().st_size == release.needs.memory_bytes
    assert (release.needs.runtimes, release.needs.input_size) == (("none",), (3, 6, 8))


def test_patches_lead_to_the_stored_form(repository: Repository, tmp_path: Path) -> None:
    for number in range(1, 6):
        published = publish(repository, bundle_file(tmp_path / f"{number}.gnl", number), "stable", patches=3)
    assert sorted(published.patch_bytes) == [2, 3, 4]
    updater = device_of(tmp_path).refresh()
    for older, path in published.release.patches.items():
        target = updater.get_targetinfo(path)
        assert target.length == published.patch_bytes[older] < published.size_bytes
        patch = updater.download_target(target, str(tmp_path / "patch"))
        apply_patch(tmp_path / f"{older}.gnl", patch, tmp_path / "made.gnl")
        assert (tmp_path / "made.gnl").read_bytes() == (tmp_path / "5.gnl").read_bytes()


@pytest.mark.parametrize(("patches", "expected"), [(0, []), (1, [2]), (100, [1, 2])])
def test_how_many_patches(repository: Repository, tmp_path: Path, patches: int, expected: list[int]) -> None:
    for number in (1, 2):
        publish(repository, bundle_file(tmp_path / f"{number}.gnl", number), "stable", patches=0)
    published = publish(repository, bundle_file(tmp_path / "3.gnl", 3), "stable", patches=patches)
    assert sorted(published.patch_bytes) == expected


def test_channels_count_by_themselves(repository: Repository, tmp_path: Path) -> None:
    bundle = bundle_file(tmp_path / "1.gnl", 1)
    versions = [publish(repository, bundle, channel).release.path for channel in ("stable", "beta", "stable")]
    assert versions == ["stable/1/model.gnl", "beta/1/model.gnl", "stable/2/model.gnl"]


def test_a_version_is_never_used_twice(repository: Repository, tmp_path: Path) -> None:
    for number in (1, 2):
        publish(repository, bundle_file(tmp_path / f"{number}.gnl", number), "stable")
    retire(repository, "stable", 2)
    published = publish(repository, tmp_path / "2.gnl", "stable")
    assert published.release.version == 3
    assert sorted(published.patch_bytes) == [1]


def test_publishing_never_reads_the_root_keys(repository: Repository, tmp_path: Path) -> None:
    for path in (tmp_path / "root-keys").iterdir():
        path.unlink()
    (tmp_path / "root-keys").rmdir()
    online = Repository.open(str(tmp_path / "site"), tmp_path / "keys", secret)
    assert publish(online, bundle_file(tmp_path / "1.gnl", 1), "stable").release.version == 1


def test_timestamp_and_snapshot_have_one_number_and_the_time(repository: Repository, tmp_path: Path) -> None:
    publish(repository, bundle_file(tmp_path / "1.gnl", 1), "stable")
    state = repository.state()
    assert state.timestamp.version == state.snapshot.version == 2
    made = state.timestamp.unrecognized_fields["groupnl"]["made"]
    assert made == releases_of(state.targets)[0].published
    assert made.endswith("+00:00")


def test_no_patch_that_is_larger_than_the_file(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(repository, bundle_file(tmp_path / "1.gnl", 1), "stable")
    module = importlib.import_module("groupnl.delivery.publish")  # the package's attribute is the function
    monkeypatch.setattr(module, "make_patch", lambda old, new: bytes(10**6))
    assert publish(repository, bundle_file(tmp_path / "2.gnl", 2), "stable").patch_bytes == {}


def test_an_older_file_that_was_changed_on_the_store(repository: Repository, tmp_path: Path) -> None:
    first = publish(repository, bundle_file(tmp_path / "1.gnl", 1), "stable")
    path = tmp_path / f"site/targets/stable/1/{first.sha256}.model.gnl"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(
        RepositoryError, match=r"missing or another file than was published; .*or publish with no patch"
    ):
        publish(repository, bundle_file(tmp_path / "2.gnl", 2), "stable")
    assert publish(repository, tmp_path / "2.gnl", "stable", patches=0).release.version == 2


def test_refusals(repository: Repository, tmp_path: Path) -> None:
    bundle = bundle_file(tmp_path / "1.gnl", 1)
    with pytest.raises(ValueError, match=r"channel 'Stable/x': expected up to 64 small letters"):
        publish(repository, bundle, "Stable/x")
    with pytest.raises(ValueError, match=r"patches=-1: expected 0 to 100"):
        publish(repository, bundle, "stable", patches=-1)
    with pytest.raises(ValueError, match=r"most_latency_ms=0: expected a positive number"):
        publish(repository, bundle, "stable", most_latency_ms=0)
    with pytest.raises(ValueError, match=r"carries no sample pictures, without which no device takes it"):
        publish(repository, bundle_file(tmp_path / "2.gnl", 2, sample=False), "stable")
    (tmp_path / "text.gnl").write_text("no bundle")
    with pytest.raises(BundleError, match=r"text.gnl: not a bundle"):
        publish(repository, tmp_path / "text.gnl", "stable")
    assert device_of(tmp_path).sees() == {}
