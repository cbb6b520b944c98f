"""ExecuTorch: one program file, read from memory; its XNNPACK backend runs what was delegated to it."""

from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groupnl_device.bundle import Bundle
from groupnl_device.errors import BundleError
from groupnl_device.manifest import Artifact, Manifest
from groupnl_device.requirements import first_line, installed_version, unmet

METHOD = "forward"
_ROLES = {"program"}
_BACKEND = "XnnpackBackend"


class ExecuTorch:
    """Adapter of the ``executorch`` package, which takes its tensors from torch."""

    name = "executorch"

    def version(self) -> str | None:
        """The installed version, or None where the package is absent."""
        return installed_version("executorch")

    def obstacle(self, artifact: Artifact) -> str | None:
        """Why this artifact cannot run here, or None if it can."""
        extra = "groupnl-device[executorch]"
        return unmet(artifact, _ROLES, {"executorch": extra, "torch": extra})

    def load(self, bundle: Bundle, artifact: Artifact, *, threads: int) -> "ExecuTorchNet":
        """Make the net ready. ``threads`` holds for every program of this process: ExecuTorch has one pool.

        Raises:
            BundleError: The program does not load, or is not what the manifest says.
        """
        return ExecuTorchNet(bundle.manifest, bytes(bundle.read(artifact.files["program"])), threads)


class ExecuTorchNet:
    """One program, for one picture at a time."""

    def __init__(self, manifest: Manifest, program: bytes, threads: int) -> None:
        try:
            runtime: Any = import_module("executorch.runtime")
            pool: Any = import_module("executorch.extension.pybindings.portable_lib")
            self._torch: Any = import_module("torch")
        except ImportError as error:
            raise BundleError(f"ExecuTorch does not start: {first_line(error)}") from error
        self._shape = (1, *manifest.output_shape[1:])
        try:
            held = runtime.Runtime.get()
            if not held.backend_registry.is_available(_BACKEND):
                raise BundleError(f"this ExecuTorch lacks {_BACKEND}")
            if pool._threadpool_get_thread_count() != threads:
                pool._unsafe_reset_threadpool(threads)
            self._program = held.load_program(program)
            if METHOD not in self._program.method_names:
                raise BundleError(f"ExecuTorch refuses the program: it has no method {METHOD!r}")
            self._method = self._program.load_method(METHOD)
            inputs = self._method.metadata.num_inputs()
            shape = tuple(self._method.metadata.input_tensor_meta(0).sizes()) if inputs == 1 else ()
        except BundleError:
            raise
        except Exception as error:  # the runtime raises RuntimeError and others without a family
            raise BundleError(f"ExecuTorch refuses the program: {first_line(error)}") from error
        if shape != (1, *manifest.input_shape[1:]):
            raise BundleError(f"the program takes {shape}, the manifest says (1, {manifest.input_shape[1:]})")

    def run(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Normalised pictures (N, C, H, W) to logits (N, K).

        Raises:
            BundleError: The program fails while it runs.
        """
        return np.concatenate([self._one(image[None]) for image in images])

    def _one(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        try:
            (found,) = self._method.execute([self._torch.from_numpy(image)])
            logits: NDArray[np.float32] = found.numpy().copy()  # the next run writes to the same memory
        except Exception as error:  # see above
            raise BundleError(f"ExecuTorch cannot run the program: {first_line(error)}") from error
        if logits.shape != self._shape or logits.dtype != np.float32:
            raise BundleError(f"the program gives {logits.dtype} {logits.shape}, the manifest says {self._shape}")
        return logits
