"""The named policies: which convolutions become GroupNL layers. The rules are those of the published models."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from timm.layers.conv2d_same import Conv2dSame
from torch import nn

from groupnl.models.edit import Edit, Policy
from groupnl.nn import GroupNLConv2d
from groupnl_device.nlf import NLF, Normalize, Range

_REPLACEABLE = (nn.Conv2d, Conv2dSame)  # subclasses with an arithmetic of their own would lose it


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
        padding = (0, 0) if isinstance(conv, Conv2dSame) else conv.padding
        layer = GroupNLConv2d(
            conv.in_channels,
            conv.out_channels,
            _pair(conv.kernel_size),
            _pair(conv.stride),
            padding if isinstance(padding, str) else _pair(padding),
            _pair(conv.dilation),
            1,
            conv.bias is not None,
            conv.padding_mode,
            conv.weight.device,
            conv.weight.dtype,
            reduction=self.reduction,
            nl_groups=self.nl_groups,
            sparse=sparse,
            nlf=self.nlf,
            period_range=self.period_range,
            shift_range=self.shift_range,
            normalize=self.normalize,
            seed=self.seed,
            key=name,
        )
        if isinstance(conv, Conv2dSame):
            layer.seed_conv = Conv2dSame(
                conv.in_channels,
                layer.seed_channels,
                _pair(conv.kernel_size),
                _pair(conv.stride),
                dilation=_pair(conv.dilation),
                groups=layer.seed_conv.groups,
                bias=conv.bias is not None,
                device=conv.weight.device,
                dtype=conv.weight.dtype,
            )
        _keep_weights(conv, layer.seed_conv)
        layer.train(conv.training)
        layer.requires_grad_(conv.weight.requires_grad)
        return layer


@dataclass(frozen=True, kw_only=True)
class StandardPolicy(_GroupNLOptions):
    """3x3 stride-1 convolutions, but not the net's first one: basic blocks, as in ResNet-18 and ResNet-34."""

    def plan(self, model: nn.Module) -> list[Edit]:
        """See :class:`groupnl.models.edit.Policy`."""
        return _plan(model, _why_not_standard, lambda conv, name: self._layer(conv, name, sparse=False))


@dataclass(frozen=True, kw_only=True)
class SparseBottleneckPolicy(_GroupNLOptions):
    """The 3x3 stride-1 convolution between the two 1x1 ones of a bottleneck block, sparse: ResNet-50 and ResNet-101."""

    def plan(self, model: nn.Module) -> list[Edit]:
        """See :class:`groupnl.models.edit.Policy`."""
        middles = set(_bottleneck_middles(model))

        def why_not(name: str, conv: nn.Conv2d, is_first: bool) -> str:
            reason = _why_not_standard(name, conv, is_first)
            return reason or ("" if name in middles else "not between the two 1x1 convolutions of a bottleneck block")

        return _plan(model, why_not, lambda conv, name: self._layer(conv, name, sparse=True))


@dataclass(frozen=True, kw_only=True)
class SparseDepthwisePolicy(_GroupNLOptions):
    """Every depthwise convolution, sparse: MobileNets, EfficientNets. At reduction 2 a seed map sees two inputs."""

    def plan(self, model: nn.Module) -> list[Edit]:
        """See :class:`groupnl.models.edit.Policy`."""

        def why_not(_name: str, conv: nn.Conv2d, _is_first: bool) -> str:
            is_depthwise = conv.groups == conv.in_channels == conv.out_channels and conv.groups > 1
            return "" if is_depthwise else f"groups={conv.groups} of {conv.in_channels} channels: not depthwise"

        return _plan(model, why_not, lambda conv, name: self._layer(conv, name, sparse=True))


POLICIES: dict[str, Callable[..., Policy]] = {
    "standard": StandardPolicy,
    "sparse_bottleneck": SparseBottleneckPolicy,
    "sparse_depthwise": SparseDepthwisePolicy,
}


def _plan(
    model: nn.Module,
    why_not: Callable[[str, nn.Conv2d, bool], str],
    replace: Callable[[nn.Conv2d, str], GroupNLConv2d],
) -> list[Edit]:
    edits = []
    for index, (names, conv) in enumerate(_convolutions(model)):
        name = names[0]
        reason = _why_untouchable(conv) or why_not(name, conv, index == 0)
        if not reason:
            try:
                layer = replace(conv, name)
            except ValueError as error:  # S < g, for instance: the layer's own message says it best
                reason = str(error)
            else:
                if layer.sparse and layer.seed_conv.groups == 1:
                    reason = f"gcd({conv.in_channels}, {layer.seed_channels}) = 1: nothing would be sparse"
        edits.append(
            Edit(target=name, reason=reason) if reason else Edit(target=name, modules=dict.fromkeys(names, layer))
        )
    return edits


def _convolutions(model: nn.Module) -> Iterator[tuple[list[str], nn.Conv2d]]:
    """Each convolution once, with all the names under which the net holds it."""
    names: dict[int, list[str]] = {}
    found: list[nn.Conv2d] = []
    for name, module in model.named_modules(remove_duplicate=False):
        if isinstance(module, nn.Conv2d):
            if id(module) not in names:
                found.append(module)
            names.setdefault(id(module), []).append(name)
    for conv in found:
        yield names[id(conv)], conv


def _why_untouchable(conv: nn.Conv2d) -> str:
    if type(conv) not in _REPLACEABLE:
        return f"{type(conv).__name__}, a convolution with an arithmetic of its own"
    if conv._forward_hooks or conv._forward_pre_hooks:  # weight norm and pruning work through them
        return "has hooks, which would be lost"
    return ""


def _why_not_standard(_name: str, conv: nn.Conv2d, is_first: bool) -> str:
    if tuple(conv.kernel_size) != (3, 3):
        return f"kernel {'x'.join(map(str, conv.kernel_size))}, not 3x3"
    if tuple(conv.stride) != (1, 1):
        return f"stride {'x'.join(map(str, conv.stride))}, not 1"
    if conv.groups != 1:
        return f"groups={conv.groups}: already a grouped convolution"
    return "the net's first convolution (stem)" if is_first else ""


def _bottleneck_middles(model: nn.Module) -> Iterator[str]:
    """Names of the convolutions that stand, among their block's own convolutions, as 1x1, this, 1x1."""
    for prefix, block in model.named_modules():
        children = [(name, child) for name, child in block.named_children() if isinstance(child, nn.Conv2d)]
        for (_, before), (name, _), (_, after) in zip(children, children[1:], children[2:], strict=False):
            if tuple(before.kernel_size) == tuple(after.kernel_size) == (1, 1):
                yield f"{prefix}.{name}" if prefix else name


def _keep_weights(conv: nn.Conv2d, seed_conv: nn.Conv2d) -> None:
    """Let the seed filters start as the convolution's first ones, so that they keep its initialisation or training.

    A sparse seed filter takes the weights of the inputs that it sees; from a depthwise convolution, those inputs' own
    filters.
    """
    with torch.no_grad():
        seeds, inputs = seed_conv.weight.shape[:2]
        first_input = torch.arange(seeds) // (seeds // seed_conv.groups) * inputs
        channels = first_input[:, None] + torch.arange(
            inputs
        )  # (S, inputs): which input channels each seed filter sees
        is_dense = conv.groups == 1
        filters = conv.weight[torch.arange(seeds)[:, None], channels] if is_dense else conv.weight[channels, 0]
        seed_conv.weight.copy_(filters)
        if seed_conv.bias is not None and conv.bias is not None:
            seed_conv.bias.copy_(conv.bias[:seeds])


def _pair(size: tuple[int, ...]) -> tuple[int, int]:
    return size[0], size[1]
