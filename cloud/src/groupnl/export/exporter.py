"""``export_bundle``: a trained net in, a verified bundle out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from torch import Tensor, nn

from groupnl.export.agreement import Agreement, compare, session_logits, torch_logits
from groupnl.export.arguments import check_arguments, check_logits, check_path
from groupnl.export.bundle_writer import assemble
from groupnl.export.errors import ExportError
from groupnl.export.graph import INPUT, LEAST_ONNXRUNTIME, OUTPUT, WEIGHTS, Graph, Traced, trace
from groupnl.export.latency import interleaved_ms
from groupnl.export.passes import Outcome, check_passes, passes_for
from groupnl.export.plain_form import PlainNet, frozen_copy, plain_form
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
        passes: By name, what each pass did to the graph.
        latency_ms: Where it was asked for: of one picture, one thread, here, medians; under ``all`` with all passes
            (what was written), ``none`` without any, and by the name of each pass without that one.
    """

    path: Path
    size_bytes: int
    entry_bytes: Mapping[str, int]
    layers: int
    agreement: Agreement
    manifest: Manifest
    passes: Mapping[str, Outcome]
    latency_ms: Mapping[str, float] | None = None


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
    passes: Sequence[str] | None = None,
    explain: bool = False,
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
        passes: Names of ``groupnl.export.passes.PASSES``, rewrites that change no answer; by default those that make
            the net fast in ONNX Runtime. () writes the graph as it was traced.
        explain: Measure as well what each pass is worth here, a few seconds for each.

    Raises:
        ExportError: An argument does not fit the net, the net cannot be exported, or its bundle answers differently.
            No file is written, and one that was there stays.
        OSError: The file cannot be written; likewise.
    """
    path = Path(path)
    check_path(path)
    chosen = passes_for("onnxruntime") if passes is None else check_passes(passes)
    check_arguments(model, example_input, preprocessing, class_names, test_images)
    reference = frozen_copy(model)
    example = example_input.detach().cpu().float()
    check_logits(reference, example, class_names)

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

    traced = trace(net.module, example, net.constants)
    graph = traced.finished(chosen)
    manifest, entries = _joined(manifest, entries, net, graph)
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
        passes=graph.outcomes,
        latency_ms=_latencies(manifest, entries, net, traced, chosen) if explain else None,
    )


def _joined(
    manifest: Manifest, entries: Mapping[str, bytes], net: PlainNet, graph: Graph
) -> tuple[Manifest, dict[str, bytes]]:
    """The manifest and the entries with this graph and its weights."""
    graph.tensors.update(net.explicit)
    layers = _filled_layers(net.layers, graph)
    return replace(manifest, layers=layers), {**entries, GRAPH: graph.onnx, WEIGHTS: graph.weights()}


def _latencies(
    manifest: Manifest, entries: Mapping[str, bytes], net: PlainNet, traced: Traced, passes: Sequence[str]
) -> dict[str, float]:
    """Latency with all passes, with none, and with all but each; in turns."""
    without = {name: [other for other in passes if other != name] for name in passes}
    image = np.zeros((1, *manifest.preprocessing.input_size), np.float32)
    calls = {}
    for name, some in {"all": list(passes), "none": [], **without}.items():
        data = _assemble(*_joined(manifest, entries, net, traced.finished(some)))
        calls[name] = partial(Session(Bundle.from_bytes(data)).logits, image)
    return interleaved_ms(calls)


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
