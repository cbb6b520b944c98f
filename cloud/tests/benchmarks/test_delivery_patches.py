"""What the study of patches counts, on small bundles and by hand."""

import os

import numpy as np
import pytest
import safetensors.numpy

from benchmarks import delivery_patches
from groupnl.export.bundle_writer import assemble
from groupnl_device.bundle import Bundle
from groupnl_device.manifest import Artifact, Manifest
from groupnl_device.preprocessing import Preprocessing


def bundle(weights: np.ndarray) -> Bundle:
    manifest = Manifest(
        name="net",
        input_name="input",
        input_shape=(None, 3, 8, 8),
        output_name="logits",
        output_shape=(None, 2),
        preprocessing=Preprocessing(input_size=(3, 8, 8), mean=(0.5,) * 3, std=(0.5,) * 3),
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
        producer={},
    )
    return Bundle.from_bytes(assemble(manifest, {"weights.safetensors": safetensors.numpy.save({"w": weights})}))


LINUX = pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="needs Linux, as the study does")


@LINUX
def test_bytes_of_every_way_to_a_new_version() -> None:
    weights = np.random.default_rng(0).normal(size=5000).astype(np.float32)
    row = delivery_patches.measure(bundle(weights), bundle(weights * np.float32(1.0001)))
    assert row["patch_bytes"] == row["patch_head_bytes"] + sum(row["way_bytes"].values())
    assert 0 < row["patch_bytes"] < row["published_bytes"] <= row["stored_bytes"]
    assert row["way_bytes"]["difference"] > 1000
    assert row["patch_bytes"] < min(row["zstd_prefix_bytes"], row["bsdiff4_bytes"])
    assert all(row[key] >= 0 for key in ("make_seconds", "apply_seconds", "open_seconds", "apply_memory_bytes"))


@LINUX
def test_large_files_are_not_given_to_the_peers(monkeypatch) -> None:
    monkeypatch.setattr(delivery_patches, "_LARGEST_FOR_PEERS", 1000)
    row = delivery_patches.measure(bundle(np.zeros(999)), bundle(np.ones(999)))
    assert (row["zstd_prefix_bytes"], row["bsdiff4_bytes"]) == (None, None)


ROW = {
    "net": "resnet8",
    "precision": "int8",
    "change": "one more epoch",
    "stored_bytes": 120_000,
    "published_bytes": 100_000,
    "zstd_prefix_bytes": 30_000,
    "bsdiff4_bytes": 20_000,
    "patch_bytes": 12_340,
    "apply_seconds": 0.0123,
    "open_seconds": 0.001,
    "apply_memory_bytes": 3 * 2**20,
    "make_seconds": 1.26,
}


def test_tables() -> None:
    other = {**ROW, "change": "head only", "zstd_prefix_bytes": None, "bsdiff4_bytes": None}
    assert delivery_patches.table([ROW, other]).splitlines()[2:] == [
        "| resnet8 | int8 | one more epoch | 120.0 | 100.0 | 30.0% | 20.0% | 12.3 | 12.3% |",
        "| resnet8 | int8 | head only | 120.0 | 100.0 |  |  | 12.3 | 12.3% |",
    ]
    assert delivery_patches.device_table([ROW, other]).splitlines()[2:] == [
        "| resnet8 | int8 | 120.0 | 0.012 | 0.001 | 3.0 | 1.3 |",
    ]
