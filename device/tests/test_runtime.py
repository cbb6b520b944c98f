"""Running a bundle: the right numbers, the first artifact that runs, and no way for a graph to reach a file."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import safetensors.numpy

from groupnl_device import onnxruntime_adapter
from groupnl_device.bundle import Bundle
from groupnl_device.errors import BundleError, InvalidManifestError, NoRunnableArtifactError
from groupnl_device.manifest import Artifact
from groupnl_device.onnxruntime_adapter import OnnxRuntime
from groupnl_device.runtime import Session, obstacle_to, softmax


@pytest.fixture
def session(bundle_bytes: bytes) -> Session:
    return Session(Bundle.from_bytes(bundle_bytes))


def noise(batch: int) -> np.ndarray:
    return np.random.default_rng(batch).normal(size=(batch, 3, 6, 8)).astype(np.float32)


@pytest.mark.parametrize("batch", [1, 2, 7])
def test_logits_are_those_of_the_definition(net, session: Session, batch: int) -> None:
    images = noise(batch)
    found = session.logits(images)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, net.logits(images), rtol=0, atol=2e-6)


def test_running_leaves_nothing_behind(bundle_bytes: bytes, tmp_path: Path) -> None:
    """ONNX Runtime would keep a record of use in these folders."""
    home, temporary, bundle = tmp_path / "home", tmp_path / "tmp", tmp_path / "tiny.gnl"
    home.mkdir()
    temporary.mkdir()
    bundle.write_bytes(bundle_bytes)
    run = "import sys; from groupnl_device.runtime import *; Session(Bundle.open(sys.argv[1])).self_test()"
    kept = {
        name: value for name, value in os.environ.items() if name not in ("ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME")
    }
    environment = {**kept, "HOME": str(home), "TMPDIR": str(temporary)}
    subprocess.run([sys.executable, "-c", run, str(bundle)], env=environment, check=True)
    assert not list(home.rglob("*")) + list(temporary.rglob("*"))


def test_black_pixels_divide_by_no_zero(net, session: Session) -> None:
    images = noise(2)
    images[0] = 0
    images[1, :, 2:] = 0
    np.testing.assert_allclose(session.logits(images), net.logits(images), rtol=0, atol=2e-6)


def test_two_threads_and_views_give_the_same(net, bundle_bytes: bytes) -> None:
    session = Session(Bundle.from_bytes(bundle_bytes), threads=2)
    images = np.asfortranarray(noise(4))[::2]
    np.testing.assert_allclose(session.logits(images), net.logits(images), rtol=0, atol=2e-6)


def test_predict_normalises_and_gives_probabilities(net, session: Session) -> None:
    pictures = np.random.default_rng(5).integers(0, 256, (3, 3, 6, 8), dtype=np.uint8)
    logits = net.logits((pictures / 255 - 0.5) / 0.25)
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(session.predict(pictures), expected, rtol=0, atol=1e-6)


def test_softmax_of_large_logits() -> None:
    found = softmax(np.array([[1e4, 0, -1e4], [-3e38, 3e38, 3e38]], np.float32))
    np.testing.assert_allclose(found, [[1, 0, 0], [0, 0.5, 0.5]], atol=1e-7)


@pytest.mark.parametrize(
    "images", [np.zeros((1, 3, 6, 7), np.float32), np.zeros((3, 6, 8), np.float32), np.zeros((1, 3, 6, 8))]
)
def test_other_inputs_are_refused(session: Session, images: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"expected float32 of shape \(N, 3, 6, 8\)"):
        session.logits(images)


@pytest.mark.parametrize("threads", [0, -1, 1.5, True, 10_000])
def test_thread_counts(bundle_bytes: bytes, threads: Any) -> None:
    with pytest.raises(ValueError, match="expected an integer from 1 to 1024"):
        Session(Bundle.from_bytes(bundle_bytes), threads=threads)


def test_two_sessions_of_one_bundle(net, bundle_bytes: bytes) -> None:
    bundle = Bundle.from_bytes(bundle_bytes)
    first, second = Session(bundle), Session(bundle)
    images = noise(2)
    np.testing.assert_array_equal(first.logits(images), second.logits(images))


def test_self_test(net, session: Session, build) -> None:
    assert session.self_test() < 1e-6
    entries = net.entries()
    sample = safetensors.numpy.load(entries["self_test.safetensors"])
    for change in (np.float32(0.1), np.float32(np.nan)):
        wrong = safetensors.numpy.save({**sample, "logits": sample["logits"] + change})
        changed = Session(Bundle.from_bytes(build(net.manifest(), {**entries, "self_test.safetensors": wrong})))
        with pytest.raises(BundleError, match="self-test: the logits are off by"):
            changed.self_test()
    for wrong in ({"images": sample["images"]}, {**sample, "images": sample["images"][:, :2]}):
        changed = Session(
            Bundle.from_bytes(
                build(net.manifest(), {**entries, "self_test.safetensors": safetensors.numpy.save(wrong)})
            )
        )
        with pytest.raises(InvalidManifestError, match="not a sample of pictures"):
            changed.self_test()
    other = safetensors.numpy.save({**sample, "logits": sample["logits"][:1]})
    with pytest.raises(InvalidManifestError, match="logits of shape"):
        Session(Bundle.from_bytes(build(net.manifest(), {**entries, "self_test.safetensors": other}))).self_test()
    document = net.manifest()
    del document["self_test"]
    with pytest.raises(BundleError, match="no sample"):
        Session(Bundle.from_bytes(build(document, entries))).self_test()


def in_half(net) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Manifest and entries of the net with its weights in float16, and the net's weights rounded likewise."""
    document, half = net.manifest(), {name: value.astype(np.float16) for name, value in net.weights.items()}
    net.weights = {name: value.astype(np.float32) for name, value in half.items()}
    document["artifacts"][0]["precision"] = "float16"
    return document, {**net.entries(), "weights.safetensors": safetensors.numpy.save(half)}


def test_weights_in_float16_are_widened(net, build) -> None:
    session = Session(Bundle.from_bytes(build(*in_half(net))))
    assert session.artifact.label == "onnxruntime/plain/float16"
    images = noise(3)
    np.testing.assert_allclose(session.logits(images), net.logits(images), rtol=0, atol=2e-6)
    assert session.self_test() < 1e-6


def test_weights_in_float16_under_another_precision_are_refused(net, build) -> None:
    document, entries = in_half(net)
    document["artifacts"][0]["precision"] = "float32"
    with pytest.raises(BundleError, match="ONNX Runtime refuses the graph"):
        Session(Bundle.from_bytes(build(document, entries)))


def test_pairs_in_float16_are_refused(net, build) -> None:
    document, entries = in_half(net)
    layer = document["layers"][0]
    layer["pairs"] = {"explicit": {"period": "conv.given_period", "shift": "conv.given_shift"}}
    tensors = safetensors.numpy.load(entries["weights.safetensors"])
    tensors |= {name: np.ones((2, 2), np.float16) for name in layer["pairs"]["explicit"].values()}
    entries["weights.safetensors"] = safetensors.numpy.save(tensors)
    bundle = Bundle.from_bytes(build(document, entries))
    with pytest.raises(InvalidManifestError, match=r"explicit pairs 'conv\.given_period': float16"):
        Session(bundle)


def test_the_first_artifact_that_runs_is_taken(net, build) -> None:
    document = net.manifest()
    plain = document["artifacts"][0]
    document["artifacts"] = [
        {**plain, "runtime": "tflite"},
        {**plain, "requires": {"onnxruntime": "999"}},
        {**plain, "requires": {"groupnl-device-native": "1"}},
        {**plain, "files": {"graph": "graph.onnx"}},
        {**plain, "form": "this one"},
        {**plain, "form": "not this one"},
    ]
    assert Session(Bundle.from_bytes(build(document, net.entries()))).artifact.form == "this one"
    del document["artifacts"][4:]
    with pytest.raises(NoRunnableArtifactError) as error:
        Session(Bundle.from_bytes(build(document, net.entries())))
    for reason in ("unknown here", "requires onnxruntime 999", "requires groupnl-device-native", "its files are graph"):
        assert reason in str(error.value)


def test_without_the_runtime(bundle_bytes: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime_adapter.OnnxRuntime, "version", lambda self: None)
    with pytest.raises(NoRunnableArtifactError, match="onnxruntime is not installed"):
        Session(Bundle.from_bytes(bundle_bytes))


def load_error(net, build, entries: dict[str, bytes], document: dict[str, Any] | None = None) -> str:
    with pytest.raises(BundleError) as error:
        Session(Bundle.from_bytes(build(document or net.manifest(), entries)))
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_graph_cannot_name_a_file(net, build, external, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A weight that the bundle does not carry must not come from a file of the device."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret").write_bytes(np.ones(4, np.float32).tobytes())
    for location in ("secret", str(tmp_path / "secret"), "../" + tmp_path.name + "/secret"):
        model = onnx.load_from_string(net.graph())
        bias = next(tensor for tensor in model.graph.initializer if tensor.name == "fc.bias")
        bias.CopyFrom(external("fc.bias", onnx.TensorProto.FLOAT, (4,), location))
        weights = {name: tensor for name, tensor in net.weights.items() if name != "fc.bias"}
        entries = {
            **net.entries(),
            "graph.onnx": model.SerializeToString(),
            "weights.safetensors": safetensors.numpy.save(weights),
        }
        assert "wants the tensor 'fc.bias' from a file" in load_error(net, build, entries)


def test_weights_that_do_not_fit_the_graph(net, build) -> None:
    entries = net.entries()
    for change in (
        {"fc.bias": np.zeros(5, np.float32)},  # another shape
        {"fc.bias": np.zeros(4, np.float64)},  # another type
    ):
        weights = safetensors.numpy.save({**net.weights, **change})
        error = load_error(net, build, {**entries, "weights.safetensors": weights})
        assert "ONNX Runtime refuses the graph" in error
    assert "not a safetensors file" in load_error(net, build, {**entries, "weights.safetensors": b"abc"})


def test_broken_graphs(net, build) -> None:
    graph = net.graph()
    for broken in (b"", graph.replace(b"Gemm", b"Gexx")):
        assert "ONNX Runtime refuses the graph" in load_error(net, build, {**net.entries(), "graph.onnx": broken})
    for broken in (b"\x0b abc", graph[: len(graph) // 2]):
        assert "no ONNX" in load_error(net, build, {**net.entries(), "graph.onnx": broken})


def test_the_graph_must_be_what_the_manifest_says(net, build) -> None:
    document = net.manifest()
    document["input"]["name"] = "picture"
    assert "manifest.input: says 'picture'" in load_error(net, build, net.entries(), document)
    document = net.manifest()
    document["output"]["shape"] = [None, 3]
    document["class_names"] = ["a", "b", "c"]
    assert "manifest.output" in load_error(net, build, net.entries(), document)


def test_layers_that_do_not_fit_the_graph(net, build) -> None:
    document = net.manifest()
    document["layers"][0]["out_channels"] = 13
    assert "ONNX Runtime refuses the graph" in load_error(net, build, net.entries(), document)
    document = net.manifest()
    document["layers"][0]["initializers"] = {}
    assert "from a file" in load_error(net, build, net.entries(), document)


def test_explicit_pairs_give_the_same_net(net, build) -> None:
    from groupnl_device import nlf

    period, shift = nlf.draw_pairs(nlf="sine", nl_groups=2, copies=2, seed=7, key="body.conv")
    document = net.manifest()
    document["layers"][0]["pairs"] = {"explicit": {"period": "conv.pairs.period", "shift": "conv.pairs.shift"}}
    weights = {**net.weights, "conv.pairs.period": period, "conv.pairs.shift": shift}
    entries = {**net.entries(), "weights.safetensors": safetensors.numpy.save(weights)}
    images = noise(2)
    found = Session(Bundle.from_bytes(build(document, entries))).logits(images)
    np.testing.assert_allclose(found, net.logits(images), rtol=0, atol=2e-6)


def test_a_form_is_chosen_by_the_caller(two_forms: bytes) -> None:
    bundle = Bundle.from_bytes(two_forms)
    plain, toaster, other = bundle.manifest.artifacts
    assert Session(bundle).artifact is plain
    assert Session(bundle, artifact=other).artifact is other
    with pytest.raises(NoRunnableArtifactError, match="toaster/plain/float32: this runtime is unknown here"):
        Session(bundle, artifact=toaster)


def test_what_stands_in_the_way(two_forms: bytes) -> None:
    artifacts = Bundle.from_bytes(two_forms).manifest.artifacts
    assert [obstacle_to(artifact) for artifact in artifacts] == [None, "this runtime is unknown here", None]


def test_versions_are_compared_as_numbers() -> None:
    artifact = Artifact(
        runtime="onnxruntime",
        form="plain",
        precision="float32",
        files={"graph": "g", "weights": "w"},
        requires={"onnxruntime": "1.9"},
        agreement={},
    )
    assert OnnxRuntime().obstacle(artifact) is None
