"""A tiny net as a bundle, built with the onnx and safetensors packages; nothing of the cloud's exporter is in it."""

import hashlib
import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import pytest
import safetensors.numpy
from onnx import TensorProto, helper

from groupnl_device import nlf
from groupnl_device.archive import pack
from groupnl_device.manifest import Manifest

os.environ["GROUPNL_CACHE_DIR"] = ""  # nothing is kept in the cache of the user who runs the tests

SEED_CHANNELS, OUT_CHANNELS, GROUPS, CLASSES = 5, 12, 2, 4
HEIGHT, WIDTH = 6, 8
LAYER_KEY = "body.conv"


@dataclass
class TinyNet:
    """A 1x1 GroupNL convolution (sine, l2, two copies), the mean over pixels and a linear layer."""

    weights: dict[str, np.ndarray]

    def logits(self, images: np.ndarray) -> np.ndarray:
        """Plain float64 numpy, straight from the definition."""
        w = {name: value.astype(np.float64) for name, value in self.weights.items()}
        y = np.einsum("nchw,oc->nohw", images.astype(np.float64), w["conv.weight"][:, :, 0, 0])
        y = y / np.maximum(np.sqrt((y**2).sum(axis=1, keepdims=True)), 1e-12)
        period, shift = nlf.draw_pairs(nlf="sine", nl_groups=GROUPS, copies=2, seed=7, key=LAYER_KEY)
        maps = [y[:, k] for k in range(SEED_CHANNELS)]
        for group, channels in enumerate(([0, 1, 2], [3, 4])):
            for copy in range(2):
                omega, phi = float(period[group, copy]), float(shift[group, copy])
                maps += [np.sin(omega * (y[:, k] - phi)) for k in channels]
        pooled = np.stack(maps[:OUT_CHANNELS], axis=1).mean(axis=(2, 3))
        return pooled @ w["fc.weight"].T + w["fc.bias"]

    def graph(self) -> bytes:
        generated = OUT_CHANNELS - SEED_CHANNELS
        nodes = [
            helper.make_node("Conv", ["input", "conv.weight"], ["conv"]),
            helper.make_node("ReduceL2", ["conv", "axis"], ["norm"], keepdims=1),
            helper.make_node("Max", ["norm", "eps"], ["bounded"]),
            helper.make_node("Div", ["conv", "bounded"], ["y"]),
            helper.make_node("Gather", ["y", "conv.source"], ["copies"], axis=1),
            helper.make_node("Sub", ["copies", "conv.shift"], ["shifted"]),
            helper.make_node("Mul", ["shifted", "conv.period"], ["argument"]),
            helper.make_node("Sin", ["argument"], ["generated"]),
            helper.make_node("Concat", ["y", "generated"], ["maps"], axis=1),
            helper.make_node("ReduceMean", ["maps", "pixels"], ["pooled"], keepdims=0),
            helper.make_node("Gemm", ["pooled", "fc.weight", "fc.bias"], ["logits"], transB=1),
        ]
        external = {name: (TensorProto.FLOAT, value.shape) for name, value in self.weights.items()}
        external["conv.period"] = external["conv.shift"] = (TensorProto.FLOAT, (generated, 1, 1))
        external["conv.source"] = (TensorProto.INT64, (generated,))
        initializers = [external_tensor(name, kind, shape) for name, (kind, shape) in external.items()]
        initializers += [
            helper.make_tensor("axis", TensorProto.INT64, [1], [1]),
            helper.make_tensor("pixels", TensorProto.INT64, [2], [2, 3]),
            helper.make_tensor("eps", TensorProto.FLOAT, [], [1e-12]),
        ]
        graph = helper.make_graph(
            nodes,
            "tiny",
            [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", 3, HEIGHT, WIDTH])],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", CLASSES])],
            initializers,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
        return model.SerializeToString()

    def entries(self) -> dict[str, bytes]:
        images = np.random.default_rng(1).integers(0, 256, (2, 3, HEIGHT, WIDTH), dtype=np.uint8)
        normalized = (images / 255 - 0.5) / 0.25
        sample = {"images": images, "logits": self.logits(normalized).astype(np.float32)}
        return {
            "graph.onnx": self.graph(),
            "weights.safetensors": safetensors.numpy.save(self.weights),
            "self_test.safetensors": safetensors.numpy.save(sample),
        }

    def manifest(self) -> dict[str, Any]:
        """As plain JSON, without entries."""
        return {
            "format_version": "1.0",
            "name": "tiny",
            "input": {"name": "input", "dtype": "float32", "shape": [None, 3, HEIGHT, WIDTH]},
            "output": {"name": "logits", "dtype": "float32", "shape": [None, CLASSES]},
            "preprocessing": {
                "input_size": [3, HEIGHT, WIDTH],
                "mean": [0.5, 0.5, 0.5],
                "std": [0.25, 0.25, 0.25],
                "interpolation": "bilinear",
                "crop_pct": 1.0,
                "crop_mode": "squash",
            },
            "class_names": ["ant", "bee", "cat", "dog"],
            "entries": {},
            "layers": [
                {
                    "name": "conv",
                    "nlf": "sine",
                    "normalize": "l2",
                    "seed_channels": SEED_CHANNELS,
                    "out_channels": OUT_CHANNELS,
                    "nl_groups": GROUPS,
                    "pairs": {
                        "scheme": "philox-v1",
                        "seed": 7,
                        "key": LAYER_KEY,
                        "period_range": [1.0, 2.0],
                        "shift_range": [1.0, 5.0],
                    },
                    "initializers": {"period": "conv.period", "shift": "conv.shift", "source": "conv.source"},
                }
            ],
            "artifacts": [
                {
                    "runtime": "onnxruntime",
                    "form": "plain",
                    "precision": "float32",
                    "files": {"graph": "graph.onnx", "weights": "weights.safetensors"},
                    "requires": {"onnxruntime": "1.18"},
                    "agreement": {"images": 2, "max_relative_difference": 1e-7},
                }
            ],
            "measured": {"clean_accuracy": 0.5, "corruptions": {"jpeg_compression": {"1": 0.25}}},
            "self_test": {"file": "self_test.safetensors", "tolerance": 1e-3},
            "producer": {"test": "1"},
        }


def external_tensor(name: str, kind: int, shape: tuple[int, ...], location: str = "weights") -> onnx.TensorProto:
    tensor = TensorProto(name=name, data_type=kind, dims=shape, data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=location)
    return tensor


def listed(entries: dict[str, bytes]) -> dict[str, Any]:
    return {
        name: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)} for name, data in sorted(entries.items())
    }


def assemble(manifest: dict[str, Any], entries: dict[str, bytes]) -> bytes:
    """A bundle whose manifest lists what the entries are; the rest of it may be anything valid."""
    document = {**manifest, "entries": listed(entries)}
    return b"".join(pack({**entries, "manifest.json": Manifest.from_dict(document).to_json()}))


@pytest.fixture
def net() -> TinyNet:
    rng = np.random.default_rng(0)
    return TinyNet(
        {
            "conv.weight": rng.normal(size=(SEED_CHANNELS, 3, 1, 1)).astype(np.float32),
            "fc.weight": rng.normal(size=(CLASSES, OUT_CHANNELS)).astype(np.float32),
            "fc.bias": rng.normal(size=CLASSES).astype(np.float32),
        }
    )


@pytest.fixture
def manifest(net: TinyNet) -> dict[str, Any]:
    """A manifest as plain JSON, its entries listed."""
    return {**net.manifest(), "entries": listed(net.entries())}


@pytest.fixture
def bundle_bytes(net: TinyNet) -> bytes:
    return assemble(net.manifest(), net.entries())


@pytest.fixture
def build():
    """``assemble``, for tests that change something first."""
    return assemble


@pytest.fixture
def external():
    """``external_tensor``, for tests that write graphs."""
    return external_tensor


@pytest.fixture
def two_forms(net: TinyNet) -> bytes:
    """A bundle of the same graph as three forms, of which the one in the middle is for a runtime that is nowhere."""
    manifest = net.manifest()
    (plain,) = manifest["artifacts"]
    absent = {**plain, "runtime": "toaster", "requires": {}}
    manifest["artifacts"] = [plain, absent, {**plain, "form": "other"}]
    return assemble(manifest, net.entries())
