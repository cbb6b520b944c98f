"""What a policy says: which modules of a net are to be exchanged, and why others stay."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from torch import nn


@dataclass(frozen=True, kw_only=True)
class Edit:
    """One decision about one convolution: its replacement, or the reason why it stays."""

    target: str  # qualified name of the convolution
    modules: Mapping[str, nn.Module] = field(default_factory=dict)  # qualified name -> the module to put there
    reason: str = ""  # why the target stays; only where ``modules`` is empty


class Policy(Protocol):
    """Decides what to exchange. It looks at the net and does not change it."""

    def plan(self, model: nn.Module) -> list[Edit]:
        """One edit for every convolution of the net that the policy has an opinion on."""
        ...
