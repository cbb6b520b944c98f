"""A small bundle, a repository in a folder, stores that fail, and a device made of python-tuf's client alone."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from tuf.api.exceptions import DownloadHTTPError
from tuf.ngclient import FetcherInterface, Updater

from groupnl.delivery import Repository, init_repository
from groupnl.export.bundle_writer import write_bundle
from groupnl_device.manifest import Artifact, Manifest, SelfTest
from groupnl_device.preprocessing import Preprocessing

PREPROCESSING = {
    "input_size": [3, 6, 8],
    "mean": [0.5, 0.5, 0.5],
    "std": [0.25, 0.25, 0.25],
    "interpolation": "bilinear",
    "crop_pct": 1.0,
    "crop_mode": "squash",
}
NOW = datetime.now(UTC).replace(microsecond=0)


def secret(kind: str, name: str) -> str:
    """The passphrase of all keys."""
    return f"{kind.removeprefix('new ')} horse"


def bundle_file(path: Path, seed: int = 0, *, sample: bool = True) -> Path:
    """A bundle that no runtime can run; a repository does not mind. Versions of it differ in a few weights."""
    weights = np.random.default_rng(0).normal(size=1000).astype(np.float32)
    weights[: 10 * seed] += 1e-3
    entries = {"weights.safetensors": safetensors.numpy.save({"w": weights}), "sample.bin": bytes(100)}
    manifest = Manifest(
        name="net",
        input_name="input",
        input_shape=(None, 3, 6, 8),
        output_name="logits",
        output_shape=(None, 2),
        preprocessing=Preprocessing.from_dict(PREPROCESSING),
        class_names=("one", "two"),
        entries={},
        layers=(),
        artifacts=(
            Artifact(
                runtime="none",
                form="plain",
                precision="float32",
                files={"weights": "weights.safetensors"},
                requires={},
                agreement={},
            ),
        ),
        measured={},
        producer={"groupnl": "0"},
        self_test=SelfTest(file="sample.bin", tolerance=0.1) if sample else None,
    )
    write_bundle(manifest, entries, path)
    return path


def new_repository(folder: Path, **options: Any) -> Repository:
    """A repository in ``folder/site`` with keys that are not encrypted."""
    given = {"encrypt": False, **options}
    return init_repository(str(folder / "site"), folder / "keys", folder / "root-keys", secret, **given)


class FolderFetcher(FetcherInterface):
    """Serves a folder as a web server would."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _fetch(self, url: str) -> Iterator[bytes]:
        path = self._folder / url.removeprefix("http://site/")
        if not path.is_file():
            raise DownloadHTTPError("not found", 404)
        yield path.read_bytes()


class Device:
    """A device that was provisioned with a root; it keeps the metadata that it has seen."""

    def __init__(self, site: Path, root: bytes, folder: Path) -> None:
        self._site, self._root, self._folder = site, root, folder
        folder.mkdir()

    def refresh(self) -> Updater:
        updater = Updater(
            str(self._folder),
            "http://site/metadata/",
            target_dir=str(self._folder),
            target_base_url="http://site/targets/",
            fetcher=FolderFetcher(self._site),
            bootstrap=self._root,
        )
        updater.refresh()
        return updater

    def sees(self) -> dict[str, str]:
        """Every target that it is offered, downloaded and verified: path to SHA-256 of the file."""
        updater = self.refresh()
        found = {}
        for path in updater._trusted_set.targets.targets:
            info = updater.get_targetinfo(path)
            assert info is not None
            file = Path(updater.download_target(info, str(self._folder / "file")))
            found[path] = hashlib.sha256(file.read_bytes()).hexdigest()
        return found

    def root_version(self) -> int:
        return self.refresh()._trusted_set.root.version


def device_of(folder: Path, name: str = "device", root: bytes | None = None) -> Device:
    """A device of the repository in ``folder/site``."""
    return Device(folder / "site", (folder / "keys/root.json").read_bytes() if root is None else root, folder / name)


class FailingStore:
    """Passes calls on to a store until one fails, before it does its work or after."""

    def __init__(self, store: Any, fail_at: int, *, after: bool = False) -> None:
        self._store, self.left, self._after = store, fail_at, after
        self.where = store.where

    def _call(self, work: Any, *arguments: Any) -> Any:
        self.left -= 1
        if self.left == 0 and not self._after:
            raise OSError("the connection broke")
        result = work(*arguments)
        if self.left == 0:
            raise OSError("the answer was lost")
        return result

    @property
    def failed(self) -> bool:
        return self.left <= 0

    def read(self, name: str) -> bytes | None:
        return self._call(self._store.read, name)

    def create(self, name: str, content: bytes) -> bool:
        return self._call(self._store.create, name, content)

    def replace(self, name: str, content: bytes) -> None:
        self._call(self._store.replace, name, content)
