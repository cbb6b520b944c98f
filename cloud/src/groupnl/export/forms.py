"""What the forms of a net are made of, and what a form is: an artifact and its entries."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from groupnl.export.graph import Traced, trace
from groupnl.export.passes import Outcome
from groupnl.export.plain_form import PlainNet, frozen_copy, plain_form
from groupnl_device.manifest import Artifact
from groupnl_device.preprocessing import Preprocessing


@dataclass(frozen=True, kw_only=True)
class Form:
    """One executable form of a net.

    Attributes:
        artifact: What the manifest says of it; how far it agrees with the net is filled in once it has run.
        entries: By name, the files that the artifact names. Forms may share entries of one name and content.
        rebuilt: Names of the initializers that a device rebuilds for it.
        outcomes: By name, what each rewrite did, for ``--explain``.
        stand_in: A form with the same answers in standard operators, from which this one was not made: it is run
            where this one cannot be, so that no form is written unchecked.
        unrounded: The same form with the weights that the net has, where those of this one are rounded: it has to
            agree with the net as closely as any form in float32 does.
    """

    artifact: Artifact
    entries: Mapping[str, bytes]
    rebuilt: frozenset[str] = frozenset()
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)
    stand_in: "Form | None" = None
    unrounded: "Form | None" = None


@dataclass(frozen=True, kw_only=True)
class Source:
    """A net, ready to be written in forms.

    Attributes:
        reference: A frozen copy of the net with its own layers.
        plain: Its GroupNL layers in plain form.
        example: float32, shape (N, 3, H, W), as the net takes it.
        preprocessing: How a picture becomes that input.
        precision: As :func:`groupnl.export.export_bundle` takes it.
        calibration: uint8, shape (N, 3, H, W), pictures from which the ranges of a lower precision are taken.
    """

    reference: nn.Module
    plain: PlainNet
    example: Tensor
    preprocessing: Preprocessing
    precision: str = "float32"
    calibration: NDArray[np.uint8] | None = None

    @classmethod
    def of(
        cls,
        model: nn.Module,
        example: Tensor,
        preprocessing: Preprocessing,
        precision: str = "float32",
        calibration: NDArray[np.uint8] | None = None,
    ) -> "Source":
        """From a net, which is copied, never changed.

        Raises:
            ExportError: A layer's pairs are not those that its seed and key give.
        """
        return cls(
            reference=frozen_copy(model),
            plain=plain_form(model),
            example=example.detach().cpu().float(),
            preprocessing=preprocessing,
            precision=precision,
            calibration=calibration,
        )

    @cached_property
    def traced(self) -> Traced:
        """The plain form as an ONNX graph, weights inside.

        Raises:
            ExportError: The exporter does not manage this net.
        """
        return trace(self.plain.module, self.example, self.plain.constants)
