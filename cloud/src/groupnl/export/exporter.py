"""``export_bundle``: a trained net in, a verified bundle out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from groupnl.export.agreement import Agreement, compare, session_logits, torch_logits
from groupnl.export.bundle_writer import assemble
from groupnl.export.errors import ExportError
from groupnl.export.graph import INPUT, LEAST_ONNXRUNTIME, OUTPUT, WEIGHTS, Graph, export_graph
from groupnl.export.plain_form import frozen_copy, plain_form
from groupnl.models import architecture_of
from groupnl_device.atomic import write_atomically
from groupnl_device.bundle import Bundle
from groupnl_device.constants import rebuild
from groupnl_device.errors import BundleError
from groupnl_device.manifest import Artifact, Layer, Manifest, SelfTest
from groupnl_device.preprocessing import Preprocessing
from groupnl_device.runtime import Session

GRAPH, SELF_TEST = "graph.onnx", "self_test.safetensors"
SELF_TEST_TOLERANCE = 1e-3  # of the logits' scale: another processor rounds otherwise, a broken net is off by far more
_SELF_TEST_IMAGES = 2
_NOISE_IMAGES = 8
_PRODUCERS = ("groupnl", "groupnl-device", "torch", "onnx", "onnxscript", "onnxruntime")


@dataclass(frozen=True, kw_only=True)
class ExportReport:
    """What was written.

    Attributes:
        path: The bundle.
        size_bytes: Of the whole file.
        entry_bytes: By entry.
        layers: Number of GroupNL layers whose constants the device rebuilds.
        agreement: How close the bundle comes to the net.
        manifest: As written.
    """

    path: Path
    size_bytes: int
    entry_bytes: Mapping[str, int]
    layers: int
    agreement: Agreement
    manifest: Manifest


def export_bundle(
    model: nn.Module,
    path: str | Path,
    *,
    example_input: Tensor,
    preprocessing: Preprocessing,
    class_names: Sequence[str],
    name: str | None = None,
    test_images: Tensor | None = None,
    measured: Mapping[str, Any] | None = None,
) -> ExportReport:
    """Write a net as a bundle, after running the bundle's own bytes as a device would and comparing with PyTorch.

    The net is exported in evaluation mode, in float32; it is copied, never changed. The same net gives the same bytes.

    Args:
        model: Any classifier, (N, 3, H, W) to logits (N, K); GroupNL layers or none.
        path: A file name that ends in ``.gnl``.
        example_input: Floating point, shape (N, 3, H, W), as the net takes it.
        preprocessing: How a picture becomes that input.
        class_names: K names.
        name: Of the model, for people; by default the architecture's.
        test_images: uint8, shape (N, 3, H, W), on which both must agree; by default random ones.
        measured: Figures such as ``clean_accuracy``, for the manifest; numbers, short texts, or mappings of them.

    Raises:
        ExportError: An argument does not fit the net, the net cannot be exported, or its bundle answers differently.
            No file is written, and one that was there stays.
        OSError: The file cannot be written; likewise.
    """
    path = Path(path)
    _check_path(path)
    _check_arguments(model, example_input, preprocessing, class_names, test_images)
    reference = frozen_copy(model)
    example = example_input.detach().cpu().float()
    _check_logits(reference, example, class_names)

    net = plain_form(model)
    pictures = _pictures(test_images, preprocessing)
    sample = pictures[:_SELF_TEST_IMAGES]
    expected = torch_logits(reference, pictures, preprocessing)
    manifest = Manifest(
        name=name if name is not None else _architecture(model),
        input_name=INPUT,
        input_shape=(None, *preprocessing.input_size),
        output_name=OUTPUT,
        output_shape=(None, len(class_names)),
        preprocessing=preprocessing,
        class_names=tuple(class_names),
        entries={},
        layers=net.layers,
        artifacts=(_artifact({}),),
        measured=dict(measured or {}),
        producer={package: metadata.version(package) for package in _PRODUCERS},
        self_test=SelfTest(file=SELF_TEST, tolerance=SELF_TEST_TOLERANCE) if expected[: len(sample)].any() else None,
    )
    entries = {GRAPH: b"", WEIGHTS: b""}
    if manifest.self_test is not None:
        entries[SELF_TEST] = safetensors.numpy.save({"images": sample, "logits": expected[: len(sample)]})
    _assemble(manifest, entries)  # a bad name or figure shows before the long part

    graph = export_graph(net.module, example, net.constants)
    graph.tensors.update(net.explicit)
    entries |= {GRAPH: graph.onnx, WEIGHTS: graph.weights()}
    manifest = replace(manifest, layers=_filled_layers(net.layers, graph))
    agreement = _agreement(_assemble(manifest, entries), expected, pictures)
    data = _assemble(replace(manifest, artifacts=(_artifact(agreement.to_dict()),)), entries)
    bundle = Bundle.from_bytes(data)
    write_atomically(path, lambda file: file.write(data))
    return ExportReport(
        path=path,
        size_bytes=len(data),
        entry_bytes={entry: info.size for entry, info in bundle.manifest.entries.items()},
        layers=len(net.layers),
        agreement=agreement,
        manifest=bundle.manifest,
    )


def _assemble(manifest: Manifest, entries: Mapping[str, bytes]) -> bytes:
    try:
        return assemble(manifest, entries)
    except (ValueError, TypeError) as error:  # TypeError: a figure that JSON cannot hold
        raise ExportError(f"no valid bundle: {error}") from error


def _agreement(data: bytes, expected: NDArray[np.float32], pictures: NDArray[np.uint8]) -> Agreement:
    """Use these bytes as a device would and compare the answers."""
    try:
        session = Session(Bundle.from_bytes(data))
        agreement = compare(expected, session_logits(session, pictures))
        if session.bundle.manifest.self_test is not None:
            session.self_test()
    except BundleError as error:
        raise ExportError(f"the device's runtime cannot use the exported net: {error}") from error
    return agreement


def _artifact(agreement: dict[str, Any]) -> Artifact:
    return Artifact(
        runtime="onnxruntime",
        form="plain",
        precision="float32",
        files={"graph": GRAPH, "weights": WEIGHTS},
        requires={"onnxruntime": LEAST_ONNXRUNTIME},
        agreement=agreement,
    )


def _check_path(path: Path) -> None:
    if path.suffix != ".gnl":
        raise ExportError(f"{path}: expected a file name that ends in .gnl")
    if path.is_dir():
        raise ExportError(f"{path}: is a folder; give the bundle's file name")
    if not path.parent.is_dir():
        raise ExportError(f"{path}: the folder {path.parent} does not exist; create it first")


def _check_arguments(
    model: nn.Module,
    example: Tensor,
    preprocessing: Preprocessing,
    class_names: Sequence[str],
    test_images: Tensor | None,
) -> None:
    if not isinstance(preprocessing, Preprocessing):
        raise ExportError(f"preprocessing: expected a groupnl_device Preprocessing, got {type(preprocessing).__name__}")
    shape = preprocessing.input_size
    wanted = f"(N, {', '.join(map(str, shape))}), as preprocessing.input_size says"
    if example.ndim != 4 or len(example) < 1 or tuple(example.shape[1:]) != shape or not example.is_floating_point():
        raise ExportError(
            f"example_input: {example.dtype} of shape {tuple(example.shape)}; expected floating point of shape {wanted}"
        )
    if isinstance(class_names, str) or not class_names or not all(isinstance(n, str) and n for n in class_names):
        raise ExportError("class_names: expected one non-empty text per class")
    if test_images is not None and (
        test_images.dtype != torch.uint8 or tuple(test_images.shape[1:]) != shape or len(test_images) < 1
    ):
        raise ExportError(
            f"test_images: {test_images.dtype} of shape {tuple(test_images.shape)}; expected uint8 of shape {wanted}"
        )
    for name, tensor in model.state_dict().items():
        if isinstance(tensor, Tensor) and tensor.is_meta:
            raise ExportError(f"{name}: is on the meta device and has no values; load the weights first")
        if isinstance(tensor, Tensor) and not bool(torch.isfinite(tensor).all()):
            raise ExportError(f"{name}: holds values that are not finite (NaN or infinity); did training diverge?")


def _check_logits(reference: nn.Module, example: Tensor, class_names: Sequence[str]) -> None:
    try:
        with torch.no_grad():
            logits = reference(example)
    except RuntimeError as error:
        raise ExportError(f"the net does not accept example_input of shape {tuple(example.shape)}: {error}") from error
    if not isinstance(logits, Tensor) or logits.ndim != 2 or len(logits) != len(example):
        given = f"shape {tuple(logits.shape)}" if isinstance(logits, Tensor) else type(logits).__name__
        raise ExportError(f"the net returns {given}; expected one tensor of logits (N, K)")
    if logits.shape[1] != len(class_names):
        raise ExportError(f"class_names: {len(class_names)} names for a net with {logits.shape[1]} logits")


def _filled_layers(layers: Sequence[Layer], graph: Graph) -> tuple[Layer, ...]:
    """The layers with the names that are left in the graph: of equal constants the exporter keeps one.

    Raises:
        ExportError: A device would rebuild other bits than the graph was traced with.
    """
    kept = tuple(
        replace(layer, initializers={role: n for role, n in layer.initializers.items() if n in graph.constants})
        for layer in layers
    )
    for name, constant in rebuild(kept, graph.tensors).items():
        if not np.array_equal(constant, graph.constants[name]):
            raise ExportError(f"{name}: the graph holds other values than a device would rebuild")
    return kept


def _pictures(test_images: Tensor | None, preprocessing: Preprocessing) -> NDArray[np.uint8]:
    if test_images is not None:
        return np.ascontiguousarray(test_images.cpu().numpy())
    shape = (_NOISE_IMAGES, *preprocessing.input_size)
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def _architecture(model: nn.Module) -> str:
    """The zoo's or timm's name, and how the net was converted since; else its class."""
    architecture, conversion = architecture_of(model)
    if architecture is None:
        return type(model).__name__
    return architecture.name if conversion is None else f"{architecture.name}+{conversion.policy}"
