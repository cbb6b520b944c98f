"""PyTorch on the CPU, eager or compiled: ``groupnl`` builds the net from a checkpoint, nothing is unpickled.

``torch.export`` and TorchScript files are no alternative: reading them unpickles or runs what they hold.
"""

import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groupnl_device.bundle import Bundle
from groupnl_device.errors import BundleError, UnsafeBundleError
from groupnl_device.manifest import Artifact, Manifest
from groupnl_device.requirements import first_line, installed_version, unmet
from groupnl_device.strict_json import parse

EAGER, COMPILED = "eager", "compiled"
ARGUMENTS = frozenset({"num_classes", "in_chans", "cifar_stem", "drop_rate", "drop_path_rate", "global_pool"})
_ROLES = {"checkpoint"}
_NAME = re.compile(r"[A-Za-z0-9_.]{1,100}")
_COMPILERS = ("g++", "clang++", "c++")
_MOST_COMPILED = 128  # nets of one class
_LARGEST_HEADER = 4 * 1024**2


class PyTorch:
    """Adapter of the ``torch`` and ``groupnl`` packages."""

    name = "pytorch"

    def version(self) -> str | None:
        """The installed version of torch, or None where it or groupnl is absent."""
        return installed_version("torch") if installed_version("groupnl") is not None else None

    def obstacle(self, artifact: Artifact) -> str | None:
        """Why this artifact cannot run here, or None if it can."""
        if artifact.form not in (EAGER, COMPILED):
            return f"form {artifact.form!r}: expected {EAGER} or {COMPILED}"
        missing = unmet(artifact, _ROLES, {"groupnl": "groupnl", "torch": "groupnl"})
        if missing is None and artifact.form == COMPILED and not any(map(shutil.which, _COMPILERS)):
            return f"torch.compile needs a C++ compiler: none of {', '.join(_COMPILERS)} is here"
        return missing

    def load(self, bundle: Bundle, artifact: Artifact, *, threads: int) -> "PyTorchNet":
        """Make the net ready. ``threads`` holds for the whole process: PyTorch has one number for all nets.

        Raises:
            BundleError: The checkpoint does not make a net, or wants what no bundle may want.
        """
        checkpoint = bytes(bundle.read(artifact.files["checkpoint"]))
        return PyTorchNet(bundle.manifest, checkpoint, threads, compiled=artifact.form == COMPILED)


class PyTorchNet:
    """One net; compiled, it takes one picture at a time, so that it is compiled once."""

    def __init__(self, manifest: Manifest, checkpoint: bytes, threads: int, *, compiled: bool) -> None:
        try:
            self._torch: Any = import_module("torch")
            models: Any = import_module("groupnl.models")
            layers: Any = import_module("groupnl.nn")
        except ImportError as error:
            raise BundleError(f"PyTorch does not start: {first_line(error)}") from error
        options = {name for policy in models.POLICIES.values() for name in policy.__dataclass_fields__}
        check_checkpoint(checkpoint, manifest, options)
        with tempfile.TemporaryDirectory(prefix="groupnl-") as folder:
            path = Path(folder) / "net.safetensors"
            path.write_bytes(checkpoint)
            try:
                net = models.load_checkpoint(path)
            except (ValueError, RuntimeError, TypeError, KeyError) as error:
                raise BundleError(f"the checkpoint makes no net: {first_line(error)}") from error
        layers.fuse_for_inference_(net)
        self._torch.set_num_threads(threads)
        self._one_by_one = compiled
        self._net = compiled_net(net) if compiled else net
        self._classes = manifest.output_shape[1]
        if compiled:  # now, so that a net that cannot be compiled is refused here
            self.run(np.zeros((1, *(size or 1 for size in manifest.input_shape[1:])), np.float32))

    def run(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Normalised pictures (N, C, H, W) to logits (N, K).

        Raises:
            BundleError: The net fails while it runs.
        """
        batches = [image[None] for image in images] if self._one_by_one else [images]
        try:
            with self._torch.inference_mode():
                rows = [self._net(self._torch.from_numpy(batch)).numpy() for batch in batches]
        except Exception as error:  # compilers and nets raise what they like
            raise BundleError(f"PyTorch cannot run the net: {first_line(error)}") from error
        logits = np.concatenate(rows)
        if logits.shape != (len(images), self._classes) or logits.dtype != np.float32:
            raise BundleError(f"the net gives {logits.dtype} of shape {logits.shape}, the manifest says otherwise")
        return logits


def compiled_net(net: Any) -> Any:
    """A net under ``torch.compile``, whole or not at all.

    All nets of one class share PyTorch's memory of compiled code; where it is full, PyTorch would go on uncompiled
    without a word. So it is made larger, and a net that does not fit in one graph is an error.
    """
    torch: Any = import_module("torch")
    limits = torch._dynamo.config
    limits.recompile_limit = max(limits.recompile_limit, _MOST_COMPILED)
    return torch.compile(net, dynamic=False, fullgraph=True)


def check_checkpoint(checkpoint: bytes, manifest: Manifest, options: Iterable[str]) -> None:
    """Refuse a checkpoint whose metadata would make a net with more than its own weights.

    A net's maker takes arguments that name files or fetch weights. Only those pass that shape the net, with plain
    values; names are names, no addresses.

    Args:
        checkpoint: A safetensors file that ``groupnl.save`` wrote.
        manifest: What the net takes and gives.
        options: Names of the conversions' options, besides ``ARGUMENTS``.

    Raises:
        UnsafeBundleError: What it wants.
    """
    content = _content(checkpoint)
    conversion = content.get("conversion") or {}
    arguments, converted = content.get("arguments") or {}, conversion.get("options", {})
    for name in (content.get("architecture"), *([conversion.get("policy")] if conversion else [])):
        if not isinstance(name, str) or _NAME.fullmatch(name) is None:
            raise UnsafeBundleError(
                f"the checkpoint is of the net {str(name)[:60]!r}: expected a name of the zoo or timm"
            )
    for name, value in (*arguments.items(), *converted.items()):
        if name not in ARGUMENTS.union(options) or not _is_plain(value):
            raise UnsafeBundleError(f"the checkpoint gives the net {name[:60]!r}, which no bundle may")
    wanted = {"in_chans": manifest.input_shape[1], "num_classes": manifest.output_shape[1]}
    for name, size in wanted.items():
        if name in arguments and arguments[name] != size:
            raise UnsafeBundleError(f"the checkpoint has {name}={arguments[name]!r}, the manifest {size}")


def _content(checkpoint: bytes) -> Mapping[str, Any]:
    """What a checkpoint says of itself."""
    length = int.from_bytes(checkpoint[:8], "little")
    if len(checkpoint) < 8 or length > min(_LARGEST_HEADER, len(checkpoint) - 8):
        raise UnsafeBundleError("the checkpoint is no safetensors file")
    try:
        content = parse(parse(checkpoint[8 : 8 + length])["__metadata__"]["content"].encode())
        if not all(isinstance(content.get(key) or {}, dict) for key in ("arguments", "conversion")):
            raise ValueError("its arguments are no object")
        if not isinstance((content.get("conversion") or {}).get("options", {}), dict):
            raise ValueError("its options are no object")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnsafeBundleError(f"the checkpoint is none of groupnl ({error})") from error
    found: Mapping[str, Any] = content
    return found


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return len(value) <= 4 and all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | float) or _is_word(value)


def _is_word(value: Any) -> bool:
    return isinstance(value, str) and _NAME.fullmatch(value) is not None
