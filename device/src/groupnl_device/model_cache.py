"""A folder of models that were made ready for this processor: whole or not used, and never more than a bound.

The folder is what ``GROUPNL_CACHE_DIR`` names (empty: no cache), else ``groupnl`` in ``XDG_CACHE_HOME``, else
``~/.cache/groupnl``. Whatever goes wrong with it, the answer is "not there": a cache is never a reason to fail.
"""

import hashlib
import os
import platform
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groupnl_device.atomic import write_atomically

MOST_BYTES = 1 << 30  # of all files together
MOST_FILES = 32
_ENDING = ".model"
_MAGIC = b"groupnl model cache 1\n"
_DIGEST = hashlib.sha256().digest_size
_CPU_LINES = ("model name", "flags", "Features", "CPU implementer", "CPU part")  # of /proc/cpuinfo


class ModelCache:
    """Files by key, each behind a hash of its content; those used longest ago make room for new ones.

    Args:
        folder: Where they lie; None: nothing is kept.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def load(self, key: str) -> bytes | None:
        """What was kept; None where there is nothing, or a file that is not as it was written."""
        if self._folder is None:
            return None
        path = self._folder / f"{key}{_ENDING}"
        try:
            content = path.read_bytes()
            start = len(_MAGIC) + _DIGEST
            whole = hashlib.sha256(memoryview(content)[start:]).digest() == content[len(_MAGIC) : start]
            if not content.startswith(_MAGIC) or not whole:
                path.unlink(missing_ok=True)
                return None
            os.utime(path)  # used now
        except OSError:
            return None
        return content[start:]

    def store(self, key: str, model: bytes) -> bool:
        """Keep a model, and remove others where there are too many. Several processes may do so at once.

        Returns:
            Whether it was kept: not where the folder cannot be written or the model is larger than the bound.
        """
        if self._folder is None or len(model) > MOST_BYTES:
            return False
        # A name of this process's own first: two that write the same model must not meet in one temporary file.
        own = self._folder / f"{key}.{os.getpid()}{_ENDING}"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_atomically(own, lambda file: file.writelines([_MAGIC, hashlib.sha256(model).digest(), model]))
            own.replace(self._folder / f"{key}{_ENDING}")
            _make_room(self._folder)
        except OSError:
            return False
        return True


def _make_room(folder: Path) -> None:
    """Remove what was used longest ago, beyond the bound."""
    total = 0
    for index, (_, size, path) in enumerate(sorted(_files(folder), reverse=True)):  # the latest first
        total += size
        if index >= MOST_FILES or (index > 0 and total > MOST_BYTES):
            path.unlink(missing_ok=True)


def _files(folder: Path) -> Iterable[tuple[float, int, Path]]:
    """When it was last used, size and path of each of our files, those that a kill left behind included."""
    for path in folder.iterdir():
        if path.name.removesuffix(".tmp").endswith(_ENDING):
            try:
                state = path.stat()
            except OSError:  # another process removed it
                continue
            yield state.st_mtime, state.st_size, path


def default_cache(environment: Mapping[str, str] = os.environ) -> ModelCache:
    """This user's cache."""
    named = environment.get("GROUPNL_CACHE_DIR")
    if named is not None:
        return ModelCache(Path(named) if named else None)
    base = environment.get("XDG_CACHE_HOME", "")
    try:
        folder = Path(base) if Path(base).is_absolute() else Path.home() / ".cache"
    except RuntimeError:  # a user without a home
        return ModelCache(None)
    return ModelCache(folder / "groupnl")


def key_of(graph: bytes, tensors: Mapping[str, NDArray[Any]], circumstances: Iterable[str]) -> str:
    """What a model was made of and for: another graph, tensor, version or processor gives another key.

    Args:
        graph: A serialised graph.
        tensors: What it is joined with, by name.
        circumstances: Whatever else counts.
    """
    digest = hashlib.sha256()
    for text in (*circumstances, processor()):
        digest.update(f"{len(text.encode())}:{text}".encode())
    digest.update(f"{len(graph)}:".encode())
    digest.update(graph)
    for name in sorted(tensors):
        array = np.ascontiguousarray(tensors[name])
        digest.update(f"{name!r} {array.dtype.str} {array.shape}".encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def processor(root: Path = Path("/")) -> str:
    """Model and instruction sets of the first core: code that was chosen for them runs nowhere else.

    Args:
        root: Where ``proc`` lies.
    """
    parts = [platform.system(), platform.machine(), platform.processor()]
    try:
        lines = (root / "proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    seen = set()
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip() in _CPU_LINES and name.strip() not in seen:
            seen.add(name.strip())
            parts.append(value.strip())
    return "; ".join(parts)
