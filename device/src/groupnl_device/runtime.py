"""Runs a bundle: takes the first artifact that this device can execute, and hides which runtime does it."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from groupnl_device.bundle import Bundle
from groupnl_device.errors import BundleError, InvalidManifestError, NoRunnableArtifactError
from groupnl_device.executorch_adapter import ExecuTorch
from groupnl_device.manifest import Artifact
from groupnl_device.ncnn_adapter import Ncnn
from groupnl_device.onnxruntime_adapter import OnnxRuntime
from groupnl_device.openvino_adapter import OpenVino
from groupnl_device.pytorch_adapter import PyTorch
from groupnl_device.tensors import read_tensors

Images = NDArray[np.uint8]
Logits = NDArray[np.float32]

MAX_THREADS = 1024


class Executable(Protocol):
    """A net that a runtime has loaded."""

    def run(self, images: NDArray[np.float32]) -> Logits:
        """Normalised pictures (N, C, H, W) to logits (N, K)."""


class Runtime(Protocol):
    """What joins a runtime to this package: one small class each."""

    name: str  # as in the manifest's artifacts

    def version(self) -> str | None:
        """The installed version, or None where the runtime is absent."""

    def obstacle(self, artifact: Artifact) -> str | None:
        """Why this artifact cannot run here, or None if it can."""

    def load(self, bundle: Bundle, artifact: Artifact, *, threads: int) -> Executable:
        """Make the net ready.

        Raises:
            BundleError: The artifact is not what the runtime accepts.
        """


RUNTIMES: tuple[Runtime, ...] = (OnnxRuntime(), OpenVino(), Ncnn(), ExecuTorch(), PyTorch())


class Session:
    """A bundle that is ready to run.

    Args:
        bundle: A verified bundle.
        threads: Of the runtime, at least 1.
        artifact: One of the bundle's; by default the first that runs here. One that should run but does not load is
            passed over for the next.

    Attributes:
        artifact: The form that runs.
        runtime: Name and version of what executes it.

    Raises:
        ValueError: ``threads`` is out of range.
        NoRunnableArtifactError: Nothing in the bundle runs here; the message says why, artifact by artifact.
        BundleError: The artifact is not what its runtime accepts.
    """

    def __init__(self, bundle: Bundle, threads: int = 1, artifact: Artifact | None = None) -> None:
        check_threads(threads)
        self.bundle = bundle
        self.threads = threads
        self.artifact, runtime, self._net = _load_first(
            bundle, bundle.manifest.artifacts if artifact is None else [artifact], threads
        )
        self.runtime = f"{runtime.name} {runtime.version()}"

    def logits(self, images: NDArray[np.float32]) -> Logits:
        """The net alone.

        Args:
            images: Normalised, float32, shape (N, C, H, W) as the manifest's input.

        Returns:
            float32, shape (N, K).

        Raises:
            ValueError: Another shape or dtype.
        """
        expected = self.bundle.manifest.input_shape
        fits = images.ndim == len(expected) and all(
            want in (None, have) for want, have in zip(expected, images.shape, strict=True)
        )
        if images.dtype != np.float32 or not fits:
            shape = ", ".join("N" if v is None else str(v) for v in expected)
            raise ValueError(f"images: {images.dtype} of shape {images.shape}; expected float32 of shape ({shape})")
        return self._net.run(np.ascontiguousarray(images))

    def predict(self, images: Images) -> NDArray[np.float32]:
        """Class probabilities of pictures, normalised as the manifest says.

        Args:
            images: uint8, shape (N, 3, H, W), as ``Preprocessing.load`` gives them with channels first.

        Returns:
            float32, shape (N, K), rows that sum to 1.

        Raises:
            ValueError: Another shape or dtype.
        """
        return softmax(self.logits(self.bundle.manifest.preprocessing.normalize(images)))

    def self_test(self) -> float:
        """Run the bundle's sample pictures and compare with the answers it carries.

        Returns:
            The largest difference, relative to the largest absolute logit.

        Raises:
            BundleError: There is no sample, or the answers differ by more than the manifest's tolerance.
        """
        test = self.bundle.manifest.self_test
        if test is None:
            raise BundleError("the bundle carries no sample to test itself with")
        sample = read_tensors(self.bundle, test.file)
        try:
            images, expected = sample["images"], sample["logits"]
            logits = self.logits(self.bundle.manifest.preprocessing.normalize(images))
        except (KeyError, ValueError) as error:
            raise InvalidManifestError(f"entry {test.file!r}: not a sample of pictures and logits ({error})") from error
        if expected.dtype != np.float32 or logits.shape != expected.shape or not expected.any():
            raise InvalidManifestError(
                f"entry {test.file!r}: logits of shape {expected.shape}, expected {logits.shape}"
            )
        difference = relative_difference(logits, expected)
        if not difference <= test.tolerance:  # NaN is a failure too
            raise BundleError(f"self-test: the logits are off by {difference:.2e}, allowed is {test.tolerance:.2e}")
        return difference


def check_threads(threads: int) -> None:
    """Refuse a number of threads that no runtime can be given.

    Raises:
        ValueError: It is no integer from 1 to 1024.
    """
    if isinstance(threads, bool) or not isinstance(threads, int) or not 1 <= threads <= MAX_THREADS:
        raise ValueError(f"threads={threads!r}: expected an integer from 1 to {MAX_THREADS}")


def _load_first(bundle: Bundle, artifacts: Sequence[Artifact], threads: int) -> tuple[Artifact, Runtime, Executable]:
    """The first of these that loads here."""
    failed: BundleError | None = None
    left = list(artifacts)
    while True:
        try:
            runtime, artifact = choose(bundle, left)
        except NoRunnableArtifactError as error:
            raise failed or error from error
        try:
            return artifact, runtime, runtime.load(bundle, artifact, threads=threads)
        except BundleError as error:
            failed = failed or error
            left = left[left.index(artifact) + 1 :]


def choose(bundle: Bundle, artifacts: Sequence[Artifact] | None = None) -> tuple[Runtime, Artifact]:
    """The first artifact that runs here.

    Args:
        bundle: A verified bundle.
        artifacts: To choose from, by default all of the bundle.

    Raises:
        NoRunnableArtifactError: There is none.
    """
    reasons = []
    for artifact in bundle.manifest.artifacts if artifacts is None else artifacts:
        runtime, obstacle = _runtime_of(artifact), obstacle_to(artifact)
        if runtime is not None and obstacle is None:
            return runtime, artifact
        reasons.append(f"{artifact.label}: {obstacle}")
    raise NoRunnableArtifactError(f"nothing in this bundle runs here ({'; '.join(reasons)})")


def obstacle_to(artifact: Artifact) -> str | None:
    """Why an artifact cannot run here, or None if it can."""
    runtime = _runtime_of(artifact)
    return "this runtime is unknown here" if runtime is None else runtime.obstacle(artifact)


def _runtime_of(artifact: Artifact) -> Runtime | None:
    return next((runtime for runtime in RUNTIMES if runtime.name == artifact.runtime), None)


def softmax(logits: Logits) -> NDArray[np.float32]:
    """Row by row, in float64, safe for large logits."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    exponentials = np.exp(shifted)
    probabilities: NDArray[np.float32] = (exponentials / exponentials.sum(axis=1, keepdims=True)).astype(np.float32)
    return probabilities


def relative_difference(logits: Logits, expected: Logits) -> float:
    """Largest absolute difference, divided by the largest absolute value expected."""
    return float(np.abs(logits.astype(np.float64) - expected).max() / np.abs(expected).max())
