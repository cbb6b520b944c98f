"""OpenVINO: its own graph and weights, read from memory, on the CPU."""

import sys
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groupnl_device.bundle import Bundle
from groupnl_device.errors import BundleError, InvalidManifestError
from groupnl_device.manifest import Artifact, Manifest
from groupnl_device.openvino_ir import check_ir
from groupnl_device.requirements import first_line, installed_version, unmet

_ROLES = {"graph", "weights"}
_TELEMETRY = "openvino_telemetry"


class OpenVino:
    """Adapter of the ``openvino`` package."""

    name = "openvino"

    def version(self) -> str | None:
        """The installed version, or None where the package is absent."""
        return installed_version("openvino")

    def obstacle(self, artifact: Artifact) -> str | None:
        """Why this artifact cannot run here, or None if it can."""
        return unmet(artifact, _ROLES, {"openvino": "groupnl-device[openvino]"})

    def load(self, bundle: Bundle, artifact: Artifact, *, threads: int) -> "OpenVinoNet":
        """Make the net ready.

        Raises:
            BundleError: The graph does not load, or is not what the manifest says.
        """
        graph, weights = (bytes(bundle.read(artifact.files[role])) for role in ("graph", "weights"))
        return OpenVinoNet(bundle.manifest, graph, weights, threads)


class OpenVinoNet:
    """One compiled net, for one picture at a time."""

    def __init__(self, manifest: Manifest, graph: bytes, weights: bytes, threads: int) -> None:
        check_ir(graph, len(weights))
        openvino = import_openvino()
        settings = {
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "f32",  # else it takes bfloat16 where the processor has it
            "ENABLE_CPU_PINNING": False,  # two nets would share a core while another is idle
        }
        try:
            core = openvino.Core()
            model = core.read_model(graph, weights)
            _check_ends("input", model.inputs, (1, *manifest.input_shape[1:]))
            _check_ends("output", model.outputs, (1, *manifest.output_shape[1:]))
            self._request = core.compile_model(model, "CPU", settings).create_infer_request()
        except BundleError:
            raise
        except Exception as error:  # the runtime raises RuntimeError and others without a family
            raise BundleError(f"OpenVINO refuses the graph: {first_line(error)}") from error

    def run(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Normalised pictures (N, C, H, W) to logits (N, K).

        Raises:
            BundleError: The graph fails while it runs.
        """
        try:
            rows = [self._request.infer([image[None]], share_inputs=True)[0] for image in images]
        except Exception as error:  # see above
            raise BundleError(f"OpenVINO cannot run the graph: {first_line(error)}") from error
        return np.concatenate(rows)


def import_openvino() -> Any:
    """The ``openvino`` package, imported so that it reports nothing to its makers.

    On import its converter reports that it was imported, unless the package that does so is absent.
    """
    if "openvino" in sys.modules:
        return sys.modules["openvino"]
    before = sys.modules.get(_TELEMETRY)
    sys.modules[_TELEMETRY] = None  # type: ignore[assignment]  # an import of it fails
    try:
        return import_module("openvino")
    finally:
        del sys.modules[_TELEMETRY]
        if before is not None:
            sys.modules[_TELEMETRY] = before


def _check_ends(what: str, ends: list[Any], shape: tuple[int | None, ...]) -> None:
    found = [(end.element_type.get_type_name(), str(end.partial_shape)) for end in ends]
    wanted = [("f32", "[" + ",".join(map(str, shape)) + "]")]
    if found != wanted:
        raise InvalidManifestError(f"manifest.{what}: float32 {shape} wanted, the graph has {found}")
