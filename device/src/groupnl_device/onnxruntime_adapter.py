"""ONNX Runtime: a graph without weights, joined in memory with the shipped tensors and the rebuilt constants."""

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groupnl_device.blocked_session import open_session, plain_session
from groupnl_device.bundle import Bundle
from groupnl_device.constants import rebuild
from groupnl_device.cuts import add_cuts
from groupnl_device.errors import BundleError, InvalidManifestError
from groupnl_device.manifest import Artifact, Manifest
from groupnl_device.onnx_external import check_external
from groupnl_device.requirements import first_line, installed_version, version_numbers
from groupnl_device.tensors import read_tensors, widened

HALF = "float16"  # the precision of weights that are widened as they are loaded
_IN_FLOAT = ("float32", HALF)
_ROLES = {"graph", "weights"}
_NATIVE = "groupnl-device-native"
_NOWHERE = os.path.join(os.devnull, "nowhere")  # noqa: PTH118  # a path that cannot exist
_TELEMETRY_OFF = "ORT_DISABLE_TELEMETRY"  # read when the package is imported for the first time
_SILENT = 4  # log only what ends the process: errors come as exceptions

# Else ONNX Runtime 1.32 gives the device a number and keeps a record of use in its user's folders.
os.environ.setdefault(_TELEMETRY_OFF, "1")


class OnnxRuntime:
    """Adapter of the ``onnxruntime`` package, on the CPU."""

    name = "onnxruntime"

    def version(self) -> str | None:
        """The installed version, or None where the package is absent."""
        try:
            import onnxruntime
        except ImportError:
            return None
        version: str = onnxruntime.__version__
        return version

    def obstacle(self, artifact: Artifact) -> str | None:
        """Why this artifact cannot run here, or None if it can."""
        installed = self.version()
        if installed is None:
            return "the package onnxruntime is not installed"
        if set(artifact.files) != _ROLES:
            return f"its files are {', '.join(sorted(artifact.files))}, expected {', '.join(sorted(_ROLES))}"
        versions = {self.name: installed, _NATIVE: installed_version(_NATIVE)}
        for name, least in artifact.requires.items():
            if name not in versions:
                return f"requires {name}, which is unknown here"
            found = versions[name]
            if found is None:
                return f"requires {name} {least} or newer, which is not installed"
            if version_numbers(found) < version_numbers(least):
                return f"requires {name} {least} or newer, {found} is installed"
        return None

    def load(self, bundle: Bundle, artifact: Artifact, *, threads: int) -> "OnnxRuntimeNet":
        """Make the net ready.

        Raises:
            BundleError: The graph does not load, or is not what the manifest says.
        """
        tensors = tensors_of(bundle, artifact)
        graph = bytes(bundle.read(artifact.files["graph"]))
        return OnnxRuntimeNet(bundle.manifest, graph, tensors, threads, artifact)


def tensors_of(bundle: Bundle, artifact: Artifact) -> dict[str, NDArray[Any]]:
    """What an artifact's graph is filled with: shipped weights, widened where need be, rebuilt constants, and parts.

    Raises:
        BundleError: They are not what the manifest says.
    """
    shipped = read_tensors(bundle, artifact.files["weights"])
    constants = rebuild(bundle.manifest.layers, shipped)
    weights = widened(shipped) if artifact.precision == HALF else shipped
    return add_cuts(weights | constants, artifact.cuts)


class OnnxRuntimeNet:
    """One inference session."""

    def __init__(
        self, manifest: Manifest, graph: bytes, tensors: dict[str, NDArray[Any]], threads: int, artifact: Artifact
    ) -> None:
        import onnxruntime

        wanted = check_external(graph, tensors)  # forms share their weights: each graph is given its own
        own = {name: tensors[name] for name in sorted(wanted)}

        native = _NATIVE in artifact.requires

        def options() -> Any:
            made = onnxruntime.SessionOptions()
            made.intra_op_num_threads = threads
            made.inter_op_num_threads = 1
            made.log_severity_level = _SILENT
            # Threads that wait by spinning between runs would slow down every other session of the process.
            made.add_session_config_entry("session.force_spinning_stop", "1")
            # All tensors come from memory: should a graph name a file in spite of the check above, let it find none.
            made.add_session_config_entry("session.model_external_initializers_file_folder_path", _NOWHERE)
            if native:
                made.register_custom_ops_library(_native_library())
            return made

        try:
            if native and artifact.precision in _IN_FLOAT:  # 8 bits have another layout
                versions = f"onnxruntime {onnxruntime.__version__}, {_NATIVE} {installed_version(_NATIVE)}"
                opened = open_session(graph, own, options, versions=versions)
            else:
                opened = plain_session(graph, own, options())
        except Exception as error:  # the runtime's own family of errors has no common base but Exception
            raise BundleError(f"ONNX Runtime refuses the graph: {first_line(error)}") from error
        self._session, self._held = opened.session, opened.held
        self._input, self._output = manifest.input_name, manifest.output_name
        _check_ends("input", self._session.get_inputs(), manifest.input_name, manifest.input_shape)
        _check_ends("output", self._session.get_outputs(), manifest.output_name, manifest.output_shape)

    def run(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Normalised pictures (N, C, H, W) to logits (N, K).

        Raises:
            BundleError: The graph fails while it runs.
        """
        try:
            logits: NDArray[np.float32] = self._session.run([self._output], {self._input: images})[0]
        except Exception as error:  # see above
            raise BundleError(f"ONNX Runtime cannot run the graph: {first_line(error)}") from error
        return logits


def _native_library() -> str:
    """The path of the native operators."""
    import groupnl_device_native

    return str(groupnl_device_native.library_path())


def _check_ends(what: str, ends: list[Any], name: str, shape: tuple[int | None, ...]) -> None:
    found = [(end.name, end.type, tuple(v if isinstance(v, int) else None for v in end.shape)) for end in ends]
    if found != [(name, "tensor(float)", shape)]:
        raise InvalidManifestError(f"manifest.{what}: says {name!r} float32 {shape}, the graph has {found}")
