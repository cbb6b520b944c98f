"""ncnn: its own graph and weights, on the CPU in float32."""

import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groupnl_device.bundle import Bundle
from groupnl_device.errors import BundleError
from groupnl_device.manifest import Artifact, Manifest
from groupnl_device.requirements import installed_version, unmet

INPUT, OUTPUT = "in0", "out0"  # what pnnx calls a net's ends
_ROLES = {"graph", "weights"}
_MAGIC = "7767517"
_REDUCED = ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage")


class Ncnn:
    """Adapter of the ``ncnn`` package."""

    name = "ncnn"

    def version(self) -> str | None:
        """The installed version, or None where the package is absent."""
        return installed_version("ncnn")

    def obstacle(self, artifact: Artifact) -> str | None:
        """Why this artifact cannot run here, or None if it can."""
        return unmet(artifact, _ROLES, {"ncnn": "groupnl-device[ncnn]"})

    def load(self, bundle: Bundle, artifact: Artifact, *, threads: int) -> "NcnnNet":
        """Make the net ready.

        Raises:
            BundleError: The graph does not load, or is not what the manifest says.
        """
        graph, weights = (bytes(bundle.read(artifact.files[role])) for role in ("graph", "weights"))
        return NcnnNet(bundle.manifest, graph, weights, threads)


class NcnnNet:
    """One net, for one picture at a time."""

    def __init__(self, manifest: Manifest, graph: bytes, weights: bytes, threads: int) -> None:
        if not graph.isascii() or b"\0" in graph or graph.split(maxsplit=1)[:1] != [_MAGIC.encode()]:
            raise BundleError(f"ncnn refuses the graph: expected ASCII text that begins with {_MAGIC}")
        self._ncnn: Any = import_module("ncnn")
        self._shapes = manifest.input_shape[1:], manifest.output_shape[1:]
        self._net = self._ncnn.Net()
        self._net.opt.num_threads = threads
        self._net.opt.use_vulkan_compute = False
        for option in _REDUCED:
            setattr(self._net.opt, option, False)
        if self._net.load_param_mem(graph.decode()) != 0:
            raise BundleError("ncnn refuses the graph: it is malformed, or has a layer that this ncnn lacks")
        if (list(self._net.input_names()), list(self._net.output_names())) != ([INPUT], [OUTPUT]):
            raise BundleError(f"ncnn refuses the graph: expected one input {INPUT} and one output {OUTPUT}")
        # From a file, of which ncnn notices the end; a block of memory it would read beyond its end.
        with tempfile.TemporaryDirectory(prefix="groupnl-") as folder:
            path = Path(folder) / "weights.bin"
            path.write_bytes(weights)
            if self._net.load_model(str(path)) != 0:
                raise BundleError("ncnn refuses the weights: they are not those of the graph")

    def run(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Normalised pictures (N, C, H, W) to logits (N, K).

        Raises:
            BundleError: The graph fails while it runs.
        """
        return np.stack([self._one(image) for image in images])

    def _one(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        extractor = self._net.create_extractor()
        if extractor.input(INPUT, self._ncnn.Mat(image)) != 0:
            raise BundleError("ncnn cannot run the graph: it does not take the picture")
        failed, found = extractor.extract(OUTPUT)
        if failed:
            raise BundleError(f"ncnn cannot run the graph: error {failed}")
        logits = np.array(found)
        if logits.shape != self._shapes[1] or logits.dtype != np.float32:
            raise BundleError(f"ncnn gives {logits.dtype} of shape {logits.shape}, the manifest says {self._shapes[1]}")
        return logits
