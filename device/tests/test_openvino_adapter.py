"""A net written with OpenVINO's own Python package, run from a bundle, against numpy."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from groupnl_device.bundle import Bundle
from groupnl_device.errors import BundleError, InvalidManifestError, UnsafeBundleError
from groupnl_device.openvino_adapter import OpenVino, import_openvino

pytest.importorskip("openvino", reason="needs the package openvino")

CLASSES, HEIGHT, WIDTH = 4, 6, 8  # as the manifest of the fixture has them
WEIGHT = np.random.default_rng(0).normal(size=(3, CLASSES)).astype(np.float32)
FILES = {"graph": "openvino.xml", "weights": "openvino.bin"}


def expected(images: np.ndarray) -> np.ndarray:
    return np.maximum(images.astype(np.float64).mean(axis=(2, 3)) @ WEIGHT, 0)


@pytest.fixture(scope="module")
def entries(tmp_path_factory) -> dict[str, bytes]:
    ov = import_openvino()
    ops = ov.opset13
    x = ops.parameter([1, 3, HEIGHT, WIDTH], np.float32)
    pooled = ops.reduce_mean(x, ops.constant(np.array([2, 3], np.int64)), keep_dims=False)
    model = ov.Model([ops.relu(ops.matmul(pooled, ops.constant(WEIGHT), False, False))], [x])
    folder = tmp_path_factory.mktemp("ir")
    ov.serialize(model, str(folder / "a.xml"), str(folder / "a.bin"))
    return {FILES["graph"]: (folder / "a.xml").read_bytes(), FILES["weights"]: (folder / "a.bin").read_bytes()}


@pytest.fixture
def bundle(net, build):
    def made(entries: dict[str, bytes], **changed) -> Bundle:
        artifact = {"runtime": "openvino", "form": "plain", "precision": "float32", "files": FILES}
        manifest = {**net.manifest(), "layers": [], **changed}
        manifest["artifacts"] = [{**artifact, "requires": {"openvino": "2024.0"}, "agreement": {}}]
        del manifest["self_test"]
        return Bundle.from_bytes(build(manifest, entries))

    return made


def load(bundle: Bundle, threads: int = 1):
    (artifact,) = bundle.manifest.artifacts
    assert OpenVino().obstacle(artifact) is None
    return OpenVino().load(bundle, artifact, threads=threads)


@pytest.mark.parametrize(("threads", "count"), [(1, 1), (2, 3)])
def test_answers_as_numpy_does(bundle, entries, threads: int, count: int) -> None:
    images = np.random.default_rng(1).normal(size=(count, 3, HEIGHT, WIDTH)).astype(np.float32)
    found = load(bundle(entries), threads).run(images)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected(images), atol=1e-6)


def test_answers_are_not_overwritten_by_the_next(bundle, entries) -> None:
    net = load(bundle(entries))
    first = net.run(np.ones((1, 3, HEIGHT, WIDTH), np.float32))
    kept = first.copy()
    net.run(np.zeros((1, 3, HEIGHT, WIDTH), np.float32))
    np.testing.assert_array_equal(first, kept)


def test_refusals(bundle, entries) -> None:
    with pytest.raises(
        InvalidManifestError, match=r"manifest\.input: float32 \(1, 3, 6, 8\) wanted, the graph has \[\]"
    ):
        load(bundle({**entries, FILES["graph"]: b'<net name="n" version="11"><layers/><edges/></net>'}))
    with pytest.raises(UnsafeBundleError, match="do not lie inside the weights"):
        load(bundle({**entries, FILES["weights"]: entries[FILES["weights"]][:-1]}))
    output = {"name": "logits", "dtype": "float32", "shape": [None, 5]}
    other = bundle(entries, class_names=["a", "b", "c", "d", "e"], output=output)
    with pytest.raises(InvalidManifestError, match=r"manifest\.output"):
        load(other)


def test_an_operator_that_does_not_exist(bundle, entries) -> None:
    graph = entries[FILES["graph"]].replace(b'type="ReLU"', b'type="ReadFile"')
    with pytest.raises(BundleError, match="OpenVINO refuses the graph"):
        load(bundle({**entries, FILES["graph"]: graph}))


def test_nothing_is_written_and_nothing_reported(bundle, entries, tmp_path: Path) -> None:
    code = (
        "import sys, os, pathlib; from groupnl_device.openvino_adapter import import_openvino;"
        "openvino = import_openvino(); openvino.Core();"
        "assert not [n for n in sys.modules if n.startswith('openvino_telemetry')];"
        "assert not list(pathlib.Path.home().rglob('*'))"
    )
    home = {"HOME": str(tmp_path), "PYTHONPATH": ":".join(p for p in sys.path if p)}
    subprocess.run([sys.executable, "-c", code], check=True, env=home, cwd=tmp_path)
