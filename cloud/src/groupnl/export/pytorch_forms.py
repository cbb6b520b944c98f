"""The forms for PyTorch on the CPU: the net's checkpoint, to be run compiled or eager."""

import copy
import json
import tempfile
from pathlib import Path

from groupnl.export.errors import ExportError
from groupnl.export.forms import Form, Source
from groupnl.export.static_graph import check_precision
from groupnl.models import POLICIES, Architecture, architecture_of, save_checkpoint
from groupnl.models.architecture import note_architecture
from groupnl_device.manifest import Artifact
from groupnl_device.pytorch_adapter import ARGUMENTS, COMPILED, EAGER

CHECKPOINT = "net.safetensors"
_LEAST = {"groupnl": "0.1", "torch": "2.8"}
_LENGTH_BYTES = _ALIGNMENT = 8  # of a safetensors header
_SOURCES = {"pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "checkpoint_path", "cache_dir"}


def forms_of(source: Source) -> list[Form]:
    """The compiled form, then the eager one, which needs no compiler; both are the same checkpoint.

    Raises:
        ExportError: Only code of its own can make this net, or it was given arguments that no device accepts.
    """
    check_precision(source)
    entries = {CHECKPOINT: _checkpoint(source)}
    return [
        Form(
            artifact=Artifact(
                runtime="pytorch",
                form=form,
                precision="float32",
                files={"checkpoint": CHECKPOINT},
                requires=_LEAST,
                agreement={},
            ),
            entries=entries,
        )
        for form in (COMPILED, EAGER)
    ]


def _checkpoint(source: Source) -> bytes:
    architecture, conversion = architecture_of(source.reference)
    if architecture is None:
        raise ExportError(
            "pytorch: only code of its own can make this net, and a bundle holds none. Make it with "
            "groupnl.create_model or timm and a named policy, or export it for another runtime"
        )
    arguments = {name: value for name, value in architecture.arguments.items() if name not in _SOURCES}
    options = set(conversion.options) if conversion is not None else set()
    known = ARGUMENTS.union(*(policy.__dataclass_fields__ for policy in POLICIES.values()))  # type: ignore[attr-defined]
    if unknown := sorted((set(arguments) | options) - known):
        raise ExportError(
            f"pytorch: the net was made with {', '.join(unknown)}; a device accepts {', '.join(sorted(known))}"
        )
    model = copy.copy(source.reference)
    note_architecture(model, Architecture(name=architecture.name, arguments=arguments))
    with tempfile.TemporaryDirectory(prefix="groupnl-") as folder:
        path = Path(folder) / CHECKPOINT
        try:
            save_checkpoint(model, path, preprocessing=source.preprocessing, class_names=())
        except ValueError as error:
            raise ExportError(f"pytorch: {error}") from error
        return _canonical(path.read_bytes())


def _canonical(checkpoint: bytes) -> bytes:
    """The same safetensors file with its header's entries in order: the library writes metadata in any order."""
    length = int.from_bytes(checkpoint[:_LENGTH_BYTES], "little")
    header = json.loads(checkpoint[_LENGTH_BYTES : _LENGTH_BYTES + length])
    text = json.dumps(header, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    return len(text).to_bytes(_LENGTH_BYTES, "little") + text + checkpoint[_LENGTH_BYTES + length :]
