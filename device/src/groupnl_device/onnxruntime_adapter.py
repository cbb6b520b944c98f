"""ONNX Runtime: a graph without weights, joined in memory with the shipped tensors and the rebuilt constants."""

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groupnl_device.bundle import Bundle
from groupnl_device.constants import rebuild
from groupnl_device.errors import BundleError, InvalidManifestError
from groupnl_device.manifest import Artifact, Manifest
from groupnl_device.onnx_external import check_external
from groupnl_device.tensors import read_tensors

_ROLES = {"graph", "weights"}
_NOWHERE = os.path.join(os.devnull, "nowhere")  # noqa: PTH118  # a path that cannot exist
_SILENT = 4  # log only what ends the process: errors come as exceptions


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
        for name, least in artifact.requires.items():
            if name != self.name:
                return f"requires {name}, which is unknown here"
            if _numbers(installed) < _numbers(least):
                return f"requires onnxruntime {least} or newer, {installed} is installed"
        return None

    def load(self, bundle: Bundle, artifact: Artifact, *, threads: int) -> "OnnxRuntimeNet":
        """Make the net ready.

        Raises:
            BundleError: The graph does not load, or is not what the manifest says.
        """
        weights = read_tensors(bundle, artifact.files["weights"])
        tensors = _without_pairs(bundle.manifest, weights) | rebuild(bundle.manifest.layers, weights)
        return OnnxRuntimeNet(bundle.manifest, bytes(bundle.read(artifact.files["graph"])), tensors, threads)


class OnnxRuntimeNet:
    """One inference session."""

    def __init__(self, manifest: Manifest, graph: bytes, tensors: dict[str, NDArray[Any]], threads: int) -> None:
        import onnxruntime

        check_external(graph, tensors)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = _SILENT
        # Threads that wait by spinning between runs would slow down every other session of the process.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        # All tensors come from memory: should a graph name a file in spite of the check above, let it find none.
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", _NOWHERE)
        self._values = [onnxruntime.OrtValue.ortvalue_from_numpy(tensor) for tensor in tensors.values()]
        try:
            options.add_external_initializers(list(tensors), self._values)
            self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the runtime's own family of errors has no common base but Exception
            raise BundleError(f"ONNX Runtime refuses the graph: {_first_line(error)}") from error
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
            raise BundleError(f"ONNX Runtime cannot run the graph: {_first_line(error)}") from error
        return logits


def _without_pairs(manifest: Manifest, weights: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The weights that the graph itself uses: explicit pairs are raw material of constants, no initializers."""
    pairs = {name for layer in manifest.layers for name in layer.explicit_names}
    return {name: tensor for name, tensor in weights.items() if name not in pairs}


def _check_ends(what: str, ends: list[Any], name: str, shape: tuple[int | None, ...]) -> None:
    found = [(end.name, end.type, tuple(v if isinstance(v, int) else None for v in end.shape)) for end in ends]
    if found != [(name, "tensor(float)", shape)]:
        raise InvalidManifestError(f"manifest.{what}: says {name!r} float32 {shape}, the graph has {found}")


def _numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a version: 1.32.0rc1 is (1, 32, 0)."""
    numbers = []
    for part in version.split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        numbers.append(int(digits))
    return tuple(numbers)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
