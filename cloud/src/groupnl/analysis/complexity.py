"""Count a net's cost for one image, by watching the operators of a forward pass over shapes without values."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode  # the documented way to run a net over shapes
from torch.utils._python_dispatch import TorchDispatchMode

from groupnl.analysis.activations import kept_for_backward
from groupnl.analysis.evaluation_mode import evaluation_mode
from groupnl.analysis.input_size import require_input_size
from groupnl.analysis.operators import Work, work_of
from groupnl.analysis.tracker import LayerTracker


@dataclass(frozen=True, kw_only=True)
class LayerCost:
    """The cost of one layer.

    A layer is a module without children, a layer of ``groupnl.nn`` with all its parts, or what a block does between its
    children.
    """

    name: str  # qualified name
    type: str  # class name
    params: int  # trainable parameters
    macs: int
    elementwise: int
    transcendentals: int  # of elementwise
    activation_bytes: int  # kept for the backward pass
    gradient_bytes: int
    output_shape: tuple[int, ...]  # of one image, without the batch axis


@dataclass(frozen=True, kw_only=True)
class Complexity:
    """The cost of a net for one image. Half of what is called FLOPs elsewhere is ``macs``."""

    params: int  # trainable parameters
    macs: int  # multiply-accumulates of convolutions and matrix products
    elementwise: int  # results of pointwise operators, inputs of norms, sums and poolings: not part of macs
    transcendentals: int  # calls of sin, exp, log, tanh, erf, pow, ... within the elementwise operators
    activation_bytes: int  # what training keeps for the backward pass, measured at autograd
    gradient_bytes: int  # what data-parallel training exchanges in every step: one gradient per trainable parameter
    layers: tuple[LayerCost, ...]  # in order of their first use

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)


def complexity(model: nn.Module, input_size: Sequence[int]) -> Complexity:
    """Count what a net costs: arithmetic in evaluation mode, activations in training mode.

    Args:
        model: Any net that takes one tensor (N, C, H, W). Left as it is: mode, weights and buffers.
        input_size: (C, H, W) of one image.

    Raises:
        ValueError: ``input_size`` is not three positive integers.
    """
    size = require_input_size(input_size)
    tracker, counter = _watch(model, size)
    kept = kept_for_backward(model, size)

    held = _trainable_by_layer(model, tracker)
    layers = tuple(
        LayerCost(
            name=name,
            type=type(tracker.modules[name]).__name__,
            params=sum(parameter.numel() for parameter in held[name]),
            macs=work.macs,
            elementwise=work.elementwise,
            transcendentals=work.transcendentals,
            activation_bytes=kept.get(name, 0),
            gradient_bytes=sum(parameter.numel() * parameter.element_size() for parameter in held[name]),
            output_shape=tracker.shapes.get(name, ()),
        )
        for name in dict.fromkeys([*counter.work, *kept, *held])
        if any(work := counter.work[name]) or kept.get(name) or held[name]
    )
    return Complexity(
        params=sum(layer.params for layer in layers),
        macs=sum(layer.macs for layer in layers),
        elementwise=sum(layer.elementwise for layer in layers),
        transcendentals=sum(layer.transcendentals for layer in layers),
        activation_bytes=sum(layer.activation_bytes for layer in layers),
        gradient_bytes=sum(layer.gradient_bytes for layer in layers),
        layers=layers,
    )


def multiply_adds(model: nn.Module, input_size: Sequence[int]) -> int:
    """The ``macs`` of :func:`complexity` alone, in a fraction of its time. Arguments and errors are the same."""
    _, counter = _watch(model, require_input_size(input_size))
    return sum(work.macs for work in counter.work.values())


def _watch(model: nn.Module, size: tuple[int, int, int]) -> "tuple[LayerTracker, _Counter]":
    """Run the net over shapes in evaluation mode, and book its operators on its layers."""
    first = next(model.parameters(), None)
    device = torch.device("cpu") if first is None else first.device
    dtype = torch.float32 if first is None else first.dtype
    tracker = LayerTracker(model)
    counter = _Counter(tracker)
    shapes_only = FakeTensorMode(allow_non_fake_inputs=True)
    with evaluation_mode(model), _unfused(), torch.no_grad(), tracker.watching(), shapes_only, counter:
        model(torch.empty(1, *size, device=device, dtype=dtype))
    return tracker, counter


class _Counter(TorchDispatchMode):
    """Books every operator on the layer that is running."""

    def __init__(self, tracker: LayerTracker) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        self._tracker = tracker
        self.work: defaultdict[str, Work] = defaultdict(Work)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        before, more = self.work[self._tracker.current], work_of(func, args, kwargs, out)
        self.work[self._tracker.current] = Work(*map(sum, zip(before, more, strict=True)))
        return out


def _trainable_by_layer(model: nn.Module, tracker: LayerTracker) -> defaultdict[str, list[nn.Parameter]]:
    """Trainable parameters by the layer that holds them; one that several share is the first one's."""
    held: defaultdict[str, list[nn.Parameter]] = defaultdict(list)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            held[tracker.layer_of(name.rpartition(".")[0])].append(parameter)
    return held


@contextmanager
def _unfused() -> Iterator[None]:
    """No operator that does a whole transformer layer at once: nothing of it could be counted."""
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
