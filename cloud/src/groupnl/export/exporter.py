"""``export_bundle``: a trained net in, a verified bundle out."""

from collections.abc import Callable, Mapping, Sequence
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
from groupnl.export.forms import Form, Source
from groupnl.export.graph import INPUT, OUTPUT
from groupnl.export.latency import interleaved_ms
from groupnl.export.onnxruntime_forms import plain_of
from groupnl.export.passes import Outcome, passes_for
from groupnl.export.plain_form import frozen_copy
from groupnl.export.targets import check_runtimes, forms_for
from groupnl.models import architecture_of
from groupnl_device.atomic import write_atomically
from groupnl_device.bundle import Bundle
from groupnl_device.errors import BundleError
from groupnl_device.manifest import Artifact, Manifest, SelfTest
from groupnl_device.preprocessing import Preprocessing
from groupnl_device.runtime import Session, obstacle_to

SELF_TEST = "self_test.safetensors"
SELF_TEST_TOLERANCE = 1e-3  # of the logits' scale: another processor rounds otherwise, a broken net is off by far more
_SELF_TEST_IMAGES = 2
_NOISE_IMAGES = 8
_PLACEHOLDER = Artifact(
    runtime="none", form="none", precision="none", files={"graph": "none"}, requires={}, agreement={}
)
_PRODUCERS = ("groupnl", "groupnl-device", "torch", "onnx", "onnxscript", "onnxruntime")


@dataclass(frozen=True, kw_only=True)
class ExportReport:
    """What was written.

    Attributes:
        path: The bundle.
        size_bytes: Of the whole file.
        entry_bytes: By entry.
        layers: Number of GroupNL layers whose constants the device rebuilds.
        agreement: How close the bundle comes to the net, of its forms the one that is furthest.
        manifest: As written.
        passes: By name, what each rewrite did to the graph.
        latency_ms: Where it was asked for: of one picture, one thread, here, medians; by the label of each form that
            runs here, and for the plain form of ONNX Runtime under ``none`` without any pass, and by the name of each
            pass without that one.
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
    runtimes: Sequence[str] = ("onnxruntime",),
    precision: str = "float32",
    calibration_images: Tensor | None = None,
    judge: Callable[[Session], Mapping[str, Any]] | None = None,
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
        runtimes: Names of ``groupnl.export.RUNTIMES``; a device takes the first form that it can run.
        precision: ``float32``; ``float16``, weights in 16 bits that the device widens; ``int8``, weights and
            arithmetic in 8 bits. The last two for ONNX Runtime only.
        calibration_images: uint8, shape (N, 3, H, W), from which int8 takes the ranges of all maps; a few hundred
            pictures like those that the net will see.
        judge: Called with the last form's session (that form runs everywhere) before anything is written. What it
            returns is added to ``measured``; a ``DisagreementError`` that it raises ends the export.
        explain: Measure as well what each form, and each pass of the first runtime, is worth here: a few seconds each.

    Raises:
        ExportError: An argument does not fit the net, the net cannot be exported, or its bundle answers differently.
            No file is written, and one that was there stays.
        OSError: The file cannot be written; likewise.
    """
    path = Path(path)
    check_path(path)
    chosen = check_runtimes(runtimes)
    check_arguments(model, example_input, preprocessing, class_names, test_images)
    calibration = None if calibration_images is None else np.ascontiguousarray(calibration_images.cpu().numpy())
    check_logits(frozen_copy(model), example_input.detach().cpu().float(), class_names)
    source = Source.of(model, example_input, preprocessing, precision, calibration)

    pictures = _pictures(test_images, preprocessing)
    expected = torch_logits(source.reference, pictures, preprocessing)
    sample = slice(0, _SELF_TEST_IMAGES)
    manifest = Manifest(
        name=name if name is not None else _architecture(model),
        input_name=INPUT,
        input_shape=(None, *preprocessing.input_size),
        output_name=OUTPUT,
        output_shape=(None, len(class_names)),
        preprocessing=preprocessing,
        class_names=tuple(class_names),
        entries={},
        layers=source.plain.layers,
        artifacts=(_PLACEHOLDER,),
        measured=dict(measured or {}),
        producer={package: metadata.version(package) for package in _PRODUCERS},
        self_test=SelfTest(file=SELF_TEST, tolerance=SELF_TEST_TOLERANCE) if expected[sample].any() else None,
    )
    entries = {_PLACEHOLDER.files["graph"]: b""}
    if manifest.self_test is not None:
        entries[SELF_TEST] = safetensors.numpy.save({"images": pictures[sample], "logits": expected[sample]})
    _assemble(manifest, entries)  # a bad name or figure shows before the long part
    del entries[_PLACEHOLDER.files["graph"]]

    rounded = precision != "float32"
    draft = _Draft(_with_tolerance(manifest, 1.0) if rounded else manifest, entries)
    forms = [form for runtime in chosen for form in forms_for(runtime, source)]
    if judge is not None:  # what it says of accuracy tells more than how far logits are off
        manifest = replace(manifest, measured={**manifest.measured, **judge(draft.session(forms[-1]))})
    found = [_agreement(draft, form, expected, pictures, rounded=rounded) for form in forms]
    agreements = [agreement for agreement, _ in found]
    draft = replace(draft, manifest=manifest)
    if rounded:
        furthest = max(max(agreement.max_relative_difference, sample_off) for agreement, sample_off in found)
        draft = replace(draft, manifest=_with_tolerance(manifest, max(SELF_TEST_TOLERANCE, 2 * furthest)))
    agreed = [
        replace(form, artifact=replace(form.artifact, agreement=agreement.to_dict()))
        for form, agreement in zip(forms, agreements, strict=True)
    ]
    data = draft.bundle(agreed)
    bundle = Bundle.from_bytes(data)
    write_atomically(path, lambda file: file.write(data))
    return ExportReport(
        path=path,
        size_bytes=len(data),
        entry_bytes={entry: info.size for entry, info in bundle.manifest.entries.items()},
        layers=len(source.plain.layers),
        agreement=max(agreements, key=lambda agreement: agreement.max_relative_difference),
        manifest=bundle.manifest,
        passes={key: outcome for form in forms for key, outcome in form.outcomes.items()},
        latency_ms=_latencies(draft, source, forms) if explain else None,
    )


@dataclass(frozen=True)
class _Draft:
    """A bundle but for its forms.

    Attributes:
        manifest: Its artifacts and the names in its layers are replaced.
        entries: Those that belong to no form.
    """

    manifest: Manifest
    entries: Mapping[str, bytes]

    def bundle(self, forms: Sequence[Form]) -> bytes:
        """The whole file with these forms."""
        used = frozenset[str]().union(*(form.rebuilt for form in forms))
        layers = tuple(
            replace(layer, initializers={role: n for role, n in layer.initializers.items() if n in used})
            for layer in self.manifest.layers  # of equal constants the exporter keeps one
        )
        entries = dict(self.entries)
        for form in forms:
            for name, content in form.entries.items():
                if entries.setdefault(name, content) != content:
                    raise ExportError(f"{name}: two forms of one net bring different files of this name")
        artifacts = tuple(form.artifact for form in forms)
        return _assemble(replace(self.manifest, layers=layers, artifacts=artifacts), entries)

    def session(self, form: Form) -> Session:
        """A form as a device would run it."""
        return Session(Bundle.from_bytes(self.bundle([form])))


def _latencies(draft: _Draft, source: Source, forms: Sequence[Form]) -> dict[str, float]:
    """Latency of each form that runs here; of the plain form without any pass, and without each; in turns."""
    variants = {form.artifact.label: form for form in forms if obstacle_to(form.artifact) is None}
    if any(form.artifact.label == "onnxruntime/plain/float32" for form in forms):
        passes = passes_for("onnxruntime")
        for name in (None, *passes):
            kept = [other for other in passes if other != name] if name is not None else []
            variants[name or "none"] = plain_of(source, source.traced.finished(kept))
    image = np.zeros((1, *source.preprocessing.input_size), np.float32)
    return interleaved_ms({name: partial(draft.session(form).logits, image) for name, form in variants.items()})


def _assemble(manifest: Manifest, entries: Mapping[str, bytes]) -> bytes:
    try:
        return assemble(manifest, entries)
    except (ValueError, TypeError) as error:  # TypeError: a figure that JSON cannot hold
        raise ExportError(f"no valid bundle: {error}") from error


def _agreement(
    draft: _Draft, form: Form, expected: NDArray[np.float32], pictures: NDArray[np.uint8], *, rounded: bool
) -> tuple[Agreement, float]:
    """Use a form's bytes as a device would and compare the answers: on the pictures, and on the self test's."""
    form = form.stand_in if form.stand_in is not None and obstacle_to(form.artifact) is not None else form
    if form.unrounded is not None:  # what is left is rounding, which is told and not judged
        _agreement(draft, form.unrounded, expected, pictures, rounded=False)
    try:
        session = draft.session(form)
        agreement = compare(expected, session_logits(session, pictures), rounded=rounded)
        tested = session.self_test() if session.bundle.manifest.self_test is not None else 0.0
    except BundleError as error:
        raise ExportError(f"{form.artifact.label}: the device cannot use the exported net: {error}") from error
    return agreement, tested


def _with_tolerance(manifest: Manifest, tolerance: float) -> Manifest:
    test = manifest.self_test
    if test is None:
        return manifest
    return replace(manifest, self_test=replace(test, tolerance=min(tolerance, 1.0)))


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
