"""Count a net's cost for one image, by watching the operators of a forward pass over shapes without values."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode  # the documented way to run a net over shapes
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from groupnl.analysis.activations import kept_for_backward
from groupnl.analysis.tracker import LayerTracker
from groupnl.nn import GroupNLConv2d

_aten = torch.ops.aten
# One unit of elementwise work per input element; every operator that torch tags as pointwise: one per output element.
_PER_INPUT_ELEMENT = {
    _aten.native_batch_norm,
    _aten._native_batch_norm_legit_no_training,
    _aten.cudnn_batch_norm,
    _aten.native_layer_norm,
    _aten.native_group_norm,
    _aten.linalg_vector_norm,
    _aten.norm,
    _aten.sum,
    _aten.mean,
    _aten.amax,
    _aten._softmax,
    _aten.max_pool2d_with_indices,
    _aten.avg_pool2d,
    _aten._adaptive_avg_pool2d,
}
_COPIES = {_aten.clone, _aten._to_copy, _aten.copy, _aten.copy_}  # tagged pointwise, but no arithmetic


@dataclass(frozen=True, kw_only=True)
class LayerCost:
    """The cost of one layer: a module without children, a GroupNL layer, or what a block does between its children."""

    name: str  # qualified name
    type: str  # class name
    params: int  # trainable parameters
    macs: int
    elementwise: int
    activation_bytes: int  # kept for the backward pass
    output_shape: tuple[int, ...]  # of one image, without the batch axis


@dataclass(frozen=True, kw_only=True)
class Complexity:
    """The cost of a net for one image. Half of what is called FLOPs elsewhere is ``macs``."""

    params: int  # trainable parameters
    macs: int  # multiply-accumulates of convolutions and matrix products
    elementwise: int  # results of pointwise operators, inputs of norms, sums and poolings: not part of macs
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
    size = tuple(input_size)
    if len(size) != 3 or not all(isinstance(n, int) and n > 0 for n in size):
        raise ValueError(f"input_size={input_size!r}: expected (channels, height, width), positive integers")
    channels, height, width = size
    first = next(model.parameters(), None)
    device = torch.device("cpu") if first is None else first.device
    dtype = torch.float32 if first is None else first.dtype

    tracker = LayerTracker(model)
    counter = _Counter(tracker)
    shapes_only = FakeTensorMode(allow_non_fake_inputs=True)
    with _evaluation_mode(model), torch.no_grad(), tracker.watching(), shapes_only, counter:
        model(torch.empty(1, *size, device=device, dtype=dtype))
    kept = kept_for_backward(model, (channels, height, width))

    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    names = dict.fromkeys([*counter.counts, *kept])
    layers = tuple(
        LayerCost(
            name=name,
            type=type(tracker.modules[name]).__name__,
            params=_own_params(tracker.modules[name]),
            macs=counter.counts[name]["macs"],
            elementwise=counter.counts[name]["elementwise"],
            activation_bytes=kept.get(name, 0),
            output_shape=tracker.shapes.get(name, ()),
        )
        for name in names
        if any(counter.counts[name].values()) or kept.get(name, 0)
    )
    return Complexity(
        params=sum(parameter.numel() for parameter in trainable),
        macs=sum(layer.macs for layer in layers),
        elementwise=sum(layer.elementwise for layer in layers),
        activation_bytes=sum(layer.activation_bytes for layer in layers),
        gradient_bytes=sum(parameter.numel() * parameter.element_size() for parameter in trainable),
        layers=layers,
    )


class _Counter(TorchDispatchMode):
    """Books every operator on the layer that is running."""

    def __init__(self, tracker: LayerTracker) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        self._tracker = tracker
        self.counts: defaultdict[str, dict[str, int]] = defaultdict(lambda: {"macs": 0, "elementwise": 0})

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        packet = func._overloadpacket
        out = func(*args, **kwargs)
        counts = self.counts[self._tracker.current]
        if packet in flop_registry:
            counts["macs"] += flop_registry[packet](*args, **kwargs, out_val=out) // 2
        elif packet in _PER_INPUT_ELEMENT:
            counts["elementwise"] += cast(Tensor, args[0]).numel()
        elif torch.Tag.pointwise in func.tags and packet not in _COPIES and isinstance(out, Tensor):
            counts["elementwise"] += out.numel()
        return out


def _own_params(module: nn.Module) -> int:
    # a block that is booked for what it does between its children owns its direct parameters only
    parameters = module.parameters(recurse=isinstance(module, GroupNLConv2d))
    return sum(parameter.numel() for parameter in parameters if parameter.requires_grad)


@contextmanager
def _evaluation_mode(model: nn.Module) -> Iterator[None]:
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
