"""A net written by hand in ncnn's text format, run from a bundle, against numpy."""

import numpy as np
import pytest

from groupnl_device.bundle import Bundle
from groupnl_device.errors import BundleError
from groupnl_device.ncnn_adapter import Ncnn

pytest.importorskip("ncnn", reason="needs the package ncnn")

CLASSES, HEIGHT, WIDTH = 4, 6, 8  # as the manifest of the fixture has them
WEIGHT = np.random.default_rng(0).normal(size=(CLASSES, 3)).astype(np.float32)
BIAS = np.arange(CLASSES, dtype=np.float32)
FILES = {"graph": "ncnn.param", "weights": "ncnn.bin"}
PARAM = f"""7767517
3 3
Input in0 0 1 in0
Reduction mean 1 1 in0 1 0=3 1=0 -23303=2,1,2 4=0 5=1
InnerProduct fc 1 1 1 out0 0={CLASSES} 1=1 2={WEIGHT.size}
"""
ENTRIES = {FILES["graph"]: PARAM.encode(), FILES["weights"]: bytes(4) + WEIGHT.tobytes() + BIAS.tobytes()}


@pytest.fixture
def bundle(net, build):
    def made(**changed: bytes) -> Bundle:
        artifact = {"runtime": "ncnn", "form": "plain", "precision": "float32", "files": FILES}
        manifest = {**net.manifest(), "layers": []}
        manifest["artifacts"] = [{**artifact, "requires": {"ncnn": "1.0"}, "agreement": {}}]
        del manifest["self_test"]
        return Bundle.from_bytes(build(manifest, {**ENTRIES, **{FILES[role]: data for role, data in changed.items()}}))

    return made


def load(bundle: Bundle, threads: int = 1):
    (artifact,) = bundle.manifest.artifacts
    assert Ncnn().obstacle(artifact) is None
    return Ncnn().load(bundle, artifact, threads=threads)


@pytest.mark.parametrize(("threads", "count"), [(1, 1), (2, 3)])
def test_answers_as_numpy_does(bundle, threads: int, count: int) -> None:
    images = np.random.default_rng(1).normal(size=(count, 3, HEIGHT, WIDTH)).astype(np.float32)
    found = load(bundle(), threads).run(images)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, images.astype(np.float64).mean(axis=(2, 3)) @ WEIGHT.T + BIAS, atol=1e-6)


def test_no_file_is_left(bundle, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    load(bundle()).run(np.zeros((1, 3, HEIGHT, WIDTH), np.float32))
    with pytest.raises(BundleError):
        load(bundle(weights=b""))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"graph": b"\x89PNG"}, "expected ASCII text that begins with 7767517"),
        ({"graph": b""}, "expected ASCII text"),
        ({"graph": PARAM.replace("InnerProduct", "ReadFile").encode()}, "has a layer that this ncnn lacks"),
        ({"graph": PARAM.replace("out0", "out7").encode()}, "expected one input in0 and one output out0"),
        ({"weights": ENTRIES[FILES["weights"]][:20]}, "not those of the graph"),
    ],
)
def test_refusals(bundle, changed: dict[str, bytes], said: str) -> None:
    with pytest.raises(BundleError, match=said):
        load(bundle(**changed))


def test_answers_of_another_shape_than_the_manifests(bundle) -> None:
    graph = PARAM.replace(f"0={CLASSES} 1=1 2={WEIGHT.size}", "0=2 1=1 2=6").encode()
    weights = bytes(4) + WEIGHT[:2].tobytes() + BIAS[:2].tobytes()
    with pytest.raises(BundleError, match="the manifest says"):
        load(bundle(graph=graph, weights=weights)).run(np.zeros((1, 3, HEIGHT, WIDTH), np.float32))
