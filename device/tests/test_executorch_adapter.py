"""A small torch net lowered by ExecuTorch's own tools, run from a bundle, against numpy."""

import numpy as np
import pytest

from groupnl_device.bundle import Bundle
from groupnl_device.errors import BundleError
from groupnl_device.executorch_adapter import ExecuTorch

torch = pytest.importorskip("torch")
exir = pytest.importorskip("executorch.exir", reason="needs the package executorch")
partitioner = pytest.importorskip("executorch.backends.xnnpack.partition.xnnpack_partitioner")

CLASSES, HEIGHT, WIDTH = 4, 6, 8  # as the manifest of the fixture has them
WEIGHT = np.random.default_rng(0).normal(size=(CLASSES, 3)).astype(np.float32)
FILES = {"program": "executorch.pte"}


class Net(torch.nn.Module):
    def forward(self, x):
        return torch.nn.functional.linear(x.mean((2, 3)), torch.from_numpy(WEIGHT))


def lowered(height: int = HEIGHT) -> bytes:
    program = torch.export.export(Net().eval(), (torch.zeros(1, 3, height, WIDTH),))
    edge = exir.to_edge_transform_and_lower(program, partitioner=[partitioner.XnnpackPartitioner()])
    return bytes(edge.to_executorch().buffer)


@pytest.fixture(scope="module")
def program() -> bytes:
    return lowered()


@pytest.fixture
def bundle(net, build):
    def made(program: bytes) -> Bundle:
        artifact = {"runtime": "executorch", "form": "plain", "precision": "float32", "files": FILES}
        manifest = {**net.manifest(), "layers": []}
        manifest["artifacts"] = [{**artifact, "requires": {"executorch": "1.0"}, "agreement": {}}]
        del manifest["self_test"]
        return Bundle.from_bytes(build(manifest, {FILES["program"]: program}))

    return made


def load(bundle: Bundle, threads: int = 1):
    (artifact,) = bundle.manifest.artifacts
    assert ExecuTorch().obstacle(artifact) is None
    return ExecuTorch().load(bundle, artifact, threads=threads)


@pytest.mark.parametrize(("threads", "count"), [(1, 1), (2, 3)])
def test_answers_as_numpy_does(bundle, program: bytes, threads: int, count: int) -> None:
    images = np.random.default_rng(1).normal(size=(count, 3, HEIGHT, WIDTH)).astype(np.float32)
    found = load(bundle(program), threads).run(images)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, images.astype(np.float64).mean(axis=(2, 3)) @ WEIGHT.T, atol=1e-6)


def test_answers_are_not_overwritten_by_the_next(bundle, program: bytes) -> None:
    net = load(bundle(program))
    first = net.run(np.ones((1, 3, HEIGHT, WIDTH), np.float32))
    kept = first.copy()
    net.run(np.zeros((1, 3, HEIGHT, WIDTH), np.float32))
    np.testing.assert_array_equal(first, kept)


@pytest.mark.parametrize("damage", [lambda p: b"", lambda p: b"\x00" * 100, lambda p: p[: len(p) // 2]])
def test_what_is_no_program(bundle, program: bytes, damage) -> None:
    with pytest.raises(BundleError, match="ExecuTorch refuses the program"):
        load(bundle(damage(program)))


def test_a_program_for_other_pictures(bundle) -> None:
    with pytest.raises(BundleError, match="the program takes"):
        load(bundle(lowered(HEIGHT + 1)))
