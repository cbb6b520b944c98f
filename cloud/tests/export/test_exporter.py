"""A net in, a bundle out: it answers as the net does, on a device without torch, and is the same bytes every time."""

import hashlib
import itertools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import onnx
import pytest
import timm
import torch
from torch import Tensor, nn

import groupnl.models  # noqa: F401  # registers the zoo with timm
from groupnl.export import ExportError, export_bundle, plain_form
from groupnl.export.passes import Network, Outcome, selection
from groupnl.nn import GroupNLConv2d, fuse_for_inference_
from groupnl_device import schema
from groupnl_device.bundle import Bundle
from groupnl_device.errors import BundleError
from groupnl_device.nlf import NLFS, NORMALIZES
from groupnl_device.preprocessing import Preprocessing
from groupnl_device.runtime import Session, obstacle_to

HEIGHT, WIDTH = 10, 7
PREPROCESSING = Preprocessing(input_size=(3, HEIGHT, WIDTH), mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.25))
CLASSES = [f"class {k}" for k in range(5)]
MEASURED = {"clean_accuracy": 0.5, "corruptions": {"fog": 0.25}}


class TinyNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, stride=2)
        options = {"padding": "same", "padding_mode": "reflect", "reduction": 3, "nl_groups": 2}
        self.body = GroupNLConv2d(6, 12, 3, key="body", **options)
        self.norm = nn.BatchNorm2d(12)
        self.head = nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.relu(self.norm(self.body(self.stem(x)))).mean((2, 3)))


def tiny(seed: int = 0) -> TinyNet:
    torch.manual_seed(seed)
    net = TinyNet()
    net.norm.running_mean.normal_()
    net.norm.running_var.uniform_(0.5, 2)
    return net


def pictures(count: int, height: int = HEIGHT, width: int = WIDTH) -> Tensor:
    generator = torch.Generator().manual_seed(9)
    return torch.randint(0, 256, (count, 3, height, width), dtype=torch.uint8, generator=generator)


def export(net: nn.Module, path: Path, **options: Any):
    options.setdefault("example_input", torch.ones(1, 3, HEIGHT, WIDTH))
    return export_bundle(net, path, **{"preprocessing": PREPROCESSING, "class_names": CLASSES, **options})


def torch_answers(net: nn.Module, images: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return net.eval()(torch.from_numpy(images)).numpy()


def assert_agree(found: np.ndarray, expected: np.ndarray, tolerance: float = 1e-4) -> None:
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= tolerance * np.abs(expected).max()
    np.testing.assert_array_equal(found.argmax(1), expected.argmax(1))


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("exported") / "tiny.gnl"
    export(tiny(), path, test_images=pictures(70), measured=MEASURED)
    return path


class EveryCombination(nn.Module):
    """All functions with all norms, one copy or several, and r = 1, side by side: one answer per layer and channel."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            GroupNLConv2d(
                3, 11, 3, bias=False, reduction=r, nl_groups=3, nlf=nlf, normalize=norm, seed=1, key=f"{nlf}.{norm}.{r}"
            )
            for (nlf, norm), r in zip(itertools.product(NLFS, NORMALIZES), itertools.cycle((2, 4)), strict=False)
        )
        self.layers.append(GroupNLConv2d(3, 11, 3, reduction=1))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([layer(x).flatten(2)[:, :, ::7].mean(2) for layer in self.layers], dim=1)


def test_every_function_and_norm(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = EveryCombination()
    names = [str(k) for k in range(11 * len(net.layers))]
    report = export(net, tmp_path / "all.gnl", class_names=names)
    assert report.layers == len(NLFS) * len(NORMALIZES) + 1
    session = Session(Bundle.open(tmp_path / "all.gnl"))
    images = np.random.default_rng(0).normal(size=(3, 3, HEIGHT, WIDTH)).astype(np.float32)
    images[0] = 0  # every pixel of every map is zero before the norm
    images[1, :, :, :4] = 0
    expected, found = torch_answers(net, images), session.logits(images)
    assert np.isfinite(found).all()
    for position, layer in enumerate(net.layers):
        part = slice(11 * position, 11 * (position + 1))
        scale = np.abs(expected[:, part]).max()
        np.testing.assert_allclose(found[:, part] / scale, expected[:, part] / scale, atol=2e-6, err_msg=layer.key)
    jsonschema.validate(report.manifest.to_dict(), schema.load(), jsonschema.Draft202012Validator)


def test_the_bundle_answers_as_the_net_at_every_batch_size(exported: Path) -> None:
    session = Session(Bundle.open(exported))
    for batch in (1, 2, 5):
        images = np.random.default_rng(batch).normal(size=(batch, 3, HEIGHT, WIDTH)).astype(np.float32)
        assert_agree(session.logits(images), torch_answers(tiny(), images))
    normalized = PREPROCESSING.normalize(pictures(3).numpy())
    expected = torch.softmax(torch.from_numpy(torch_answers(tiny(), normalized)), 1).numpy()
    np.testing.assert_allclose(session.predict(pictures(3).numpy()), expected, atol=1e-5)
    assert session.self_test() < 1e-5


def test_a_fused_net_answers_as_the_net_did(tmp_path: Path) -> None:
    net = tiny()
    images = np.random.default_rng(0).standard_normal((3, 3, HEIGHT, WIDTH)).astype(np.float32)
    expected = torch_answers(net, images)
    assert fuse_for_inference_(net).folded
    report = export(net, tmp_path / "net.gnl")
    assert_agree(Session(Bundle.open(tmp_path / "net.gnl")).logits(images), expected)
    assert report.layers == 1  # its pairs are rebuilt from the seed, as ever


def operators(path: Path) -> set[str]:
    graph = onnx.load_from_string(bytes(Bundle.open(path).read("graph.onnx"))).graph
    return {node.op_type for node in graph.node}


def test_passes_are_reported(exported: Path, tmp_path: Path) -> None:
    assert not {"ReduceL2", "Sub"} & operators(exported)
    report = export(tiny(), tmp_path / "net.gnl")
    changed = {name: outcome.changed for name, outcome in report.passes.items()}
    assert changed == {"native": 1, "l2-norm": 1, "pairs": 1, "split-concat": 0, "sparse": 0}
    assert report.latency_ms is None


def test_what_each_pass_is_worth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("groupnl.export.latency.BUDGET", 0.0)
    report = export(tiny(), tmp_path / "x.gnl", explain=True)
    latency = dict(report.latency_ms or {})
    here = obstacle_to(report.manifest.artifacts[0]) is None
    assert (latency.pop("onnxruntime/native/float32", None) is not None) == here
    assert list(latency) == ["onnxruntime/plain/float32", "none", "l2-norm", "pairs", "split-concat", "sparse"]
    assert all(0 < figure < 1000 for figure in latency.values())


def test_a_device_without_native_operators_takes_the_plain_form(
    exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("groupnl_device.onnxruntime_adapter.installed_version", lambda _: None)
    session = Session(Bundle.open(exported))
    assert session.artifact.label == "onnxruntime/plain/float32"
    obstacle = obstacle_to(session.bundle.manifest.artifacts[0])
    assert obstacle == "requires groupnl-device-native 0.1 or newer, which is not installed"


def test_native_operators_that_do_not_load_are_passed_over(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("groupnl_device.onnxruntime_adapter.installed_version", lambda _: "0.1.0")
    monkeypatch.setattr("groupnl_device.onnxruntime_adapter._native_library", lambda: "/no/such/library.so")
    bundle = Bundle.open(exported)
    assert Session(bundle).artifact.label == "onnxruntime/plain/float32"
    with pytest.raises(BundleError, match="ONNX Runtime refuses the graph"):
        Session(bundle, artifact=bundle.manifest.artifacts[0])


def test_a_wrong_native_graph_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fuse = selection.fuse_layers

    def without_activation(net: Network) -> Outcome:
        outcome = fuse(net)
        for made in net.nodes:
            if made.domain == "groupnl":
                made.attributes["activation"] = "none"
        return outcome

    monkeypatch.setattr(selection, "fuse_layers", without_activation)
    with pytest.raises(ExportError, match="differs from PyTorch"):
        export(tiny(), tmp_path / "net.gnl")
    assert not list(tmp_path.iterdir())


def test_the_memory_format_of_training_does_not_show(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = timm.create_model("groupnl_resnet8", num_classes=5)
    images = torch.zeros(1, 3, HEIGHT, WIDTH)
    export(net, tmp_path / "usual.gnl", example_input=images)
    export(net.to(memory_format=torch.channels_last), tmp_path / "last.gnl", example_input=images)
    assert "Gather" not in operators(tmp_path / "last.gnl")
    assert operators(tmp_path / "last.gnl") == operators(tmp_path / "usual.gnl")


def test_runtimes_are_checked(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"no bundle for 'tflite': expected some of onnxruntime"):
        export(tiny(), tmp_path / "net.gnl", runtimes=["onnxruntime", "tflite"])
    with pytest.raises(ExportError, match="no runtime given"):
        export(tiny(), tmp_path / "net.gnl", runtimes=[])


def test_the_manifest_tells_everything(exported: Path) -> None:
    manifest = Bundle.open(exported).manifest
    document = manifest.to_dict()
    jsonschema.validate(document, schema.load(), jsonschema.Draft202012Validator)
    assert manifest.name == "TinyNet"
    assert manifest.preprocessing == PREPROCESSING
    assert manifest.class_names == tuple(CLASSES)
    assert document["measured"] == MEASURED
    assert [artifact.label for artifact in manifest.artifacts] == [
        "onnxruntime/native/float32",
        "onnxruntime/plain/float32",
    ]
    for artifact in manifest.artifacts:
        assert artifact.agreement["images"] == 70
        assert artifact.agreement["same_top1"] + artifact.agreement["near_ties"] >= 70
        assert artifact.agreement["max_relative_difference"] <= 1e-4
    assert document["layers"] == [
        {
            "name": "body",
            "nlf": "sine",
            "normalize": "l2",
            "seed_channels": 4,
            "out_channels": 12,
            "nl_groups": 2,
            "pairs": {
                "scheme": "philox-v1",
                "seed": 0,
                "key": "body",
                "period_range": [1.0, 2.0],
                "shift_range": [1.0, 5.0],
            },
            "initializers": {"period": "body.period", "shift": "body.shift", "source": "body.source"},
        }
    ]
    assert set(manifest.producer) == {"groupnl", "groupnl-device", "torch", "onnx", "onnxscript", "onnxruntime"}


def test_a_device_without_torch_runs_it(exported: Path, tmp_path: Path) -> None:
    from PIL import Image

    Image.fromarray(pictures(1)[0].permute(1, 2, 0).numpy()).save(tmp_path / "p.png")
    code = """
import sys
for name in ("torch", "groupnl", "timm", "onnx", "safetensors"):
    sys.modules[name] = None
from groupnl_device.cli import main
sys.exit(main(sys.argv[1:]))
"""
    command = [sys.executable, "-c", code, "run", str(exported), str(tmp_path / "p.png"), "--json", "-", "--top", "5"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    (answer,) = json.loads(done.stdout)["pictures"]
    logits = torch_answers(tiny(), PREPROCESSING.normalize(pictures(1).numpy()))
    expected = torch.softmax(torch.from_numpy(logits), 1)[0]
    for top in answer["top"]:
        assert top["probability"] == pytest.approx(float(expected[top["index"]]), abs=1e-5)
        assert top["class"] == CLASSES[top["index"]]


def test_the_same_bytes_every_time(exported: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.gnl"
    example = torch.zeros(3, 3, HEIGHT, WIDTH)  # only its shape matters
    export(tiny(), again, test_images=pictures(70), measured=MEASURED, example_input=example)
    assert again.read_bytes() == exported.read_bytes()


@pytest.mark.long
def test_the_same_bytes_in_another_process(exported: Path, tmp_path: Path) -> None:
    """Other hash seeds, another working directory, another home."""
    code = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("tests_of_the_exporter", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
from pathlib import Path
module.export(module.tiny(), Path(sys.argv[2]), test_images=module.pictures(70), measured=module.MEASURED)
"""
    subprocess.run(
        [sys.executable, "-c", code, __file__, str(tmp_path / "other.gnl")],
        check=True,
        env={"PYTHONHASHSEED": "12345", "PATH": "", "HOME": str(tmp_path), "OMP_NUM_THREADS": "1"},
        cwd=tmp_path,
    )
    assert (tmp_path / "other.gnl").read_bytes() == exported.read_bytes()


def test_the_net_is_not_touched(tmp_path: Path) -> None:
    net = tiny().train()
    before = hashlib.sha256(b"".join(t.numpy().tobytes() for t in net.state_dict().values())).digest()
    state = torch.get_rng_state()
    export(net, tmp_path / "x.gnl", example_input=torch.zeros(2, 3, HEIGHT, WIDTH))
    assert net.training
    assert isinstance(net.body, GroupNLConv2d)
    assert all(parameter.requires_grad for parameter in net.parameters())
    assert hashlib.sha256(b"".join(t.numpy().tobytes() for t in net.state_dict().values())).digest() == before
    assert torch.equal(torch.get_rng_state(), state)


def test_nets_in_half_precision_become_float32(tmp_path: Path) -> None:
    net = tiny().half()
    export(net, tmp_path / "x.gnl", example_input=torch.zeros(2, 3, HEIGHT, WIDTH, dtype=torch.float16))
    images = np.random.default_rng(0).normal(size=(2, 3, HEIGHT, WIDTH)).astype(np.float32)
    assert_agree(Session(Bundle.open(tmp_path / "x.gnl")).logits(images), torch_answers(net.float(), images))


@pytest.mark.parametrize("name", ["resnet8", "groupnl_resnet8", "mobilenetv3_small_050"])
def test_nets_of_timm_and_the_zoo(tmp_path: Path, name: str) -> None:
    torch.manual_seed(0)
    net = timm.create_model(name, num_classes=5)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    preprocessing = Preprocessing(input_size=(3, 32, 32), mean=(0.5,) * 3, std=(0.25,) * 3)
    report = export(
        net,
        tmp_path / "x.gnl",
        example_input=torch.randn(1, 3, 32, 32),
        preprocessing=preprocessing,
        test_images=pictures(16, 32, 32),
    )
    assert report.manifest.name == name
    assert report.layers == (4 if name.startswith("groupnl") else 0)
    assert report.size_bytes == (tmp_path / "x.gnl").stat().st_size
    weights = sum(parameter.numel() for parameter in net.parameters()) * 4
    assert report.entry_bytes["weights.safetensors"] < 1.15 * weights
    assert Session(Bundle.open(tmp_path / "x.gnl")).self_test() < 1e-4


def broken_weights(net: TinyNet) -> TinyNet:
    with torch.no_grad():
        net.head.weight[0, 0] = float("nan")
    return net


def other_pairs(net: TinyNet) -> TinyNet:
    net.body.period = net.body.period * 2
    return net


class Features(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x


class TwoOutputs(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x, x


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"example_input": torch.zeros(1, 3, 8, 8)}, r"example_input: torch.float32 of shape \(1, 3, 8, 8\)"),
        ({"example_input": torch.zeros(3, HEIGHT, WIDTH)}, "example_input"),
        ({"example_input": torch.zeros(1, 3, HEIGHT, WIDTH, dtype=torch.uint8)}, "expected floating point"),
        ({"class_names": CLASSES[:4]}, "4 names for a net with 5 logits"),
        ({"class_names": "abcde"}, "one non-empty text per class"),
        ({"class_names": []}, "one non-empty text per class"),
        ({"class_names": ["a", "b", "c", "d", "e" * 301]}, "at most 300 characters"),
        ({"preprocessing": {"input_size": [3, 8, 8]}}, "expected a groupnl_device Preprocessing, got dict"),
        ({"test_images": torch.zeros(2, 3, HEIGHT, WIDTH)}, "test_images: torch.float32"),
        ({"test_images": torch.zeros(0, 3, HEIGHT, WIDTH, dtype=torch.uint8)}, "test_images"),
        ({"measured": {"clean_accuracy": float("nan")}}, "no valid bundle"),
        ({"measured": {"clean_accuracy": [0.5]}}, "clean_accuracy"),
        ({"measured": {"clean_accuracy": torch.tensor(0.5)}}, "no valid bundle"),
        ({"name": ""}, "at least 1 characters"),
        ({"precision": "int3"}, r"precision 'int3': expected float32"),
        ({"net": broken_weights(tiny())}, r"head\.weight: holds values that are not finite"),
        ({"net": other_pairs(tiny())}, "layer 'body': its period values are not those"),
        ({"net": tiny().to("meta")}, "meta device"),
        ({"net": Features()}, r"returns shape \(1, 3, 10, 7\); expected one tensor of logits"),
        ({"net": TwoOutputs()}, "returns tuple"),
        ({"net": nn.Linear(3, 5)}, "does not accept example_input"),
    ],
)
def test_refusals_leave_no_file(tmp_path: Path, change: dict[str, Any], match: str) -> None:
    net = change.pop("net", None)
    with pytest.raises(ExportError, match=match):
        export(tiny() if net is None else net, tmp_path / "x.gnl", **change)
    assert not list(tmp_path.iterdir())


def test_paths(tmp_path: Path) -> None:
    (tmp_path / "folder.gnl").mkdir()
    for path, match in (
        (tmp_path / "model.onnx", r"ends in \.gnl"),
        (tmp_path / "absent" / "x.gnl", "does not exist; create it first"),
        (tmp_path / "folder.gnl", "is a folder"),
    ):
        with pytest.raises(ExportError, match=match):
            export(tiny(), path)


def test_a_bundle_that_answers_differently_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.gnl").write_bytes(b"the old one")
    monkeypatch.setattr(plain_form, "L2_EPS", 10.0)  # the exported form divides by another norm
    with pytest.raises(ExportError, match="differs from PyTorch"):
        export(tiny(), tmp_path / "x.gnl")
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"the old one"]


def test_a_graph_with_other_constants_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = plain_form.rebuild
    monkeypatch.setattr(plain_form, "rebuild", lambda *a: {name: value + 1 for name, value in real(*a).items()})
    with pytest.raises(ExportError, match="other values than a device would rebuild"):
        export(tiny(), tmp_path / "x.gnl")
    assert not list(tmp_path.iterdir())
