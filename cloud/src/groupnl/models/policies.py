"""The GroupNL policies: which convolutions become GroupNL layers. The first three are those of the published models."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn

from groupnl.models.edit import Edit
from groupnl.models.planning import (
    arguments_of,
    follow,
    own_convolutions,
    plan_convolutions,
    why_not_standard,
    why_untouchable,
)
from groupnl.nn import GroupNLConv2d
from groupnl_device.nlf import NLF, Normalize, Range


@dataclass(frozen=True, kw_only=True)
class _GroupNLOptions:
    reduction: int = 2  # out_channels / seed_channels; 1 is a plain Conv2d
    nl_groups: int = 4  # groups of seed maps, each with its own (period, shift) pairs
    nlf: NLF = "sine"
    period_range: Range | None = None  # None: the NLF's own
    shift_range: Range | None = None
    normalize: Normalize = "l2"
    seed: int = 0  # of the pairs; each layer's key is its qualified name

    def _layer(self, conv: nn.Conv2d, name: str, *, sparse: bool) -> GroupNLConv2d:
        layer = self._new(name, sparse=sparse, **arguments_of(conv))
        if sparse and layer.seed_conv.groups == 1:
            raise ValueError(f"gcd({conv.in_channels}, {layer.seed_channels}) = 1: nothing would be sparse")
        layer, layer.seed_conv = follow(conv, layer, layer.seed_conv)
        return layer

    def _new(self, name: str, **arguments: object) -> GroupNLConv2d:
        return GroupNLConv2d(
            **arguments,  # type: ignore[arg-type]  # collected by arguments_of
            reduction=self.reduction,
            nl_groups=self.nl_groups,
            nlf=self.nlf,
            period_range=self.period_range,
            shift_range=self.shift_range,
            normalize=self.normalize,
            seed=self.seed,
            key=name,
        )


@dataclass(frozen=True, kw_only=True)
class StandardPolicy(_GroupNLOptions):
    """3x3 stride-1 convolutions, but not the net's first one: basic blocks, as in ResNet-18 and ResNet-34."""

    def plan(self, model: nn.Module) -> list[Edit]:
        """See :class:`groupnl.models.edit.Policy`."""
        return plan_convolutions(model, why_not_standard, lambda conv, name: self._layer(conv, name, sparse=False))


@dataclass(frozen=True, kw_only=True)
class SparseBottleneckPolicy(_GroupNLOptions):
    """The 3x3 stride-1 convolution between the two 1x1 ones of a bottleneck block, sparse: ResNet-50 and ResNet-101."""

    def plan(self, model: nn.Module) -> list[Edit]:
        """See :class:`groupnl.models.edit.Policy`."""
        middles = {middle for _, middle, _ in _triples(model)}

        def why_not(name: str, conv: nn.Conv2d, is_first: bool) -> str:
            reason = why_not_standard(name, conv, is_first)
            return reason or ("" if name in middles else "not between the two 1x1 convolutions of a bottleneck block")

        return plan_convolutions(model, why_not, lambda conv, name: self._layer(conv, name, sparse=True))


@dataclass(frozen=True, kw_only=True)
class SparseDepthwisePolicy(_GroupNLOptions):
    """Every depthwise convolution, sparse: MobileNets, EfficientNets. At reduction 2 a seed map sees two inputs."""

    def plan(self, model: nn.Module) -> list[Edit]:
        """See :class:`groupnl.models.edit.Policy`."""

        def why_not(_name: str, conv: nn.Conv2d, _is_first: bool) -> str:
            return "" if _is_depthwise(conv) else f"groups={conv.groups} of {conv.in_channels} channels: not depthwise"

        return plan_convolutions(model, why_not, lambda conv, name: self._layer(conv, name, sparse=True))


@dataclass(frozen=True, kw_only=True)
class PointwisePolicy(_GroupNLOptions):
    """The 1x1 convolution before the depthwise one of an inverted residual block, as Ghost nets do. Beyond the paper.

    There lies the cost: ``sparse_depthwise`` saves no parameter and no multiply-add in such nets.
    """

    def plan(self, model: nn.Module) -> list[Edit]:
        """See :class:`groupnl.models.edit.Policy`."""
        modules = dict(model.named_modules())
        expansions = {before for before, middle, _ in _triples(model) if _is_depthwise(modules[middle])}

        def why_not(name: str, _conv: nn.Conv2d, _is_first: bool) -> str:
            return "" if name in expansions else "not the 1x1 expansion before a depthwise convolution"

        return plan_convolutions(model, why_not, lambda conv, name: self._layer(conv, name, sparse=False))


@dataclass(frozen=True, kw_only=True)
class LeanPolicy(_GroupNLOptions):
    """Inverted residual blocks at half the work: expand to C / 2, depthwise on those, generate the other half.

    Beyond the paper: half the expansion, half the depthwise arithmetic; whether accuracy holds is a measurement.
    """

    def plan(self, model: nn.Module) -> list[Edit]:
        """See :class:`groupnl.models.edit.Policy`."""
        modules = dict(model.named_modules())
        blocks = {middle: before for before, middle, _ in _triples(model) if _is_depthwise(modules[middle])}

        def why_not(name: str, _conv: nn.Conv2d, _is_first: bool) -> str:
            return "" if name in blocks else "not the depthwise convolution of an inverted residual block"

        def replace(conv: nn.Conv2d, name: str) -> GroupNLConv2d:
            arguments = arguments_of(conv)
            if conv.out_channels % self.reduction:
                raise ValueError(f"{conv.out_channels} channels do not divide by reduction={self.reduction}")
            narrow = conv.out_channels // self.reduction
            layer = self._new(name, **{**arguments, "in_channels": narrow, "groups": narrow})
            layer, layer.seed_conv = follow(conv, layer, layer.seed_conv)
            return layer

        edits = plan_convolutions(model, why_not, replace)
        return [self._with_expansion(edit, modules, blocks[edit.target]) if edit.modules else edit for edit in edits]

    def _with_expansion(self, edit: Edit, modules: dict[str, nn.Module], expansion_name: str) -> Edit:
        """The depthwise convolution's edit, widened by its expansion and the norms between the two."""
        expansion = modules[expansion_name]
        layer = edit.modules[edit.target]
        if not isinstance(expansion, nn.Conv2d) or not isinstance(layer, GroupNLConv2d):
            raise TypeError(f"{expansion_name}: {type(expansion).__name__} before {type(layer).__name__}")
        if reason := why_untouchable(expansion):
            return Edit(target=edit.target, reason=f"its expansion {expansion_name} {reason}")
        narrow = layer.in_channels
        changed: dict[str, nn.Module] = dict(edit.modules)
        changed[expansion_name] = _narrowed_conv(expansion, narrow)
        for name in _between(modules, expansion_name, edit.target):
            if isinstance(modules[name], nn.modules.batchnorm._BatchNorm):
                changed[name] = _narrowed_norm(modules[name], narrow)
        return Edit(target=edit.target, modules=changed)


def _triples(model: nn.Module) -> Iterator[tuple[str, str, str]]:
    """Names of three convolutions that follow one another among a block's own, the outer two 1x1."""
    for convs in own_convolutions(model):
        for (first, before), (middle, _), (last, after) in zip(convs, convs[1:], convs[2:], strict=False):
            if tuple(before.kernel_size) == tuple(after.kernel_size) == (1, 1):
                yield first, middle, last


def _is_depthwise(conv: nn.Module) -> bool:
    return isinstance(conv, nn.Conv2d) and conv.groups == conv.in_channels == conv.out_channels and conv.groups > 1


def _between(modules: dict[str, nn.Module], first: str, last: str) -> list[str]:
    """Names of the modules that a block holds between two of its children, in order."""
    parent = first.rpartition(".")[0]
    children = [name for name in modules if name and name.rpartition(".")[0] == parent]
    return children[children.index(first) + 1 : children.index(last)]


def _narrowed_conv(conv: nn.Conv2d, channels: int) -> nn.Conv2d:
    """A copy that keeps the first output channels."""
    narrow = copy.deepcopy(conv)
    narrow.out_channels = channels
    with torch.no_grad():
        narrow.weight = nn.Parameter(conv.weight[:channels].clone(), requires_grad=conv.weight.requires_grad)
        if conv.bias is not None:
            narrow.bias = nn.Parameter(conv.bias[:channels].clone(), requires_grad=conv.bias.requires_grad)
    return narrow


def _narrowed_norm(norm: nn.Module, channels: int) -> nn.Module:
    """A copy that keeps the first channels; timm's batch norms with an activation inside included."""
    narrow = copy.deepcopy(norm)
    setattr(narrow, "num_features", channels)  # noqa: B010  # which types know only of some norms
    with torch.no_grad():
        for name, parameter in norm.named_parameters(recurse=False):
            kept = nn.Parameter(parameter[:channels].clone(), requires_grad=parameter.requires_grad)
            setattr(narrow, name, kept)
        for name, buffer in norm.named_buffers(recurse=False):
            if buffer.dim() == 1:
                setattr(narrow, name, buffer[:channels].clone())
    return narrow
