"""The main cases of the public TUF conformance suite, through the command that it calls. Attacks: test_attacks.py."""

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from device.tests.delivery.http_server import Server, serving
from device.tests.delivery.signed_repository import SignedRepository, in_days, sign
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import DelegatedRole, Delegations, Metadata, MetaFile, TargetFile, Targets

from groupnl_device.cli import main


class Client:
    """The command with its folders."""

    def __init__(self, folder: Path, server: Server) -> None:
        self.metadata, self.targets = folder / "metadata", folder / "targets"
        self.metadata.mkdir()
        self.targets.mkdir()
        self._root = folder / "initial_root.json"
        self._server = server

    def run(self, *arguments: object) -> int:
        return main(["tuf-conformance", "--metadata-dir", *map(str, (self.metadata, *arguments))])

    def init(self, root: bytes) -> int:
        self._root.write_bytes(root)
        return self.run("init", self._root)

    def refresh(self) -> int:
        return self.run("--metadata-url", f"{self._server.url}/metadata/", "refresh")

    def download(self, name: str) -> int:
        urls = ("--metadata-url", f"{self._server.url}/metadata", "--target-base-url", f"{self._server.url}/targets/")
        return self.run(*urls, "--target-name", name, "--target-dir", self.targets, "download")

    def trusted(self) -> dict[str, int]:
        files = [path for path in self.metadata.iterdir() if path.suffix == ".json"]
        return {path.stem: Metadata.from_file(str(path)).signed.version for path in files}

    def artifacts(self) -> list[bytes]:
        """What the suite counts: all files that are not hidden."""
        return [path.read_bytes() for path in self.targets.rglob("[!.]*") if path.is_file()]


@pytest.fixture
def repository() -> SignedRepository:
    return SignedRepository()


@pytest.fixture
def server(repository: SignedRepository) -> Iterator[Server]:
    with serving() as server:
        server.files = repository.files
        yield server


@pytest.fixture
def client(server: Server, repository: SignedRepository, tmp_path: Path) -> Client:
    client = Client(tmp_path, server)
    assert client.init(repository.first_root) == 0
    assert server.requests == []
    return client


def paths(server: Server) -> list[str]:
    return [path for path, _ in server.requests]


def test_refresh_asks_in_order_and_keeps_the_bytes(
    client: Client, server: Server, repository: SignedRepository
) -> None:
    assert client.refresh() == 0
    names = ["2.root.json", "timestamp.json", "1.snapshot.json", "1.targets.json"]
    assert paths(server) == [f"/metadata/{name}" for name in names]
    assert client.trusted() == {"root": 1, "timestamp": 1, "snapshot": 1, "targets": 1}
    repository.files["/metadata/timestamp.json"] += b" "  # of the same version: the one that is there stays
    assert client.refresh() == 0
    repository.files["/metadata/timestamp.json"] = repository.files["/metadata/timestamp.json"][:-1]
    for name in ("1.root", "1.snapshot", "1.targets", "timestamp"):
        kept = client.metadata / f"{name.removeprefix('1.')}.json"
        assert kept.read_bytes() == repository.files[f"/metadata/{name}.json"]


def test_download_refreshes_first(client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    assert client.download("absent") == 1
    assert capsys.readouterr().err == ("groupnl-device: metadata: 'absent': the signed metadata know no such target\n")
    assert client.trusted() == {"root": 1, "timestamp": 1, "snapshot": 1, "targets": 1}


@pytest.mark.parametrize("spoil", [lambda root: root[:-20], lambda root: root.replace(b'"sig": "', b'"sig": "00')])
def test_a_bad_initial_root(client: Client, server: Server, repository: SignedRepository, spoil) -> None:
    root = repository.first_root
    spoiled = spoil(root.replace(b'"sig":"', b'"sig": "'))
    assert client.init(spoiled) == 0
    assert client.refresh() == 1
    assert server.requests == []


def test_no_root_at_all(client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    (client.metadata / "root.json").unlink()
    assert client.refresh() == 1
    assert "root.json" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("role", "trusted"),
    [
        ("root", ["root"]),
        ("timestamp", ["root"]),
        ("snapshot", ["root", "timestamp"]),
        ("targets", ["root", "snapshot", "timestamp"]),
    ],
)
def test_unsigned_metadata(client: Client, repository: SignedRepository, role: str, trusted: list[str]) -> None:
    repository.signers[role] = []
    repository.publish(*(["root"] if role == "root" else []), "targets", "snapshot", "timestamp")
    assert client.refresh() == 1
    assert sorted(client.trusted()) == trusted
    assert client.trusted()["root"] == 1


@pytest.mark.parametrize("role", ["root", "timestamp", "snapshot", "targets"])
def test_expired_metadata(client: Client, repository: SignedRepository, role: str) -> None:
    getattr(repository, role).expires = in_days(-1)
    repository.publish(*(["root"] if role == "root" else []), "targets", "snapshot", "timestamp")
    assert client.refresh() == 1
    assert "targets" not in client.trusted()


def test_a_timestamp_of_the_same_version_is_not_taken(client: Client, repository: SignedRepository) -> None:
    assert client.refresh() == 0
    repository.timestamp.snapshot_meta = MetaFile(100)
    repository.files["/metadata/timestamp.json"] = sign(repository.timestamp, repository.signers["timestamp"])
    assert client.refresh() == 0


def test_unknown_fields_are_part_of_what_is_signed(client: Client, repository: SignedRepository) -> None:
    repository.root.unrecognized_fields["other"] = {"a": [1]}
    repository.publish("root")
    assert client.refresh() == 0
    assert client.trusted()["root"] == 2


@pytest.mark.parametrize(
    "generate",
    [
        CryptoSigner.generate_ed25519,
        CryptoSigner.generate_ecdsa,
        CryptoSigner.generate_rsa,
        lambda: CryptoSigner.generate_rsa(scheme="rsa-pkcs1v15-sha256"),
    ],
)
def test_kinds_of_keys(client: Client, repository: SignedRepository, generate) -> None:
    signer = generate()
    repository.root.add_key(signer.public_key, "timestamp")
    repository.root.roles["timestamp"].threshold = 2
    repository.publish("root")
    repository.publish("timestamp")
    assert client.refresh() == 1
    repository.signers["timestamp"].append(signer)
    repository.publish("timestamp")
    assert client.refresh() == 0


def test_one_signature_counts_once(client: Client, repository: SignedRepository) -> None:
    repository.root.roles["timestamp"].threshold = 2
    repository.signers["timestamp"] *= 2
    repository.publish("root", "timestamp")
    assert client.refresh() == 1


def test_a_key_that_signs_twice(client: Client, repository: SignedRepository) -> None:
    """By itself a fault, even where one signature would be enough."""
    told = json.loads(repository.files["/metadata/1.snapshot.json"])
    told["signatures"] *= 2
    repository.files["/metadata/1.snapshot.json"] = json.dumps(told).encode()
    assert client.refresh() == 1
    assert "snapshot" not in client.trusted()


@pytest.mark.parametrize("wrong", ["", "00", "not hexadecimal", "ab" * 64])
def test_a_wrong_signature_beside_enough_right_ones(client: Client, repository: SignedRepository, wrong: str) -> None:
    repository.add_key("timestamp")
    repository.publish("root", "timestamp")
    told = json.loads(repository.files["/metadata/timestamp.json"])
    told["signatures"][0]["sig"] = wrong
    repository.files["/metadata/timestamp.json"] = json.dumps(told).encode()
    assert client.refresh() == 0
    told["signatures"][1]["sig"] = wrong
    told["signed"]["version"] += 1
    repository.files["/metadata/timestamp.json"] = json.dumps(told).encode()
    assert client.refresh() == 1


@pytest.mark.parametrize(
    ("keys", "threshold", "signing", "accepted"),
    [
        ([5, 6, 7, 8, 9], 3, [0, 2, 4, 5, 6, 7], True),  # all exchanged, signed by enough old and new ones
        ([0, 1, 3, 4, 5], 3, [0, 1, 4], True),  # one exchanged, those that stay are enough for both
        ([0, 1, 3, 4, 5], 3, [0, 4, 5], False),  # two old ones
        ([5, 6, 7, 8, 9], 3, [5, 6, 7], False),  # new ones alone
        ([5, 6, 7, 8, 9], 3, [0, 2, 4], False),  # old ones alone
        ([0, 1, 2, 3, 4], 1, [0], False),  # a lower threshold needs the old one once more
        ([0, 1, 2, 3, 4], 1, [0, 1, 2], True),
        ([0, 1, 2, 3, 4], 5, [0, 1, 2], False),  # a higher one counts at once
    ],
)
def test_rotation_of_three_of_five_root_keys(
    tmp_path: Path, server: Server, keys: list[int], threshold: int, signing: list[int], accepted: bool
) -> None:
    repository = SignedRepository()
    signers = [CryptoSigner.generate_ed25519() for _ in range(10)]

    def publish(keys: list[int], threshold: int, signing: list[int]) -> None:
        repository.root.roles["root"].keyids.clear()
        for k in keys:
            repository.root.add_key(signers[k].public_key, "root")
        repository.root.roles["root"].threshold = threshold
        repository.signers["root"] = [signers[k] for k in signing]
        repository.publish("root")

    publish([0, 1, 2, 3, 4], 3, [0, 2, 4])
    publish(keys, threshold, signing)
    server.files = repository.files
    client = Client(tmp_path, server)
    assert client.init(repository.files["/metadata/2.root.json"]) == 0
    assert client.refresh() == (0 if accepted else 1)
    assert client.trusted()["root"] == (3 if accepted else 2)


def test_a_root_that_leaves_out_a_version(client: Client, repository: SignedRepository) -> None:
    repository.publish("root")
    assert client.refresh() == 0
    repository.publish("root", "root")
    repository.files["/metadata/3.root.json"] = repository.files["/metadata/4.root.json"]
    assert client.refresh() == 1
    assert client.trusted()["root"] == 2


@pytest.mark.parametrize("name", ["file.bin", "path/to/a/file.bin", "a b/c+d~.bin"])
def test_download(client: Client, repository: SignedRepository, server: Server, name: str) -> None:
    repository.add(name, b"content")
    repository.files = server.files = {quote(path, "/+"): content for path, content in repository.files.items()}
    repository.publish()
    assert client.refresh() == 0
    assert client.artifacts() == []
    assert client.download(name) == 0
    assert client.artifacts() == [b"content"]


@pytest.mark.parametrize("algorithms", [["sha256"], ["sha512"], ["sha512", "sha256"]])
def test_hashes(client: Client, repository: SignedRepository, server: Server, algorithms: list[str]) -> None:
    target = TargetFile.from_data("a/file", b"content", algorithms)
    repository.targets.targets["a/file"] = target
    for digest in target.hashes.values():
        repository.files[f"/targets/a/{digest}.file"] = b"content"
    repository.publish()
    for _ in range(2):
        assert client.download("a/file") == 0
        assert client.artifacts() == [b"content"]
    assert len(server.requests) == 4 + 1 + 2


def test_a_hash_that_nobody_knows(client: Client, repository: SignedRepository, server: Server) -> None:
    target = repository.add("file", b"content")
    target.hashes = {"unknown": target.hashes["sha256"]}
    repository.publish()
    assert client.download("file") == 1
    assert client.artifacts() == []
    assert len(server.requests) == 4


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_another_content(client: Client, repository: SignedRepository, algorithm: str) -> None:
    target = TargetFile.from_data("file", b"content", [algorithm])
    repository.targets.targets["file"] = target
    repository.files[f"/targets/{target.hashes[algorithm]}.file"] = b"CONTENT"
    repository.publish()
    assert client.download("file") == 1
    assert client.artifacts() == []


def test_what_is_there_is_not_downloaded_again(client: Client, repository: SignedRepository, server: Server) -> None:
    repository.add("file", b"content")
    repository.publish()
    assert client.download("file") == 0
    assert client.download("file") == 0
    assert paths(server).count(repository.place("file")) == 1


def test_changed_content_takes_the_same_place(client: Client, repository: SignedRepository) -> None:
    for content in (b"one", b"two", b"longer"):
        repository.add("file", content)
        repository.publish()
        assert client.download("file") == 0
        assert client.artifacts() == [content]
    repository.add("file", b"four")
    repository.files[repository.place("file")] = b"evil"
    repository.publish()
    assert client.download("file") == 1
    assert client.artifacts() == [b"longer"]


def test_a_repository_without_consistent_snapshots(
    tmp_path: Path, server: Server, repository: SignedRepository
) -> None:
    repository.root.consistent_snapshot = False
    repository.publish("root")
    repository.add("a/file", b"content")
    repository.publish()
    for role in ("snapshot", "targets"):
        repository.files[f"/metadata/{role}.json"] = repository.files[f"/metadata/2.{role}.json"]
    repository.files["/targets/a/file"] = b"content"
    client = Client(tmp_path, server)
    client.init(repository.files["/metadata/2.root.json"])
    assert client.download("a/file") == 0
    assert paths(server)[-3:] == ["/metadata/snapshot.json", "/metadata/targets.json", "/targets/a/file"]


@pytest.mark.parametrize("role", ["delegated", "?", "#", "/delegated", "../delegated"])
def test_delegations_and_unusual_names_of_roles(
    client: Client, repository: SignedRepository, server: Server, role: str
) -> None:
    signer = CryptoSigner.generate_ed25519()
    keyid = signer.public_key.keyid
    terminating = DelegatedRole(role, [keyid], 1, True, ["sub/*"])
    never = DelegatedRole("never", [keyid], 1, False, ["*"])
    repository.targets.delegations = Delegations(
        {keyid: signer.public_key}, {delegated.name: delegated for delegated in (terminating, never)}
    )
    target = repository.add("sub/file", b"content")
    del repository.targets.targets["sub/file"]
    below = Targets(version=1, expires=in_days(1), targets={"sub/file": target})
    repository.snapshot.meta[f"{role}.json"] = MetaFile(1)
    repository.files[f"/metadata/1.{quote(role, '')}.json"] = sign(below, [signer])
    repository.publish()
    assert client.download("sub/file") == 0
    assert client.artifacts() == [b"content"]
    assert client.download("sub/absent") == 1
    assert len(client.trusted()) == 5
    assert client.download("absent") == 1  # this one is asked of the role that snapshot does not know
    assert not any("never" in path for path in paths(server))


def test_an_expired_delegated_role(client: Client, repository: SignedRepository) -> None:
    signer = CryptoSigner.generate_ed25519()
    keyid = signer.public_key.keyid
    role = DelegatedRole("delegated", [keyid], 1, False, ["sub/*"])
    repository.targets.delegations = Delegations({keyid: signer.public_key}, {"delegated": role})
    target = repository.add("sub/file", b"content")
    del repository.targets.targets["sub/file"]
    below = Targets(version=1, expires=in_days(-1), targets={"sub/file": target})
    repository.snapshot.meta["delegated.json"] = MetaFile(1)
    repository.files["/metadata/1.delegated.json"] = sign(below, [signer])
    repository.publish()
    assert client.refresh() == 0
    assert client.download("sub/file") == 1
    assert client.artifacts() == []
    assert "delegated" not in client.trusted()


def test_provisioning_again_after_a_refresh(client: Client, repository: SignedRepository) -> None:
    repository.rotate("timestamp")
    repository.publish("root", "timestamp")
    assert client.refresh() == 0
    assert client.init(repository.first_root) == 0
    assert client.trusted()["targets"] == 1
    assert client.refresh() == 0
    assert client.trusted()["root"] == 2


def test_a_server_that_is_away(client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    client.run("--metadata-url", "http://[::1", "refresh")
    assert "expected an address" in capsys.readouterr().err
