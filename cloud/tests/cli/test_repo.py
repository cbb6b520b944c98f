"""The commands about a repository, from making it to withdrawing a version."""

import io
import json

import pytest
from cloud.tests.delivery.simulated import bundle_file, device_of

from groupnl.cli import main


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GROUPNL_PASSPHRASE", raising=False)
    assert main(["repo", "init", "--repo", "site", "--no-passphrase"]) == 0
    return tmp_path


@pytest.fixture
def publish(folder, run_json):
    def publish_(number, *options):
        bundle = bundle_file(folder / f"{number}.gnl", number)
        return run_json("publish", bundle, "--repo", "site", "--channel", "stable", *options)

    return publish_


def refused(capsys, code, *arguments):
    capsys.readouterr()
    assert main(list(arguments)) == code
    return " ".join(capsys.readouterr().err.split())


def test_init_tells_what_goes_where(tmp_path, monkeypatch, run_json):
    monkeypatch.chdir(tmp_path)
    options = ["--role", "root=2/3", "--days", "timestamp=7", "--no-passphrase"]
    made = run_json("repo", "init", "--repo", "site", "--root-keys", "stick", *options)
    assert made["root"] == "keys/root.json"
    assert (made["roles"]["root"]["threshold"], len(made["roles"]["root"]["keys"])) == (2, 3)
    assert len(list((tmp_path / "stick").glob("root-*.pem"))) == 3
    root = json.loads((tmp_path / "keys/root.json").read_text())
    assert root["signed"]["groupnl"]["days"]["timestamp"] == 7


def test_init_with_a_key_from_elsewhere(folder, run_json):
    key = f"file:{folder / 'keys/targets-1.pem'}"
    made = run_json(
        "repo", "init", "--repo", "b", "--keys", "k", "--root-keys", "r", "--no-passphrase", "--key", f"targets={key}"
    )
    assert len(made["roles"]["targets"]["keys"]) == 1
    assert json.loads((folder / "k/targets-1.json").read_text())["uri"] == key


def test_a_published_version_is_listed(folder, publish, run_json, capsys):
    first = publish(1, "--percent", "10", "--group", "lab", "--most-latency-ms", "20", "--memory-mb", "1.5")
    assert (first["version"], first["percent"], first["groups"], first["patch_bytes"]) == (1, 10, ["lab"], {})
    second = publish(2)
    assert list(second["patch_bytes"]) == ["1"]
    assert publish(3, "--patches", "0")["patch_bytes"] == {}
    told = run_json("repo", "list", "--repo", "site")
    versions = told["releases"]
    assert [release["version"] for release in versions] == [1, 2, 3]
    assert (versions[0]["memory_bytes"], versions[0]["most_latency_ms"]) == (1_500_000, 20)
    assert versions[1]["bytes"] == second["bytes"]
    assert versions[1]["patch_bytes"] == second["patch_bytes"]
    assert {name: role["threshold"] for name, role in told["roles"].items()} == dict.fromkeys(
        ["root", "targets", "snapshot", "timestamp"], 1
    )
    assert len(device_of(folder).sees()) == 4
    assert main(["repo", "list", "--repo", "site"]) == 0
    shown = capsys.readouterr().out
    assert "10 % of lab" in shown
    assert "1 of 1" in shown


def test_rollout_and_retire(folder, publish, run_json):
    for number in (1, 2):
        publish(number, "--percent", "10")
    options = ["--repo", "site", "--channel", "stable", "--version"]
    assert run_json("repo", "rollout", *options, "1", "--percent", "50")["percent"] == 50
    assert run_json("repo", "retire", *options, "2") == {"repo": "site", "channel": "stable", "version": 2}
    told = run_json("repo", "list", "--repo", "site")
    assert [(release["version"], release["percent"]) for release in told["releases"]] == [(1, 50)]
    assert told["withdrawn"] == {"stable": [2]}
    assert publish(3)["version"] == 3


def test_rotate_keeps_count_and_threshold(tmp_path, monkeypatch, run_json, publish, folder):
    run_json("repo", "init", "--repo", "b", "--keys", "k", "--root-keys", "r", "--no-passphrase", "--role", "root=2/3")
    options = ["--repo", "b", "--keys", "k", "--root-keys", "r", "--no-passphrase"]
    turned = run_json("repo", "rotate", "root", *options)
    assert (turned["threshold"], [key["name"] for key in turned["keys"]]) == (2, ["root-4", "root-5", "root-6"])
    turned = run_json("repo", "rotate", "timestamp", *options, "--count", "2")
    assert (turned["threshold"], turned["root_version"], len(turned["keys"])) == (1, 4, 2)


def test_a_rotation_that_cannot_sign_makes_no_key(folder, capsys):
    (folder / "keys/timestamp-1.pem").unlink()
    told = refused(capsys, 2, "repo", "rotate", "targets", "--repo", "site", "--no-passphrase")
    assert "key timestamp-1 (file:timestamp-1.pem): " in told
    assert not (folder / "keys/targets-2.json").exists()
    assert main(["repo", "rotate", "timestamp", "--repo", "site", "--no-passphrase"]) == 2
    (folder / "keys/timestamp-1.json").unlink()  # lost for good: its own role is what is replaced
    assert main(["repo", "rotate", "timestamp", "--repo", "site", "--no-passphrase"]) == 0
    assert device_of(folder).sees() == {}


def test_renew(folder, run_json):
    before = run_json("repo", "list", "--repo", "site")["roles"]
    told = run_json("repo", "renew", "--repo", "site", "--root-keys", "root-keys", "--days", "timestamp=3")
    assert set(told["expires"]) == set(before)
    after = run_json("repo", "list", "--repo", "site")["roles"]
    assert after["root"]["version"] == 2
    assert after["timestamp"]["version"] == 2
    assert after["timestamp"]["expires"] < before["timestamp"]["expires"]
    assert after["snapshot"]["expires"] >= before["snapshot"]["expires"]


def test_recover(folder, run_json, capsys):
    assert run_json("repo", "recover", "--repo", "site") == {"repo": "site", "snapshot": None}
    timestamp = folder / "site/metadata/timestamp.json"
    before = timestamp.read_bytes()
    assert main(["repo", "renew", "--repo", "site"]) == 0
    timestamp.write_bytes(before)  # as if the last file had not been written
    told = refused(capsys, 1, "repo", "renew", "--repo", "site")
    assert "failed: site: another publisher has begun snapshot 2 and not ended it" in told
    assert run_json("repo", "recover", "--repo", "site")["snapshot"] == 2


def test_refusals(folder, capsys, tmp_path):
    bundle = str(bundle_file(tmp_path / "1.gnl", 1))
    site = ["--repo", "site"]
    assert "there is a repository already" in refused(capsys, 1, "repo", "init", *site, "--no-passphrase")
    assert "no metadata/timestamp.json" in refused(capsys, 1, "repo", "list", "--repo", "nowhere")
    assert "elsewhere: no root.json there" in refused(capsys, 2, "repo", "list", *site, "--keys", "elsewhere")
    assert "expected ROLE=VALUE" in refused(capsys, 2, "repo", "rotate", "mirror", *site)
    assert "--threshold 2 of --count 1" in refused(capsys, 2, "repo", "rotate", "targets", *site, "--threshold", "2")
    assert "give --root-keys as well" in refused(capsys, 2, "repo", "renew", *site, "--days", "root=9")
    new = ["repo", "init", "--repo", "new", "--keys", "new", "--no-passphrase"]
    assert "expected N/M" in refused(capsys, 2, *new, "--role", "root=2")
    assert "'x' is no whole number" in refused(capsys, 2, *new, "--days", "root=x")
    key = f"targets=file:{folder / 'keys/targets-1.pem'}"
    assert "1 keys are given with --key" in refused(capsys, 2, *new, "--role", "targets=1/0", "--key", key)
    assert not (folder / "new").exists()
    publish = ["publish", bundle, *site, "--channel"]
    assert "percent=120.0: expected 0 to 100" in refused(capsys, 2, *publish, "stable", "--percent", "120")
    assert "--memory-mb -1.0" in refused(capsys, 2, *publish, "stable", "--memory-mb", "-1")
    assert "channel 'A b'" in refused(capsys, 2, *publish, "A b")
    assert "publishing there cannot keep" in refused(
        capsys, 2, "publish", bundle, "--repo", "ftp://x/y", "--channel", "a"
    )


def test_a_passphrase_that_nobody_can_give(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GROUPNL_PASSPHRASE", raising=False)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert "set GROUPNL_PASSPHRASE" in refused(capsys, 2, "repo", "init", "--repo", "site")
    assert list((tmp_path / "keys").glob("*.pem")) == []
