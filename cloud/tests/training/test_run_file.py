"""A failed write says what happened and what to do, and leaves the old file."""

import errno
import os
from pathlib import Path
from typing import BinaryIO

import pytest

from groupnl.training import TrainingError
from groupnl.training.run_file import write_run_file


def full_disk(file: BinaryIO) -> None:
    file.write(b"half of it")
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("old", [None, b"old"])
def test_a_full_disk_leaves_the_old_file(old: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "state"
    if old is not None:
        path.write_bytes(old)
    kept = "the previous one is intact" if old else "there was none before"
    with pytest.raises(TrainingError, match=f"cannot write .*state: .*No space left on device; {kept}. Make room"):
        write_run_file(path, full_disk)
    assert (path.read_bytes() if path.exists() else None) == old
    assert not (tmp_path / ".state.tmp").exists()


def test_what_torch_reports_as_a_runtime_error_too(tmp_path: Path) -> None:
    def broken(file: BinaryIO) -> None:
        raise RuntimeError("PytorchStreamWriter failed writing file")

    with pytest.raises(TrainingError, match=r"PytorchStreamWriter failed .*; there was none before"):
        write_run_file(tmp_path / "state", broken)
    assert not list(tmp_path.iterdir())
