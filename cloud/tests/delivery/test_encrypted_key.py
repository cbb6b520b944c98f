"""Keys in files: what we write, OpenSSL and cryptography read, and only with the passphrase."""

import base64
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from groupnl.delivery.encrypted_key import is_encrypted, read_key, write_key

KEYS = {
    "ed25519": ed25519.Ed25519PrivateKey.generate(),
    "p256": ec.generate_private_key(ec.SECP256R1()),
    "rsa": rsa.generate_private_key(65537, 2048),  # its encoding needs lengths of two octets
}


@pytest.mark.parametrize("kind", KEYS)
def test_cryptography_reads_it(kind: str) -> None:
    pem = write_key(KEYS[kind], "pässword")
    assert is_encrypted(pem)
    assert load_pem_private_key(pem, "pässword".encode()).public_key() == KEYS[kind].public_key()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_openssl_reads_it(tmp_path: Path) -> None:
    key = KEYS["rsa"]
    (tmp_path / "key.pem").write_bytes(write_key(key, "horse"))
    command = ["openssl", "pkey", "-in", str(tmp_path / "key.pem"), "-passin", "pass:horse", "-pubout"]
    told = subprocess.run(command, capture_output=True, check=True).stdout
    assert told == key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def test_the_file_names_scrypt_and_its_cost() -> None:
    """Read with a parser of nobody's: the object identifier of scrypt, then salt, N, r, p."""
    der = base64.b64decode(b"".join(write_key(KEYS["ed25519"], "horse").splitlines()[1:-1]))
    after = der[der.index(bytes.fromhex("06092b06010401da47040b")) + 11 :]
    assert after[:4] == bytes([0x30, 0x1C, 0x04, 16])
    assert after[20:30] == bytes([0x02, 2, 0x40, 0x00, 0x02, 1, 8, 0x02, 1, 5])  # 16384, 8, 5


def test_two_files_of_one_key_share_no_salt() -> None:
    assert write_key(KEYS["ed25519"], "horse") != write_key(KEYS["ed25519"], "horse")


def test_a_wrong_passphrase_is_refused() -> None:
    pem = write_key(KEYS["ed25519"], "horse")
    with pytest.raises(ValueError, match=r"password"):
        read_key(pem, "mule")


def test_without_a_passphrase_it_is_plain() -> None:
    pem = write_key(KEYS["ed25519"], None)
    assert not is_encrypted(pem)
    assert read_key(pem, "not needed").public_key() == KEYS["ed25519"].public_key()


def test_a_file_of_another_tool() -> None:
    pem = KEYS["p256"].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"mule"))
    assert is_encrypted(pem)
    assert not is_encrypted(write_key(KEYS["p256"], None))
    assert read_key(pem, "mule").public_key() == KEYS["p256"].public_key()
