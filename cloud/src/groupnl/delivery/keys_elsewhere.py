"""Keys that are not made here: in a file of another tool, on a PKCS#11 token, in a key service of a cloud.

Only the public part is read. securesystemslib's signers do the work, each with the package that it needs.
"""

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from securesystemslib.signer import AWSSigner, AzureSigner, GCPSigner, HSMSigner, Key, SSlibKey, VaultSigner

from groupnl.delivery.encrypted_key import is_encrypted, read_key
from groupnl.delivery.keyring import FILE, Secrets

FORMS = "file:KEY.pem, hsm:ID?label=TOKEN, awskms:KEY, gcpkms:KEY, azurekms://VAULT.vault.azure.net/keys/KEY or hv:KEY"


def import_key(address: str, secrets: Secrets) -> tuple[str, Key]:
    """Address and public part of a key, as the folder of keys notes it.

    Args:
        address: One of :data:`FORMS`. A token's library is named by the environment variable ``PYKCS11LIB``; services
            take the credentials of their own tools.
        secrets: Gives a file's passphrase or a token's pin, where the public part takes one.

    Raises:
        ValueError: Of another form, or the key cannot be read; the message says why.
    """
    scheme, _, place = address.partition(":")
    try:
        if scheme == FILE:
            return _of_file(Path(place), secrets)
        if scheme == HSMSigner.SCHEME:
            parts = urlsplit(address)
            label = parse_qs(parts.query).get("label", [None])[0]
            number = int(parts.path) if parts.path else None
            return HSMSigner.import_(number, label, lambda kind: secrets(kind, address))
        if scheme == AWSSigner.SCHEME:
            return AWSSigner.import_(place)
        if scheme == GCPSigner.SCHEME:
            return GCPSigner.import_(place)
        if scheme == AzureSigner.SCHEME:
            parts = urlsplit(address)
            return AzureSigner.import_(parts.netloc.partition(".")[0], Path(parts.path).name)
        if scheme == VaultSigner.SCHEME:
            return VaultSigner.import_(place)
    except Exception as error:  # libraries of tokens and services raise what they like
        raise ValueError(f"key {address}: {type(error).__name__}: {error}") from error
    raise ValueError(f"key {address}: expected {FORMS}")


def _of_file(path: Path, secrets: Secrets) -> tuple[str, Key]:
    pem = path.read_bytes()
    passphrase = secrets("passphrase", path.stem) if is_encrypted(pem) else None
    public = read_key(pem, passphrase).public_key()
    return f"{FILE}:{path.resolve()}", SSlibKey.from_crypto(public)
