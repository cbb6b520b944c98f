"""The GroupNL policies: which convolutions become GroupNL layers. The first three are those of the published models."""

from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn

from groupnl.models.edit import Edit
from groupnl.models.expansions import Expansion, expansions
from groupnl.models.narrowing import narrowed, narrowed_conv
from groupnl.models.planning import (
    arguments_of,
    follow,
    is_depthwise,
    names_of,
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
        middles = bottleneck_middles(model)
        elsewhere = "not between the two 1x1 convolutions of a bottleneck block"

        def why_not(name: str, conv: nn.Conv2d, is_first: bool) -> str:
            return why_not_standard(name, conv, is_first) or ("" if name in middles else elsewhere)

        edits = plan_convolutions(model, why_not, lambda conv, name: self._layer(conv, name, sparse=True))
        if not any(edit.modules for edit in edits) and any(edit.reason == elsewhere for edit in edits):
            raise ValueError(
                "policy 'sparse_bottleneck' on a net without bottleneck blocks: its 3x3 convolutions follow one "
                "another, and where both are sparse an output depends on four channels only; use 'sparse_basic', "
                "which mixes the channels first, or 'standard'"
            )
        return edits


@dataclass(frozen=True, kw_only=True)
class SparseDepthwisePolicy(_GroupNLOptions):
    """Every depthwise convolution, sparse: MobileNets, EfficientNets. At reduction 2 a seed map sees two inputs."""

    def plan(self, model: nn.Module) -> list[Edit]:
        """See :class:`groupnl.models.edit.Policy`."""

        def why_not(_name: str, conv: nn.Conv2d, _is_first: bool) -> str:
            if is_depthwise(conv):
                return ""
            return "not depthwise" if conv.groups == 1 else "grouped, but not depthwise with an output for each input"

        return plan_convolutions(model, why_not, lambda conv, name: self._layer(conv, name, sparse=True))


@dataclass(frozen=True, kw_only=True)
class PointwisePolicy(_GroupNLOptions):
    """The 1x1 expansion of an inverted residual block, before its depthwise convolution or its projection.

    Beyond the paper: there lies the cost: ``sparse_depthwise`` saves no parameter and no multiply-add in such nets.
    """

    def plan(self, model: nn.Module) -> list[Edit]:
        """See :class:`groupnl.models.edit.Policy`."""
        names = {expansion.name for expansion in expansions(model)}

        def why_not(name: str, _conv: nn.Conv2d, _is_first: bool) -> str:
            return "" if name in names else "not a 1x1 expansion before a depthwise convolution or a 1x1 projection"

        return plan_convolutions(model, why_not, lambda conv, name: self._layer(conv, name, sparse=False))


@dataclass(frozen=True, kw_only=True)
class LeanPolicy(_GroupNLOptions):
    """Inverted residual blocks at half the work: expand to C / 2, depthwise on those, generate the other half.

    Beyond the paper: half the expansion, half the depthwise arithmetic; whether accuracy holds is a measurement. What
    lies between the two must work on each channel alone: batch norms are narrowed, activations stay.
    """

    def plan(self, model: nn.Module) -> list[Edit]:
        """See :class:`groupnl.models.edit.Policy`."""
        modules = dict(model.named_modules())
        blocks = {expansion.end: expansion for expansion in expansions(model) if is_depthwise(modules[expansion.end])}

        def why_not(name: str, conv: nn.Conv2d, _is_first: bool) -> str:
            if name in blocks:
                return ""
            if is_depthwise(conv):
                return "a depthwise convolution without a 1x1 expansion right before it, norms and activations aside"
            return "not the depthwise convolution of an inverted residual block"

        def replace(conv: nn.Conv2d, name: str) -> GroupNLConv2d:
            arguments = arguments_of(conv)
            if conv.out_channels % self.reduction:
                raise ValueError(f"{conv.out_channels} channels do not divide by reduction={self.reduction}")
            narrow = conv.out_channels // self.reduction
            layer = self._new(name, **{**arguments, "in_channels": narrow, "groups": narrow})
            layer, layer.seed_conv = follow(conv, layer, layer.seed_conv)
            return layer

        edits = plan_convolutions(model, why_not, replace)
        names = names_of(model)
        return [_with_expansion(edit, blocks[edit.target], names) if edit.modules else edit for edit in edits]


def _with_expansion(edit: Edit, expansion: Expansion, names: dict[nn.Module, list[str]]) -> Edit:
    """The edit of a depthwise convolution, widened by its expansion and what lies between the two."""
    modules = {name: module for module, held_as in names.items() for name in held_as}
    conv, layer = modules[expansion.name], edit.modules[edit.target]
    if not isinstance(conv, nn.Conv2d) or not isinstance(layer, GroupNLConv2d):
        raise TypeError(f"{expansion.name}: {type(conv).__name__} before {type(layer).__name__}")
    if reason := why_untouchable(conv):
        return Edit(target=edit.target, reason=f"its expansion: {reason}")
    changed: dict[str, nn.Module] = dict(edit.modules)
    changed |= dict.fromkeys(names[conv], narrowed_conv(conv, layer.in_channels))
    for name in expansion.between:
        try:
            module = narrowed(modules[name], conv.out_channels, layer.in_channels)
        except ValueError as error:
            return Edit(target=edit.target, reason=f"between its expansion and it lies {error}")
        if module is not modules[name]:
            changed |= dict.fromkeys(names[modules[name]], module)
    if any(name in changed for name in expansion.shared):
        return Edit(target=edit.target, reason="it or its norm follows another convolution as well")
    return Edit(target=edit.target, modules=changed)


def _triples(model: nn.Module) -> Iterator[tuple[str, str, str]]:
    """Names of three convolutions that follow one another among a block's own, the outer two 1x1."""
    for convs in own_convolutions(model):
        for (first, before), (middle, _), (last, after) in zip(convs, convs[1:], convs[2:], strict=False):
            if tuple(before.kernel_size) == tuple(after.kernel_size) == (1, 1):
                yield first, middle, last


def bottleneck_middles(model: nn.Module) -> set[str]:
    """Names of the convolutions that lie between the two 1x1 ones of a block."""
    return {middle for _, middle, _ in _triples(model)}
