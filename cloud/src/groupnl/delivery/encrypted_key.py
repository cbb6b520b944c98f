"""A private key as a PEM file under a passphrase: PKCS#8 with PBES2, scrypt and AES-256, as OpenSSL has it.

``cryptography`` reads such files, yet writes PKCS#8 only with 2,048 rounds of PBKDF2, which make guessing cheap; hence
the few lines of ASN.1 here. Sources: RFC 5958 section 3 (the container), RFC 8018 appendix A.4 (PBES2), RFC 7914
section 7 (scrypt), RFC 7468 (PEM).
"""

import base64
import hashlib
import os
import textwrap

from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

# 16 MiB and 5 passes: OWASP's Password Storage Cheat Sheet, of the settings within the 32 MiB that OpenSSL allows.
_COST, _BLOCK_SIZE, _PARALLEL = 2**14, 8, 5
_MOST_MEMORY = 64 * 2**20  # bytes; hashlib's bound counts generously
_PBES2 = bytes.fromhex("2a864886f70d01050d")  # 1.2.840.113549.1.5.13
_SCRYPT = bytes.fromhex("2b06010401da47040b")  # 1.3.6.1.4.1.11591.4.11
_AES256_CBC = bytes.fromhex("60864801650304012a")  # 2.16.840.1.101.3.4.1.42
_INTEGER, _OCTETS, _OID, _SEQUENCE = 0x02, 0x04, 0x06, 0x30


def write_key(key: PrivateKeyTypes, passphrase: str | None) -> bytes:
    """The file's content.

    Args:
        key: Ed25519, ECDSA or RSA.
        passphrase: None: not encrypted.
    """
    if passphrase is None:
        return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    plain = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    salt, start = os.urandom(16), os.urandom(16)
    derived = hashlib.scrypt(
        passphrase.encode(), salt=salt, n=_COST, r=_BLOCK_SIZE, p=_PARALLEL, dklen=32, maxmem=_MOST_MEMORY
    )
    padder, encryptor = PKCS7(128).padder(), Cipher(algorithms.AES(derived), modes.CBC(start)).encryptor()
    hidden = encryptor.update(padder.update(plain) + padder.finalize()) + encryptor.finalize()
    derivation = _sequence(
        _element(_OID, _SCRYPT),
        _sequence(_element(_OCTETS, salt), _number(_COST), _number(_BLOCK_SIZE), _number(_PARALLEL)),
    )
    cipher = _sequence(_element(_OID, _AES256_CBC), _element(_OCTETS, start))
    algorithm = _sequence(_element(_OID, _PBES2), _sequence(derivation, cipher))
    text = base64.b64encode(_sequence(algorithm, _element(_OCTETS, hidden))).decode()
    lines = ["-----BEGIN ENCRYPTED PRIVATE KEY-----", *textwrap.wrap(text, 64), "-----END ENCRYPTED PRIVATE KEY-----"]
    return ("\n".join(lines) + "\n").encode()


def is_encrypted(pem: bytes) -> bool:
    """Whether reading the file takes a passphrase."""
    return b"-----BEGIN ENCRYPTED PRIVATE KEY-----" in pem


def read_key(pem: bytes, passphrase: str | None) -> PrivateKeyTypes:
    """The key in a PEM file of this or another tool.

    Raises:
        ValueError: The passphrase is wrong, or it is no private key.
    """
    if not is_encrypted(pem):
        passphrase = None
    return load_pem_private_key(pem, None if passphrase is None else passphrase.encode())


def _element(tag: int, content: bytes) -> bytes:
    """One element in DER: tag, length, content (X.690, sections 8.1 and 10.1)."""
    size = len(content)
    if size < 128:
        return bytes([tag, size]) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(octets)]) + octets + content


def _sequence(*elements: bytes) -> bytes:
    return _element(_SEQUENCE, b"".join(elements))


def _number(value: int) -> bytes:
    """A positive integer; the first bit is its sign, hence a zero byte before one that is set."""
    return _element(_INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))
