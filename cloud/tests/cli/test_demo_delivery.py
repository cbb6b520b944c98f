"""What the demo makes of a delivery that does not go as it should; test_demo.py has one that does."""

import urllib.request

import pytest

from groupnl.cli import demo_delivery


def told(result, version, error=None):
    return {"result": result, "active": version and {"version": version}, "error": error, "received": None}


def test_what_should_not_have_happened_is_named():
    failures = []
    demo_delivery._expect(failures, told("updated", 2), "updated", 2)
    assert failures == []
    demo_delivery._expect(failures, told("updated", 3), "failed", 2)
    demo_delivery._expect(failures, told("failed", None, {"kind": "network"}), "updated", 1)
    assert failures == [
        "delivery: updated, version 3 in use; expected: failed, version 2 in use",
        "delivery: refused, network, version None in use; expected: updated, version 1 in use",
    ]


def test_the_repository_is_served_and_the_server_ends(tmp_path):
    (tmp_path / "file").write_bytes(b"content")
    with demo_delivery._served(tmp_path) as address:
        assert urllib.request.urlopen(f"{address}/file").read() == b"content"  # a port of this machine
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(f"{address}/file")


def test_every_file_of_a_version_is_changed_in_one_byte(tmp_path):
    for name in ("a.model.gnl", "b.from-1.patch"):
        (tmp_path / name).write_bytes(b"1234567")
    demo_delivery._tamper(tmp_path / "model.gnl")
    assert {file.read_bytes() for file in tmp_path.iterdir()} == {b"123\x35567"}
