"""A TUF repository for tests, in memory, made with tuf's own API; an attacker may do anything to it."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, TargetFile, Targets, Timestamp

ROLES = ("root", "targets", "snapshot", "timestamp")


def in_days(days: float) -> datetime:
    return datetime.now(UTC).replace(microsecond=0) + timedelta(days=days)


class SignedRepository:
    """Attributes:

    signers: Private keys by role.
    root, targets, snapshot, timestamp: What is signed at the next :meth:`publish`.
    files: What a web server serves, by path.
    """

    def __init__(self, threshold: int = 1) -> None:
        self.files: dict[str, bytes] = {}
        self._published: set[str] = set()
        self.signers: dict[str, list[CryptoSigner]] = {role: [] for role in ROLES}
        self.root = Root(expires=in_days(30), consistent_snapshot=True)
        self.targets = Targets(expires=in_days(30))
        self.snapshot = Snapshot(expires=in_days(30))
        self.timestamp = Timestamp(expires=in_days(30))
        for role in ROLES:
            self.root.roles[role].threshold = threshold
            for _ in range(threshold):
                self.add_key(role)
        self.publish("root", "targets", "snapshot", "timestamp")

    def add_key(self, role: str) -> CryptoSigner:
        signer = CryptoSigner.generate_ed25519()
        self.root.add_key(signer.public_key, role)
        self.signers[role].append(signer)
        return signer

    def rotate(self, *roles: str) -> None:
        """New keys for these roles; the old ones lose their trust. Publish the root then."""
        for role in roles:
            old = self.signers[role]
            self.signers[role] = []
            for signer in old:
                self.root.revoke_key(signer.public_key.keyid, role)
                self.add_key(role)
            if role == "root":
                self.signers["root"] += old  # the next root needs both

    def add(self, path: str, content: bytes, custom: dict[str, Any] | None = None) -> TargetFile:
        target = TargetFile.from_data(path, content, ["sha256"])
        if custom is not None:
            target.unrecognized_fields["custom"] = custom
        self.targets.targets[path] = target
        self.files[self.place(path)] = content
        return target

    def place(self, path: str) -> str:
        folder, slash, name = path.rpartition("/")
        return f"/targets/{folder}{slash}{self.targets.targets[path].hashes['sha256']}.{name}"

    def publish(self, *roles: str) -> None:
        """Sign new versions of these roles (default: all but the root) and put them in place."""
        for role in roles or ("targets", "snapshot", "timestamp"):
            signed = getattr(self, role)
            if role in self._published:
                signed.version += 1
            self._published.add(role)
            if role == "snapshot":
                signed.meta["targets.json"] = MetaFile(self.targets.version)
            if role == "timestamp":
                signed.snapshot_meta = MetaFile(self.snapshot.version)
                signed.unrecognized_fields["groupnl"] = {"made": datetime.now(UTC).isoformat()}
            name = "timestamp" if role == "timestamp" else f"{signed.version}.{role}"
            self.files[f"/metadata/{name}.json"] = sign(signed, self.signers[role])

    @property
    def first_root(self) -> bytes:
        return self.files["/metadata/1.root.json"]


def sign(signed: Any, signers: Iterable[CryptoSigner]) -> bytes:
    metadata = Metadata(signed)
    for signer in signers:
        metadata.sign(signer, append=True)
    return metadata.to_bytes()


def release_custom(channel: str = "stable", version: int = 1, **changes: Any) -> dict[str, Any]:
    """The custom field of a release, written out by hand."""
    told = {
        "channel": channel,
        "version": version,
        "model": "tiny",
        "published": "2025-01-01T00:00:00+00:00",
        "rollout": {"percent": 100, "groups": []},
        "needs": {"runtimes": ["onnxruntime"], "input_size": [3, 6, 8], "memory_bytes": 0, "format_version": "1.0"},
        "stored": {"sha256": "0" * 64, "length": 1},
        "patches": {},
    }
    return {"groupnl": {**told, **changes}}
