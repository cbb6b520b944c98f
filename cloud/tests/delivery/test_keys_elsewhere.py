"""Keys of files and, where they are, of tokens; other addresses are refused."""

from pathlib import Path

import pytest
from cloud.tests.delivery.simulated import bundle_file, device_of, new_repository, secret
from cryptography.hazmat.primitives.asymmetric import ec, rsa, x25519

from groupnl.delivery import RoleKeys, import_key, publish
from groupnl.delivery.encrypted_key import write_key


@pytest.mark.parametrize(
    ("key", "scheme"),
    [
        (ec.generate_private_key(ec.SECP256R1()), "ecdsa-sha2-nistp256"),
        (rsa.generate_private_key(65537, 2048), "rsassa-pss-sha256"),
    ],
)
def test_a_key_of_another_tool_signs(tmp_path: Path, key, scheme: str) -> None:
    (tmp_path / "mine.pem").write_bytes(write_key(key, None))
    uri, public = import_key(f"file:{tmp_path / 'mine.pem'}", secret)
    assert public.scheme == scheme
    roles = {"targets": RoleKeys(threshold=2, made=1, elsewhere=((uri, public),))}
    repository = new_repository(tmp_path, roles=roles)
    publish(repository, bundle_file(tmp_path / "1.gnl", 1), "stable")
    assert len(device_of(tmp_path).sees()) == 1


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("pgp:7", r"key pgp:7: expected file:KEY.pem, hsm:"),
        ("key.pem", r"key key.pem: expected file:KEY.pem"),
        ("file:/nowhere/key.pem", r"key file:/nowhere/key.pem: FileNotFoundError"),
        ("hsm:two", r"key hsm:two: ValueError: invalid literal"),
        ("gcpkms:projects/p", r"key gcpkms:projects/p: "),
        ("azurekms://v.vault.azure.net/keys/k", r"key azurekms:.*: "),
        ("hv:key", r"key hv:key: "),
    ],
)
def test_refusals(address: str, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYKCS11LIB", raising=False)
    with pytest.raises(ValueError, match=reason):
        import_key(address, secret)


def test_a_key_that_does_not_sign(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_bytes(write_key(x25519.X25519PrivateKey.generate(), None))
    with pytest.raises(ValueError, match=r"key.pem: ValueError"):
        import_key(f"file:{tmp_path / 'key.pem'}", secret)


def test_a_wrong_passphrase(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    (tmp_path / "key.pem").write_bytes(write_key(key, "mule"))
    with pytest.raises(ValueError, match=r"key.pem: ValueError: Incorrect password"):
        import_key(f"file:{tmp_path / 'key.pem'}", secret)
