"""What training keeps of a forward pass until the backward pass: measured at autograd, not guessed from shapes."""

import copy

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from groupnl.analysis.tracker import LayerTracker

_BATCHES = (2, 4)  # their difference is what images cost; batch norm in training refuses a single value per channel


def kept_for_backward(model: nn.Module, size: tuple[int, int, int]) -> dict[str, int]:
    """Bytes that autograd saves for each image, by the layer that saves them first.

    What a step keeps once, whatever its batch (parameters, generated filters, statistics of norms), is left out. A
    tensor that several layers save counts once. A view counts as the memory that it keeps alive.

    Args:
        model: Any net; left as it is, since a copy without values (on the meta device) is run.
        size: (C, H, W) of one image.
    """
    twin = copy.deepcopy(model).to("meta").train()
    few, many = (_kept(twin, batch, size) for batch in _BATCHES)
    images = _BATCHES[1] - _BATCHES[0]
    return {name: (many[name] - few.get(name, 0)) // images for name in many}


def _kept(net: nn.Module, batch: int, size: tuple[int, int, int]) -> dict[str, int]:
    """Bytes that autograd saves in a step of so many images, by layer; parameters and buffers not counted."""
    own = {_storage(tensor) for tensor in (*net.parameters(), *net.buffers())}
    tracker = LayerTracker(net)
    counts: dict[str, int] = {}
    kept: dict[int, Tensor] = {}  # holds the tensors, so that no address is used twice

    def pack(tensor: Tensor) -> Tensor:
        storage = _storage(tensor)
        if storage not in own and storage not in kept:
            kept[storage] = tensor
            counts[tracker.current] = counts.get(tracker.current, 0) + tensor.untyped_storage().nbytes()
        return tensor

    dtype = next((parameter.dtype for parameter in net.parameters()), torch.float32)
    with tracker.watching(), torch.enable_grad(), saved_tensors_hooks(pack, lambda tensor: tensor):
        net(torch.empty(batch, *size, device="meta", dtype=dtype))
    return counts


def _storage(tensor: Tensor) -> int:
    address: int = tensor.untyped_storage()._cdata
    return address
