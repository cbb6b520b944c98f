"""fuse_for_inference_(): give a trained net's batch norms to the layers before them, in place, changing no answer."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeVar, cast

import torch
from timm.layers.conv2d_same import Conv2dSame
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from groupnl.nn.channel_norm import evaluation_affine, is_channel_norm
from groupnl.nn.following import sole_norms
from groupnl.nn.fused import FoldedNorm, FusedLayer
from groupnl.nn.ghost_conv import GhostConv2d
from groupnl.nn.groupnl_conv import GroupNLConv2d
from groupnl.nn.mono_conv import MonoConv2d
from groupnl.nn.sinefm_conv import SineFMConv2d
from groupnl.nn.sparse_conv import SparseConv2d

Form = Literal["weights", "affine"]
_Layer = TypeVar("_Layer", bound=nn.Module)
# subclasses with an arithmetic of their own may not scale with their weights
_LINEAR = (nn.Conv2d, SparseConv2d, Conv2dSame)


@dataclass(frozen=True, kw_only=True)
class Folded:
    """One batch norm whose work a layer does now."""

    norm: str
    into: str  # the layer
    form: Form  # in its weights; or a scale and a bias for each channel of its result


@dataclass(frozen=True, kw_only=True)
class Kept:
    """One batch norm that stays."""

    norm: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class FusionReport:
    """What a fusion did. ``print(report)`` shows it in a few lines."""

    folded: tuple[Folded, ...]
    kept: tuple[Kept, ...]
    made_plain: tuple[str, ...]  # MonoConv2d layers that became plain convolutions, their filters made once

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)

    def __str__(self) -> str:
        forms = Counter(row.form for row in self.folded)
        lines = [f"folded {len(self.folded)} of {len(self.folded) + len(self.kept)} batch norms"]
        lines += [f"  {forms['weights']} into weights"] if forms["weights"] else []
        lines += [f"  {forms['affine']} into a scale and a bias with the layer's last step"] if forms["affine"] else []
        lines += [f"  kept {count} x {reason}" for reason, count in Counter(row.reason for row in self.kept).items()]
        lines += [f"  {len(self.made_plain)} MonoConv2d became plain convolutions"] if self.made_plain else []
        return "\n".join(lines)


def fuse_for_inference_(model: nn.Module) -> FusionReport:
    """Fold each batch norm into the layer before it, in place; the net answers as before, up to rounding.

    - Behind a plain convolution, or a GroupNL layer with ``reduction=1``: into its weights.
    - Behind any other layer (GroupNL, Ghost, SineFM, convolutions that rework their weights): into a scale and a bias
      for each channel, applied with the layer's last step. See :class:`groupnl.nn.fused.FusedLayer`.
    - Norms inside GroupNL, Ghost and SineFM layers: into the layers' own convolutions. Mono layers become plain
      convolutions.

    A norm stays where the result would change or nothing is known: where something else reads the convolution or goes
    into the norm, where either has several places in the net, hooks or parametrizations, where the norm has no running
    statistics, where the net's code cannot be traced. The report says why.

    The fused net is for inference alone. ``train()`` raises; ``state_dict()`` has the fused weights, which fit nets
    fused the same way only, and loading those of a net with batch norms is an error. So keep the trained net's
    checkpoint: :func:`groupnl.save` refuses a fused net. A fused net can be fused again: nothing is left to do.

    Args:
        model: Any net in evaluation mode, with values (not on ``meta``).

    Returns:
        What was folded, what was kept and why.

    Raises:
        ValueError: The net is in training mode, or has no values; it is as it was.
    """
    if model.training:
        raise ValueError("the net is in training mode: call model.eval() first; a fused net cannot be trained again")
    if any(tensor.is_meta for tensor in (*model.parameters(), *model.buffers())):
        raise ValueError("the net has tensors without values (device 'meta'): load its weights first")
    made_plain = _make_plain(model)
    places = Counter(module for _, module in model.named_modules(remove_duplicate=False))
    folded: list[Folded] = []
    reasons: dict[str, str] = {}
    for prefix, layer in _named(model, GroupNLConv2d).items():
        try:
            if fold_seed_norm_(layer, places):
                folded.append(Folded(norm=f"{prefix}seed_norm", into=f"{prefix}seed_conv", form="weights"))
        except ValueError as error:
            reasons[f"{prefix}seed_norm"] = str(error)
    for prefix, block in {"": model, **_named(model, GhostConv2d)}.items():
        _fold_pairs(prefix, block, places, folded, reasons)
    for prefix, sinusoids in _named(model, SineFMConv2d).items():
        _fold_sinefm_norms(prefix, sinusoids, places, folded, reasons)
    kept = [
        Kept(norm=name, reason=reasons.get(name, "nothing shows that it alone reads one convolution"))
        for name, module in model.named_modules()
        if is_channel_norm(module)
    ]
    return FusionReport(folded=tuple(folded), kept=tuple(kept), made_plain=made_plain)


def fold_seed_norm_(layer: GroupNLConv2d, places: Counter[nn.Module] | None = None) -> bool:
    """Fold the norm of ``normalize="batch"`` into the layer's seed convolution; the layer is for inference alone then.

    Args:
        layer: In evaluation mode.
        places: How often the net holds each module, where that is known.

    Returns:
        Whether there was one.

    Raises:
        ValueError: The norm must stay; the message says why.
    """
    norm, conv = layer.seed_norm, layer.seed_conv
    if norm is None or isinstance(norm, FoldedNorm):
        return False
    scale, bias = _affine(norm, conv, Counter() if places is None else places)
    if type(conv) not in _LINEAR:
        raise ValueError(f"its seed convolution is a {type(conv).__name__}, which may not scale with its weights")
    _scale_filters(conv, scale * layer.seed_scale, bias * layer.seed_scale)
    layer.seed_norm, layer.seed_scale = FoldedNorm(nn.Sequential()), 1.0
    return True


def _named(model: nn.Module, kind: type[_Layer]) -> dict[str, _Layer]:
    """The layers of a kind, by the prefix that names of their parts have."""
    return {f"{name}." if name else "": layer for name, layer in model.named_modules() if isinstance(layer, kind)}


def _make_plain(model: nn.Module) -> tuple[str, ...]:
    """Exchange the MonoConv2d for plain convolutions, which need not make their filters anew."""
    names: dict[MonoConv2d, list[str]] = {}
    for name, module in model.named_modules(remove_duplicate=False):
        if isinstance(module, MonoConv2d) and name and not _why_touched([module], Counter()):
            names.setdefault(module, []).append(name)
    for layer, held_as in names.items():
        plain = layer.as_conv2d()
        for name in held_as:
            model.set_submodule(name, plain)
    return tuple(held_as[0] for held_as in names.values())


def _fold_pairs(
    prefix: str, block: nn.Module, places: Counter[nn.Module], folded: list[Folded], reasons: dict[str, str]
) -> None:
    """Fold every norm that alone reads a convolution of the block, or note why not."""
    for name, norm_name in sole_norms(block).items():
        conv, norm = block.get_submodule(name), block.get_submodule(norm_name)
        try:
            scale, bias = _affine(norm, conv, places)
        except ValueError as error:
            reasons[prefix + norm_name] = str(error)
            continue
        linear = conv.seed_conv if isinstance(conv, GroupNLConv2d) and conv.copies == 0 else conv
        form: Form = "weights" if type(linear) in _LINEAR else "affine"
        if form == "weights":
            _scale_filters(cast(nn.Conv2d, linear), scale, bias)
        else:
            mean = norm.get_buffer("running_mean")
            at_least_single = mean.to(torch.promote_types(mean.dtype, torch.float32))
            block.set_submodule(name, FusedLayer(conv, scale.to(at_least_single), bias.to(at_least_single)))
        block.set_submodule(norm_name, FoldedNorm(_activation(norm)))
        folded.append(Folded(norm=prefix + norm_name, into=prefix + name, form=form))


def _affine(norm: nn.Module, conv: nn.Module, places: Counter[nn.Module]) -> tuple[Tensor, Tensor]:
    """The norm's scale and bias, or a ValueError that says why the norm must stay."""
    if reason := _why_touched([norm, conv], places):
        raise ValueError(f"it or the convolution before it {reason}")
    return evaluation_affine(norm)


def _why_touched(modules: Sequence[nn.Module], places: Counter[nn.Module]) -> str:
    """What else works through these modules; empty: nothing."""
    for part in (part for module in modules for part in module.modules()):
        if places[part] > 1:
            return "has several places in the net"
        if part._forward_hooks or part._forward_pre_hooks:  # old weight norm and pruning work through them
            return "has hooks, which would see something else"
        if is_parametrized(part):
            return "has parametrizations: remove them first"
    return ""


def _scale_filters(conv: nn.Conv2d, scale: Tensor, bias: Tensor) -> None:
    """Let a convolution compute ``scale * conv(x) + bias``; in float64, rounded once."""
    trainable = conv.weight.requires_grad
    before = torch.zeros_like(bias) if conv.bias is None else conv.bias.detach().cpu().double()
    weight = conv.weight.detach().cpu().double() * scale.reshape(-1, 1, 1, 1)
    conv.weight = nn.Parameter(weight.to(conv.weight), requires_grad=trainable)
    conv.bias = nn.Parameter((scale * before + bias).to(conv.weight), requires_grad=trainable)


def _activation(norm: nn.Module) -> nn.Sequential:
    """What a norm holds besides its statistics, in order: timm's an activation."""
    return nn.Sequential(*(part for part in norm.children() if not isinstance(part, nn.Identity))).eval()


def _fold_sinefm_norms(
    prefix: str, layer: SineFMConv2d, places: Counter[nn.Module], folded: list[Folded], reasons: dict[str, str]
) -> None:
    """Fold the norms of the sinusoids into the 1x1 convolution that mixes them, all or none."""
    mix = layer.mix
    norms = {f"{prefix}norms.{k}": norm for k, norm in enumerate(layer.norms) if is_channel_norm(norm)}
    try:
        affine = [_affine(norm, mix, places) for norm in norms.values()]
    except ValueError as error:
        reasons.update(dict.fromkeys(norms, str(error)))
        return
    if not affine:
        return
    each = mix.out_channels // mix.groups  # outputs of a seed map; their inputs are its sinusoids
    scale, bias = (torch.stack(part, dim=1).repeat_interleave(each, dim=0) for part in zip(*affine, strict=True))
    weight, trainable = mix.weight.detach().cpu().double()[:, :, 0, 0], mix.weight.requires_grad
    mix.bias = nn.Parameter((weight * bias).sum(dim=1).to(mix.weight), requires_grad=trainable)
    mix.weight = nn.Parameter((weight * scale)[:, :, None, None].to(mix.weight), requires_grad=trainable)
    layer.norms = nn.ModuleList(FoldedNorm(nn.Sequential()) for _ in norms).eval()
    folded += [Folded(norm=norm, into=f"{prefix}mix", form="weights") for norm in norms]
