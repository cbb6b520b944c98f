"""Fuzzing of the reader: hostile bundles give a ``BundleError`` in bounded memory, and touch nothing else."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from groupnl_device.bundle import Bundle
from groupnl_device.repack import compressed

CHILD = Path(__file__).with_name("fuzz_child.py")
KINDS = {"bytes": 20_000, "manifest": 20_000, "entry": 6_000, "weights": 3_000}  # how many in the long test
FEW = 80
MOST_KIB = 64 * 1024  # by which the process may grow, mutated bundles of 10 KB being what it reads


@pytest.fixture
def seeds(net, build, tmp_path: Path) -> list[Path]:
    """Whole bundles: in float32 and float16, stored and compressed."""
    whole = build(net.manifest(), net.entries())
    document = net.manifest()
    document["artifacts"][0]["precision"] = "float16"
    rounded = {name: value.astype(np.float16) for name, value in net.weights.items()}
    half = build(document, {**net.entries(), "weights.safetensors": safetensors.numpy.save(rounded)})
    found = [whole, half, *(compressed(Bundle.from_bytes(data)) for data in (whole, half))]
    paths = [tmp_path / f"{index}.gnl" for index in range(len(found))]
    for path, data in zip(paths, found, strict=True):
        path.write_bytes(data)
    return paths


def fed(kind: str, rounds: int, seeds: list[Path], folder: Path, seed: int = 0) -> dict[str, Any]:
    """What a process of its own says of that many hostile bundles; it works in an empty folder."""
    folder.mkdir()
    # ONNX Runtime's telemetry would keep files of its own.
    own = {"TMPDIR": str(folder), "HOME": str(folder), "GROUPNL_CACHE_DIR": "", "ORT_DISABLE_TELEMETRY": "1"}
    made = subprocess.run(
        [sys.executable, str(CHILD), kind, str(seed), str(rounds), *map(str, seeds)],
        cwd=folder,
        env={**os.environ, **own},
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr[-3000:]
    assert list(folder.iterdir()) == []
    found: dict[str, Any] = json.loads(made.stdout)
    return found


def check(kind: str, found: dict[str, Any]) -> None:
    assert found["changes"] == []  # no file written, nothing started, no connection
    assert found["excess_bytes"] <= 0
    assert found["grown_kib"] is None or found["grown_kib"] < MOST_KIB
    if kind == "bytes":
        assert "accepted" not in found["outcomes"]
    assert len(found["outcomes"]) > 1  # the edits reach more than one check


@pytest.mark.parametrize("kind", KINDS)
def test_some_hostile_bundles(kind: str, seeds: list[Path], tmp_path: Path) -> None:
    check(kind, fed(kind, FEW, seeds, tmp_path / "empty"))


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_many_hostile_bundles(kind: str, seeds: list[Path], tmp_path: Path) -> None:
    check(kind, fed(kind, KINDS[kind], seeds, tmp_path / "empty", seed=1))
