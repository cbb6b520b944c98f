"""Checkpoints become nets, and never more than that."""

import json
import shutil

import numpy as np
import pytest

from groupnl_device.bundle import Bundle
from groupnl_device.errors import BundleError, UnsafeBundleError
from groupnl_device.pytorch_adapter import PyTorch

torch = pytest.importorskip("torch")
groupnl = pytest.importorskip("groupnl")

CLASSES, HEIGHT, WIDTH = 4, 6, 8  # as the manifest of the fixture has them
FILES = {"checkpoint": "net.safetensors"}


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return groupnl.create_model("groupnl_resnet8", num_classes=CLASSES, in_chans=3).eval()


@pytest.fixture(scope="module")
def checkpoint(model, tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("checkpoint") / "net.safetensors"
    groupnl.save(model, path, preprocessing=None, class_names=())
    return path.read_bytes()


@pytest.fixture
def bundle(net, build):
    def made(checkpoint: bytes, form: str = "eager") -> Bundle:
        artifact = {"runtime": "pytorch", "form": form, "precision": "float32", "files": FILES}
        manifest = {**net.manifest(), "layers": []}
        manifest["artifacts"] = [{**artifact, "requires": {"groupnl": "0.1", "torch": "2.8"}, "agreement": {}}]
        del manifest["self_test"]
        return Bundle.from_bytes(build(manifest, {FILES["checkpoint"]: checkpoint}))

    return made


def load(bundle: Bundle):
    (artifact,) = bundle.manifest.artifacts
    assert PyTorch().obstacle(artifact) is None
    return PyTorch().load(bundle, artifact, threads=1)


def described(checkpoint: bytes, **changed) -> bytes:
    """The checkpoint with another description of its net."""
    length = int.from_bytes(checkpoint[:8], "little")
    header = json.loads(checkpoint[8 : 8 + length])
    content = {**json.loads(header["__metadata__"]["content"]), **changed}
    header["__metadata__"]["content"] = json.dumps(content)
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + checkpoint[8 + length :]


@pytest.fixture
def one_thread():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize(
    "form",
    [
        "eager",
        pytest.param("compiled", marks=[pytest.mark.long, pytest.mark.skipif(not shutil.which("g++"), reason="g++")]),
    ],
)
def test_answers_as_the_net_does(bundle, model, checkpoint: bytes, form: str) -> None:
    images = np.random.default_rng(1).normal(size=(3, 3, HEIGHT, WIDTH)).astype(np.float32)
    with torch.no_grad():
        wanted = model(torch.from_numpy(images)).numpy()
    found = load(bundle(checkpoint, form)).run(images)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, wanted, atol=1e-5 * np.abs(wanted).max())


@pytest.mark.parametrize(
    "changed",
    [
        {"arguments": {"num_classes": CLASSES, "checkpoint_path": "/etc/passwd"}},
        {"arguments": {"num_classes": CLASSES, "pretrained": True}},
        {"arguments": {"num_classes": CLASSES, "pretrained_cfg": {"file": "/etc/passwd"}}},
        {"arguments": {"global_pool": "../../x"}},
        {"architecture": "hf-hub:someone/something"},
        {"architecture": "local-dir:/etc"},
        {"architecture": None},
        {"arguments": {"num_classes": 10**9}},
        {"arguments": {"in_chans": 10**9}},
        {"arguments": [1]},
        {"conversion": {"policy": "a/b", "options": {}}},
        {"conversion": {"policy": "standard", "options": {"path": "x"}}},
        {"conversion": {"policy": "standard", "options": [1]}},
        {"conversion": "standard"},
    ],
    ids=str,
)
def test_a_checkpoint_that_wants_more_than_its_weights(bundle, checkpoint: bytes, changed: dict, monkeypatch) -> None:
    monkeypatch.setattr("timm.create_model", lambda *a, **k: pytest.fail("a net was made"))
    with pytest.raises(UnsafeBundleError, match="the checkpoint"):
        load(bundle(described(checkpoint, **changed)))


def test_a_net_that_nobody_knows(bundle, checkpoint: bytes) -> None:
    with pytest.raises(BundleError, match="the checkpoint makes no net"):
        load(bundle(described(checkpoint, architecture="no_such_net")))


@pytest.mark.parametrize("damage", [lambda c: b"", lambda c: c[:100], lambda c: b"PK\3\4" + c])
def test_what_is_no_checkpoint(bundle, checkpoint: bytes, damage) -> None:
    with pytest.raises(BundleError, match="checkpoint"):
        load(bundle(damage(checkpoint)))


def test_no_file_is_left(bundle, checkpoint: bytes, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    load(bundle(checkpoint))
    assert not list(tmp_path.iterdir())


def test_compiled_needs_a_compiler(bundle, checkpoint: bytes, monkeypatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    (artifact,) = bundle(checkpoint, "compiled").manifest.artifacts
    assert "torch.compile needs a C++ compiler" in (PyTorch().obstacle(artifact) or "")


def test_another_form(bundle, checkpoint: bytes) -> None:
    (artifact,) = bundle(checkpoint, "scripted").manifest.artifacts
    assert PyTorch().obstacle(artifact) == "form 'scripted': expected eager or compiled"
