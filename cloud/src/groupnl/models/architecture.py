"""How a net was made, kept on the net itself, so that a checkpoint can say how to make it again."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

_ARCHITECTURE = "groupnl_architecture"
_CONVERSION = "groupnl_conversion"


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """A zoo or timm name and the keyword arguments that ``create_model`` was given."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """A named policy and its options, as ``convert_`` was given them."""

    policy: str
    options: Mapping[str, Any] = field(default_factory=dict)


def note_architecture(model: nn.Module, architecture: Architecture) -> None:
    """Remember on the net how it was made."""
    setattr(model, _ARCHITECTURE, architecture)


def note_conversion(model: nn.Module, conversion: Conversion | None) -> None:
    """Remember on the net how it was converted; None: in a way that only code can repeat."""
    setattr(model, _CONVERSION, conversion)


def architecture_of(model: nn.Module) -> tuple[Architecture | None, Conversion | None]:
    """How a net was made and then converted.

    Returns:
        (None, None) where only code can make the net again: it came neither from ``create_model`` nor from timm, or was
        converted by a policy object or a selector.
    """
    architecture = getattr(model, _ARCHITECTURE, None)
    if architecture is None:
        # timm 1.0.31 and newer keeps what create_model was given
        arguments: Any = getattr(model, "_model_args", None)
        config: Any = getattr(model, "pretrained_cfg", None)
        if arguments is not None and config and config.get("architecture"):
            architecture = Architecture(name=config["architecture"], arguments=dict(arguments))
    if architecture is None or (hasattr(model, _CONVERSION) and getattr(model, _CONVERSION) is None):
        return None, None
    return architecture, getattr(model, _CONVERSION, None)
