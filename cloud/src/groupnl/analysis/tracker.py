"""Which layer is running: so that what happens during a forward pass can be booked on it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from groupnl.nn import GroupNLConv2d


class LayerTracker:
    """Follows a forward pass through a net.

    A layer is a module without children or a GroupNL layer. What a block does between its children happens in the
    block.

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

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Hooks on every module, for as long as the context lasts."""
        units = [module for module in self.modules.values() if isinstance(module, GroupNLConv2d)]
        inside = {id(part) for unit in units for part in unit.modules()} - {id(unit) for unit in units}
        handles: list[RemovableHandle] = []
        for module in self.modules.values():
            if id(module) not in inside:
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
        is_layer = isinstance(module, GroupNLConv2d) or not any(True for _ in module.children())
        if is_layer and isinstance(output, Tensor):
            self.shapes[name] = tuple(output.shape[1:])
