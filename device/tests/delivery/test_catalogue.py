"""What verified targets metadata offer; their content is signed, yet may be of a newer version or simply wrong."""

from datetime import UTC, datetime
from typing import Any

import pytest
from device.tests.delivery.signed_repository import release_custom
from tuf.api.metadata import TargetFile as SignedFile
from tuf.api.metadata import Targets

from groupnl_device.delivery.catalogue import Catalogue, TargetFile, catalogue, target_file
from groupnl_device.delivery.errors import MetadataError

TIME = datetime(2025, 1, 1, tzinfo=UTC)
SHA256 = "ab" * 32


def read(customs: dict[str, Any], told: Any = None, hashes: dict[str, str] | None = None) -> Catalogue:
    targets = Targets(version=3, expires=TIME)
    for path, custom in customs.items():
        fields = {} if custom is None else {"custom": custom}
        targets.targets[path] = SignedFile(5, hashes or {"sha256": SHA256}, path, fields)
    if told is not None:
        targets.unrecognized_fields["groupnl"] = told
    return catalogue(targets, "http://host/targets/", made=TIME, expires=TIME)


def test_releases_in_order_and_all_files() -> None:
    customs = {
        "b/10/model.gnl": release_custom("b", 10),
        "b/9/model.gnl": release_custom("b", 9),
        "b/10/from-9.patch": None,
        "a/2/model.gnl": release_custom("a", 2),
        "readme": {"other": 1},
    }
    offered = read(customs)
    assert [(release.channel, release.version) for release in offered.releases] == [("a", 2), ("b", 9), ("b", 10)]
    assert offered.version == 3
    assert set(offered.files) == set(customs)
    assert offered.unreadable == {}
    assert offered.withdrawn == {}
    patch = TargetFile("b/10/from-9.patch", f"http://host/targets/b/10/{SHA256}.from-9.patch", 5, SHA256)
    assert offered.file("b/10/from-9.patch") == patch
    assert offered.file("readme").url == f"http://host/targets/{SHA256}.readme"


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(MetadataError, match=r"'a/1/model\.gnl' is not among the 0 files"):
        read({}).file("a/1/model.gnl")


@pytest.mark.parametrize(
    ("custom", "why"),
    [
        (release_custom("a", 2), "it calls itself 'a/2/model.gnl'"),
        (release_custom("../a", 1), "small letters"),
        (release_custom("a", 1, published="soon"), "isoformat"),
        ({"groupnl": {}}, "not the custom field of a release"),
        ({"groupnl": None}, "not the custom field of a release"),
    ],
)
def test_one_release_that_cannot_be_read_spoils_no_other(custom: Any, why: str) -> None:
    offered = read({"a/1/model.gnl": custom, "b/1/model.gnl": release_custom("b", 1)})
    assert [release.channel for release in offered.releases] == ["b"]
    assert why in offered.unreadable["a/1/model.gnl"]


@pytest.mark.parametrize("hashes", [{"sha512": "ab" * 64}, {"sha256": "AB" * 32}, {"sha256": "../" * 5}])
def test_a_target_without_a_usable_hash(hashes: dict[str, str]) -> None:
    offered = read({"a/1/model.gnl": release_custom("a", 1)}, hashes=hashes)
    assert (offered.releases, dict(offered.files)) == ((), {})
    assert "the metadata give no sha256" in offered.unreadable["a/1/model.gnl"]


def test_a_repository_without_hashes_in_its_names() -> None:
    signed = SignedFile(5, {"sha256": SHA256}, "a/b c", {})
    assert target_file(signed, "http://host/t", prefixed=False).url == "http://host/t/a/b c"


def test_withdrawn_versions() -> None:
    assert read({}, {"withdrawn": {"a": [3, 1], "b": []}}).withdrawn == {"a": {1, 3}, "b": frozenset()}
    assert read({}, {"later": 1}).withdrawn == {}


@pytest.mark.parametrize(
    "told",
    [
        [],
        "x",
        {"withdrawn": []},
        {"withdrawn": {"a": 1}},
        {"withdrawn": {"a": ["1"]}},
        {"withdrawn": {"a": [True]}},
        {"withdrawn": {"A": []}},
    ],
)
def test_a_malformed_list_of_withdrawn_versions(told: Any) -> None:
    with pytest.raises(MetadataError, match="the list of withdrawn versions is malformed"):
        read({}, told)
