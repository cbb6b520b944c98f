"""Folders of keys: made, found again, and refused with a reason."""

import json
import os
from pathlib import Path

import pytest
from cloud.tests.delivery.simulated import NOW, secret
from tuf.api.metadata import Root

from groupnl.delivery.keyring import Keyring, make_key


def root_of(keys: list, threshold: int = 1) -> Root:
    root = Root(expires=NOW)
    for key in keys:
        root.add_key(key, "targets")
    root.roles["targets"].threshold = threshold
    return root


def test_a_key_signs_and_its_public_part_verifies(tmp_path: Path) -> None:
    entry = make_key(tmp_path / "keys", "targets", secret)
    (signer,) = Keyring([tmp_path / "keys"], secret).signers(root_of([entry.public]), "targets")
    entry.public.verify_signature(signer.sign(b"data"), b"data")
    with pytest.raises(Exception, match=r"verify"):
        entry.public.verify_signature(signer.sign(b"data"), b"other data")


@pytest.mark.skipif(os.name != "posix", reason="modes of files are POSIX's")
def test_the_private_part_is_for_its_owner(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        make_key(tmp_path / "keys", "targets", None)
    finally:
        os.umask(before)
    assert (tmp_path / "keys/targets-1.pem").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700


def test_a_second_key_takes_another_name(tmp_path: Path) -> None:
    names = [make_key(tmp_path, "targets", None).name for _ in range(2)]
    (tmp_path / "targets-3.pem").write_bytes(b"")  # what a kill leaves between the two files
    assert [*names, make_key(tmp_path, "targets", None).name] == ["targets-1", "targets-2", "targets-4"]
    assert [entry.name for entry in Keyring([tmp_path], secret).entries()] == ["targets-1", "targets-2", "targets-4"]


def test_an_empty_passphrase_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"key targets-1: the passphrase is empty"):
        make_key(tmp_path, "targets", lambda kind, name: "")
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_passphrase_names_the_key(tmp_path: Path) -> None:
    entry = make_key(tmp_path, "targets", secret)
    with pytest.raises(ValueError, match=r"key targets-1 \(file:targets-1.pem\): Incorrect password"):
        Keyring([tmp_path], lambda kind, name: "mule").signers(root_of([entry.public]), "targets")


def test_too_few_keys(tmp_path: Path) -> None:
    entries = [make_key(tmp_path / str(number), "targets", None) for number in range(3)]
    root = root_of([entry.public for entry in entries], threshold=2)
    assert len(Keyring([tmp_path / "0", tmp_path / "2"], secret).signers(root, "targets")) == 2
    with pytest.raises(ValueError, match=r"takes 2 of the repository's 3 keys for it; in .*: targets-1. Give"):
        Keyring([tmp_path / "0", tmp_path / "not there"], secret).signers(root, "targets")


def test_a_private_part_of_another_key(tmp_path: Path) -> None:
    entry, other = (make_key(tmp_path, "targets", None) for _ in range(2))
    (tmp_path / "targets-1.pem").write_bytes((tmp_path / "targets-2.pem").read_bytes())
    with pytest.raises(ValueError, match=r"targets-1 .*does not match"):
        Keyring([tmp_path], secret).signers(root_of([entry.public]), "targets")
    assert other.name == "targets-2"


def test_a_private_part_that_is_gone(tmp_path: Path) -> None:
    entry = make_key(tmp_path, "targets", None)
    (tmp_path / "targets-1.pem").unlink()
    with pytest.raises(ValueError, match=r"targets-1 .*No such file"):
        Keyring([tmp_path], secret).signers(root_of([entry.public]), "targets")


@pytest.mark.parametrize("text", ["", "[]", '{"uri": "file:x"}', '{"uri": "file:x", "public": {"keyid": 1}}'])
def test_a_file_that_is_no_key(tmp_path: Path, text: str) -> None:
    (tmp_path / "targets-1.json").write_text(text)
    with pytest.raises(ValueError, match=r"targets-1.json: not a key"):
        Keyring([tmp_path], secret).entries()


def test_an_address_of_an_unknown_kind(tmp_path: Path) -> None:
    entry = make_key(tmp_path, "targets", None)
    path = tmp_path / "targets-1.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"uri": "cloud9:key"}))
    with pytest.raises(ValueError, match=r"targets-1 .cloud9:key.: Unsupported private key scheme"):
        Keyring([tmp_path], secret).signers(root_of([entry.public]), "targets")
