"""Light, robust CNNs: convert any net, train it, measure it on corrupted images, ship it to small devices.

Importing registers the zoo with timm: ``timm.create_model("groupnl_resnet18", num_classes=10)``.
"""

from typing import TYPE_CHECKING, Any

from groupnl.analysis import complexity
from groupnl.models import convert_, create_model
from groupnl.nn import GroupNLConv2d

if TYPE_CHECKING:
    from groupnl.evaluation import evaluate
    from groupnl.export import export_bundle
    from groupnl.models import load_checkpoint as load
    from groupnl.models import save_checkpoint as save

__version__ = "0.1.0"
__all__ = [
    "GroupNLConv2d",
    "complexity",
    "convert_",
    "create_model",
    "evaluate",
    "export_bundle",
    "load",
    "save",
]

# Brought in on first use: exporters and evaluation take longer to import than many scripts run.
_LATE = {
    "evaluate": ("groupnl.evaluation", "evaluate"),
    "export_bundle": ("groupnl.export", "export_bundle"),
    "load": ("groupnl.models.checkpoint", "load_checkpoint"),
    "save": ("groupnl.models.checkpoint", "save_checkpoint"),
}


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"module 'groupnl' has no attribute {name!r}")
    from importlib import import_module

    module, attribute = _LATE[name]
    return getattr(import_module(module), attribute)
