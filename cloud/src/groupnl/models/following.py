"""What a convolution's output goes through next, read from the net's code by symbolic tracing."""

import copy
import inspect
from collections.abc import Collection

from torch import Tensor, fx, nn

from groupnl.models.planning import is_channel_norm
from groupnl.nn import GhostConv2d, SeededLayer

_CONVOLUTIONS = (nn.Conv2d, SeededLayer, GhostConv2d)
_MIXES_CHANNELS = (nn.modules.conv._ConvNd, nn.Linear, SeededLayer, GhostConv2d)
_OTHER_NORMS = (nn.GroupNorm, nn.LayerNorm)


def following(model: nn.Module) -> dict[str, tuple[str, ...]]:
    """Which modules the output of each convolution goes through, one after another.

    A chain goes on as long as a result has one consumer and that consumer is a module with no other input: norms,
    activations, dropout, poolings, identities. It ends with the next module that mixes channels (a convolution or a
    linear layer), or before any other operation: an addition, ``cat``, ``flatten``, ``F.relu``. A convolution that is
    called several times has the chain that its calls share.

    Nothing is computed and the net is not touched: a copy without values, without hooks, is traced by ``torch.fx``.
    What cannot be traced (Python branches on tensors, lists of images) is left out as narrowly as possible: the rest
    of the net, and the blocks inside it, are traced alone; a chain then may end at such a border.

    Args:
        model: Any net.

    Returns:
        Qualified name of a convolution to the qualified names after it. () where its output goes into something else
        at once; a convolution that no trace reached is absent: nothing is known of it.
    """
    chains: dict[str, tuple[str, ...]] = {}
    _explore(model, "", chains)
    return chains


def _explore(block: nn.Module, prefix: str, chains: dict[str, tuple[str, ...]]) -> set[str]:
    """Trace a block; where that fails, first what it holds, and then the block around what stays closed.

    Returns:
        Names inside ``block`` that no trace can enter; "" is the block itself.
    """
    graph = _trace(block, ())
    closed: set[str] = set()
    if graph is None:
        for name, child in block.named_children():
            if not _is_unit(child):
                inside = _explore(child, f"{prefix}{name}.", chains)
                closed |= {f"{name}.{inner}" if inner else name for inner in inside}
        graph = _trace(block, closed) if closed else None
    if graph is None:
        return {*closed, ""}
    for name, chain in _chains(block, graph, closed).items():
        chains[prefix + name] = tuple(prefix + link for link in chain)
    return closed


class _Tracer(fx.Tracer):
    """Goes into every module but those that do one thing, and those that are said to be closed."""

    def __init__(self, closed: Collection[str]) -> None:
        super().__init__()
        self._closed = closed

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return module_qualified_name in self._closed or _is_unit(m) or super().is_leaf_module(m, module_qualified_name)


def _is_unit(module: nn.Module) -> bool:
    """Whether a module does one thing, with its parts together: timm's norms hold an activation, hard swish a ReLU."""
    if isinstance(module, _CONVOLUTIONS) or _is_norm(module):
        return True
    inside = [part for part in module.modules() if part is not module]
    if isinstance(module, (nn.Sequential, nn.ModuleList, nn.ModuleDict)):
        return not inside
    return not any(isinstance(part, _MIXES_CHANNELS) or _is_norm(part) for part in inside)


def _is_norm(module: nn.Module) -> bool:
    return is_channel_norm(module) or isinstance(module, _OTHER_NORMS)


def _trace(block: nn.Module, closed: Collection[str]) -> fx.Graph | None:
    """The block's graph, or None where it cannot be traced."""
    try:
        twin = _twin(block)
        arguments = inspect.signature(twin.forward).parameters.values()
        defaults = {a.name: a.default for a in arguments if a.default is not inspect.Parameter.empty}
        return _Tracer(closed).trace(twin, concrete_args=defaults)
    except Exception:  # any code may run here, and may fail in any way on values that are not there
        return None


def _twin(block: nn.Module) -> nn.Module:
    """A copy whose tensors have no values and which has no hooks: code that writes to it changes nothing."""
    bare: dict[int, object] = {}
    for module in block.modules():
        for held in (module._parameters, module._buffers, vars(module)):
            for tensor in held.values():
                if isinstance(tensor, nn.Parameter):
                    bare[id(tensor)] = nn.Parameter(tensor.detach().to("meta"), tensor.requires_grad)
                elif isinstance(tensor, Tensor):
                    bare[id(tensor)] = tensor.detach().to("meta")
    twin = copy.deepcopy(block, bare)
    for module in twin.modules():
        module._forward_hooks.clear()
        module._forward_pre_hooks.clear()
    return twin


def _chains(block: nn.Module, graph: fx.Graph, closed: Collection[str]) -> dict[str, tuple[str, ...]]:
    modules = dict(block.named_modules())
    chains: dict[str, tuple[str, ...]] = {}
    for node in graph.nodes:
        if node.op == "call_module" and isinstance(modules[node.target], _CONVOLUTIONS):
            chain = _chain(node, modules, closed)
            chains[node.target] = _shared(chains[node.target], chain) if node.target in chains else chain
    return chains


def _chain(node: fx.Node, modules: dict[str, nn.Module], closed: Collection[str]) -> tuple[str, ...]:
    names: list[str] = []
    while len(node.users) == 1:
        (user,) = node.users
        if user.op != "call_module" or user.target in closed or user.all_input_nodes != [node]:
            break
        name = str(user.target)
        names.append(name)
        if isinstance(modules[name], _MIXES_CHANNELS):
            break
        node = user
    return tuple(names)


def _shared(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    length = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    return one[:length]
