"""Which layer is running: so that what happens during a forward pass can be booked on it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from groupnl.nn import GhostConv2d, SeededLayer

_UNITS = (SeededLayer, GhostConv2d)  # drop-ins for one convolution: one layer, whatever they are made of


class LayerTracker:
    """Follows a forward pass through a net.

    A layer is a module without children, or a layer of ``groupnl.nn`` with all its parts. What a block does between its
    children happens in the block.

    Attributes:
        modules: By qualified name; the net itself is "".
        shapes: Output shape of every layer seen, without the batch axis.
    """

    def __init__(self, model: nn.Module) -> None:
        self.modules = dict(model.named_modules())
        self.shapes: dict[str, tuple[int, ...]] = {}
        self._names = {id(module): name for name, module in self.modules.items()}
        self._running: list[str] = []

    @property
    def current(self) -> str:
        """Qualified name of the innermost layer or block that is running."""
        return self._running[-1] if self._running else ""

    def layer_of(self, name: str) -> str:
        """The layer that a module is a part of, by qualified names: for most modules, the module itself."""
        parts = name.split(".")
        prefixes = (".".join(parts[:length]) for length in range(len(parts)))
        return next((unit for unit in prefixes if isinstance(self.modules[unit], _UNITS)), name)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Hooks on every module, for as long as the context lasts."""
        handles: list[RemovableHandle] = []
        for name, module in self.modules.items():
            if self.layer_of(name) == name:
                handles.append(module.register_forward_pre_hook(self._enter))
                handles.append(module.register_forward_hook(self._leave))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _enter(self, module: nn.Module, _: Any) -> None:
        self._running.append(self._names[id(module)])

    def _leave(self, module: nn.Module, _: Any, output: Any) -> None:
        name = self._running.pop()
        is_layer = isinstance(module, _UNITS) or not any(True for _ in module.children())
        if is_layer and isinstance(output, Tensor):
            self.shapes[name] = tuple(output.shape[1:])
