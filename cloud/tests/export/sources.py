"""Nets and bundles for the tests of the runtimes' forms."""

from functools import cache

import numpy as np
import torch
from torch import Tensor, nn

from groupnl.export.bundle_writer import assemble
from groupnl.export.forms import Form, Source
from groupnl.models import create_model
from groupnl.nn import GroupNLConv2d
from groupnl_device.bundle import Bundle
from groupnl_device.manifest import Manifest
from groupnl_device.preprocessing import Preprocessing
from groupnl_device.runtime import Runtime

SIDE, CLASSES = 32, 10


class LightBlock(nn.Module):
    """One block as light nets have them, its depthwise convolution made sparse GroupNL."""

    def __init__(self, normalize: str = "l2") -> None:
        super().__init__()
        self.widen = nn.Sequential(nn.Conv2d(3, 12, 1, bias=False), nn.BatchNorm2d(12), nn.ReLU6())
        layer = GroupNLConv2d(12, 12, 3, 2, 1, bias=False, sparse=True, normalize=normalize, key="light")  # type: ignore[arg-type]
        self.middle = nn.Sequential(layer, nn.BatchNorm2d(12), nn.ReLU6())
        self.narrow = nn.Sequential(nn.Conv2d(12, CLASSES, 1, bias=False), nn.BatchNorm2d(CLASSES))

    def forward(self, x: Tensor) -> Tensor:
        return self.narrow(self.middle(self.widen(x))).mean((2, 3))


def small(name: str = "groupnl_resnet8", **options: object) -> nn.Module:
    """A net of the zoo, or ``light``, whose batch norms are none the identity."""
    torch.manual_seed(0)
    net = LightBlock(**options) if name == "light" else create_model(name, num_classes=CLASSES, **options)  # type: ignore[arg-type]
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1, generator=generator)
                module.running_var.uniform_(0.5, 2, generator=generator)
                module.weight.uniform_(0.5, 1.5, generator=generator)
                module.bias.normal_(0, 0.1, generator=generator)
    return net.eval()


def preprocessing(side: int = SIDE) -> Preprocessing:
    return Preprocessing(
        input_size=(3, side, side),
        mean=(0.5, 0.5, 0.5),
        std=(0.25, 0.25, 0.25),
        interpolation="bilinear",
        crop_pct=1.0,
        crop_mode="squash",
    )


@cache
def shared(name: str = "groupnl_resnet8", side: int = SIDE, **options: object) -> tuple[nn.Module, Source]:
    """A net and its source, which are traced once for all tests: not to be changed."""
    net = small(name, **options)
    return net, source(net, side)


def source(net: nn.Module, side: int = SIDE) -> Source:
    return Source.of(net, torch.zeros(1, 3, side, side), preprocessing(side))


def images(count: int = 3, side: int = SIDE) -> Tensor:
    """Random pictures; half of the first is black, and the second all zero: pixels whose seed maps may all be zero."""
    found = torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(2))
    found[0, :, : side // 2] = -2
    found[1:2] = 0
    return found


def bundle(form: Form, side: int = SIDE) -> Bundle:
    manifest = Manifest(
        name="small",
        input_name="input",
        input_shape=(None, 3, side, side),
        output_name="logits",
        output_shape=(None, CLASSES),
        preprocessing=preprocessing(side),
        class_names=tuple("abcdefghij"),
        entries={},
        layers=(),
        artifacts=(form.artifact,),
        measured={},
        producer={},
    )
    return Bundle.from_bytes(assemble(manifest, form.entries))


def difference(form: Form, runtime: Runtime, net: nn.Module, side: int = SIDE) -> float:
    """How far a form, run from its own bytes, is from the net, relative to the largest logit."""
    held = bundle(form, side)
    (artifact,) = held.manifest.artifacts
    assert runtime.obstacle(artifact) is None
    pictures = images(side=side)
    found = runtime.load(held, artifact, threads=1).run(pictures.numpy())
    with torch.no_grad():
        expected = net(pictures).double().numpy()
    return float(np.abs(found - expected).max() / np.abs(expected).max())
