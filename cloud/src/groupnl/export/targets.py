"""Which runtimes a net can be written for: each has a module of its own, loaded when it is asked for."""

from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from types import MappingProxyType
from typing import cast

from groupnl.export.errors import ExportError
from groupnl.export.forms import Form, Source

_MODULES: Mapping[str, str] = MappingProxyType(
    {  # runtime: module with the function forms_of(source), the fastest form first
        "onnxruntime": "groupnl.export.onnxruntime_forms",
        "openvino": "groupnl.export.openvino_forms",
        "ncnn": "groupnl.export.ncnn_forms",
        "executorch": "groupnl.export.executorch_forms",
        "pytorch": "groupnl.export.pytorch_forms",
    }
)
RUNTIMES = tuple(_MODULES)


def check_runtimes(names: Iterable[str]) -> tuple[str, ...]:
    """The runtimes, each once, in the order given: a device takes the first that it has.

    Raises:
        ExportError: There is none, or one is unknown.
    """
    chosen = tuple(dict.fromkeys(names))
    if not chosen:
        raise ExportError(f"no runtime given: expected some of {', '.join(RUNTIMES)}")
    if unknown := [name for name in chosen if name not in RUNTIMES]:
        raise ExportError(f"no bundle for {unknown[0]!r}: expected some of {', '.join(RUNTIMES)}")
    return chosen


def forms_for(runtime: str, source: Source) -> list[Form]:
    """A net in the forms that a runtime is given, the fastest first.

    Raises:
        ExportError: The net cannot be written for this runtime, or the package that does it is not installed.
    """
    forms_of = cast("Callable[[Source], list[Form]]", import_module(_MODULES[runtime]).forms_of)
    return forms_of(source)
