"""What a convolution's output goes through next, read from the net's code by symbolic tracing."""

import copy
import inspect
from collections.abc import Collection
from dataclasses import dataclass

from torch import Tensor, fx, nn

from groupnl.nn.channel_norm import is_channel_norm
from groupnl.nn.ghost_conv import GhostConv2d
from groupnl.nn.seeded import SeededLayer

_CONVOLUTIONS = (nn.Conv2d, SeededLayer, GhostConv2d)
_MIXES_CHANNELS = (nn.modules.conv._ConvNd, nn.Linear, SeededLayer, GhostConv2d)
_OTHER_NORMS = (nn.GroupNorm, nn.LayerNorm)
_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


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
    for part in _explore(model):
        for name, chain in _chains(part).items():
            chains[part.prefix + name] = tuple(part.prefix + link for link in chain)
    return chains


def sole_norms(model: nn.Module) -> dict[str, str]:
    """Which norm alone reads a convolution's output, where that norm reads nothing else, in all calls of both.

    Stricter than :func:`following`: the two can be made one without a change of the result. Norms that
    :func:`groupnl.nn.channel_norm.is_channel_norm` does not know are left out; so are convolutions and norms whose
    parameters the code reads itself, and neighbours in an ``nn.Sequential`` whose caller could not be traced: it may go
    through its modules one by one.

    Args:
        model: Any net; not changed.

    Returns:
        Qualified name of a convolution, or of a layer in its place, to that of the norm.
    """
    norms: dict[str, str] = {}
    for part in _explore(model):
        for conv, norm in _sole_norms(part).items():
            norms.pop(part.prefix + conv, None)  # what holds around a block overrules what it looked like inside
            if norm:
                norms[part.prefix + conv] = part.prefix + norm
    return norms


@dataclass(frozen=True, kw_only=True)
class _Part:
    """A block that was traced."""

    prefix: str  # "" or its name and a dot
    modules: dict[str, nn.Module]
    graph: fx.Graph
    closed: Collection[str]  # names inside that the trace did not enter
    is_container: bool  # what it holds may also be called one by one


def _explore(model: nn.Module) -> list[_Part]:
    """The net in as few traces as possible; what lies around a part comes later in the list and knows more."""
    parts: list[_Part] = []
    _explore_block(model, "", parts)
    return parts


def _explore_block(block: nn.Module, prefix: str, parts: list[_Part]) -> set[str]:
    """Trace a block; where that fails, first what it holds, and then the block around what stays closed.

    Returns:
        Names inside ``block`` that no trace can enter; "" is the block itself.
    """
    graph = _trace(block, ())
    closed: set[str] = set()
    if graph is None:
        for name, child in block.named_children():
            if not _is_unit(child):
                inside = _explore_block(child, f"{prefix}{name}.", parts)
                closed |= {f"{name}.{inner}" if inner else name for inner in inside}
        graph = _trace(block, closed) if closed else None
    if graph is None:
        return {*closed, ""}
    is_container = prefix != "" and type(block) in _CONTAINERS
    modules = dict(block.named_modules())
    parts.append(_Part(prefix=prefix, modules=modules, graph=graph, closed=closed, is_container=is_container))
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
    if isinstance(module, _CONTAINERS):
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


def _chains(part: _Part) -> dict[str, tuple[str, ...]]:
    chains: dict[str, tuple[str, ...]] = {}
    for name, nodes in _calls(part).items():
        if isinstance(part.modules[name], _CONVOLUTIONS):
            for node in nodes:
                chain = _chain(node, part)
                chains[name] = _shared(chains[name], chain) if name in chains else chain
    return chains


def _calls(part: _Part) -> dict[str, list[fx.Node]]:
    calls: dict[str, list[fx.Node]] = {}
    for node in part.graph.nodes:
        if node.op == "call_module":
            calls.setdefault(node.target, []).append(node)
    return calls


def _chain(node: fx.Node, part: _Part) -> tuple[str, ...]:
    names: list[str] = []
    while len(node.users) == 1:
        (user,) = node.users
        if user.op != "call_module" or user.target in part.closed or user.all_input_nodes != [node]:
            break
        name = str(user.target)
        names.append(name)
        if isinstance(part.modules[name], _MIXES_CHANNELS):
            break
        node = user
    return tuple(names)


def _shared(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    length = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    return one[:length]


def _sole_norms(part: _Part) -> dict[str, str]:
    """Each convolution that the part calls, and its norm; empty: it has none."""
    calls = _calls(part)
    opened = [str(node.target) for node in part.graph.nodes if node.op == "get_attr"]
    found: dict[str, str] = {}
    for name, chain in _chains(part).items():
        norm = chain[0] if chain else ""
        is_opened = any(tensor.startswith((f"{name}.", f"{norm}.")) for tensor in opened)
        known = norm and is_channel_norm(part.modules[norm]) and not is_opened
        within_reach = part.is_container and "." not in name
        alone = known and {source for node in calls[norm] for source in node.all_input_nodes} == set(calls[name])
        found[name] = norm if alone and not within_reach else ""
    return found
