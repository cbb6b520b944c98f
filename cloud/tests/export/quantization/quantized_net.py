"""A small net of GroupNL layers, quantised: what the tests of this folder share."""

from dataclasses import replace
from functools import cache

import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn

from groupnl.export.bundle_writer import assemble
from groupnl.export.forms import Form, Source
from groupnl.nn import GroupNLConv2d
from groupnl_device.bundle import Bundle
from groupnl_device.manifest import Manifest
from groupnl_device.preprocessing import Preprocessing
from groupnl_device.runtime import Session

SIZE = (3, 9, 11)
PREPROCESSING = Preprocessing(input_size=SIZE, mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.25))
CLASSES = 5


def pictures(count: int = 48, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, *SIZE), dtype=np.uint8)


class Net(nn.Module):
    """A dense layer, a sum whose two branches share a bias, a layer that reads few inputs, a classifier."""

    def __init__(self, normalize: str = "l2", *, sparse: bool = False) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU())
        self.layer = GroupNLConv2d(8, 12, 3, padding=1, bias=False, normalize=normalize, key="layer")
        self.norm = nn.BatchNorm2d(12)
        self.beside = nn.Conv2d(8, 12, 1)
        self.second = GroupNLConv2d(12, 12, 3, stride=2, sparse=sparse, normalize=normalize, nl_groups=3, key="second")
        self.last = nn.Sequential(
            nn.BatchNorm2d(12), nn.ReLU(), nn.Conv2d(12, 12, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        )
        self.head = nn.Linear(12, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        x = torch.relu(self.norm(self.layer(x)) + self.beside(x))
        return self.head(self.last(self.second(x)))


@cache
def source(normalize: str = "l2", *, sparse: bool = False) -> Source:
    torch.manual_seed(0)
    net = Net(normalize, sparse=sparse)
    net(torch.from_numpy(PREPROCESSING.normalize(pictures())))  # statistics of its own
    net.norm.bias.data.normal_()
    net.beside.bias.data.copy_(net.norm.bias.data)  # as training makes them: equal gradients from equal values
    return Source.of(net.eval(), torch.zeros(1, *SIZE), PREPROCESSING, "int8", pictures())


def session_of(source: Source, form: Form) -> Session:
    manifest = Manifest(
        name="net",
        input_name="input",
        input_shape=(None, *SIZE),
        output_name="logits",
        output_shape=(None, CLASSES),
        preprocessing=PREPROCESSING,
        class_names=tuple("abcde"),
        entries={},
        layers=tuple(
            replace(layer, initializers={r: n for r, n in layer.initializers.items() if n in form.rebuilt})
            for layer in source.plain.layers
        ),
        artifacts=(form.artifact,),
        measured={},
        producer={},
    )
    return Session(Bundle.from_bytes(assemble(manifest, dict(form.entries))))


def run(model: onnx.ModelProto, images: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(["logits"], {"input": PREPROCESSING.normalize(images)})[0]
