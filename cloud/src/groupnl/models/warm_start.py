"""Warm start: let the layers of a converted net make the maps that its convolutions had learned to make."""

import copy
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from groupnl.analysis.evaluation_mode import evaluation_mode
from groupnl.models.edit import Edit
from groupnl.models.from_weights import start_from_weights_
from groupnl.models.reconstruction import fit_, refit_norm_, settle_norm_
from groupnl.models.sites import Site, find_sites, is_refittable

_BATCH = 32  # images, where a calibration tensor is cut into batches


def warm_start(
    model: nn.Module, edits: Sequence[Edit], calibration: Tensor | Iterable[Tensor] | None
) -> dict[str, Tensor]:
    """Give the planned GroupNL layers weights that keep what their convolutions knew; see ``docs/conversion.md``.

    The net itself is not changed. The planned layers are: they start with the principal filters of the outputs that
    share one and, given images, are then fitted one after another, in the order in which they run, each on the inputs
    that the layers before it, converted already, give it.

    Args:
        model: The net to convert.
        edits: The plan; its new modules have no users yet.
        calibration: Normalised images (N, C, H, W), or batches of them; None: from the weights alone.

    Returns:
        What else must change with the layers: names of parameters and buffers of the net and their new values.

    Raises:
        ValueError: What replaces a convolution is no GroupNL layer, or the images are none.
    """
    batches = None if calibration is None else _batches(model, calibration)
    converted = copy.deepcopy(model)
    for edit in edits:
        for name, module in edit.modules.items():
            converted.set_submodule(name, module)
    with torch.no_grad(), evaluation_mode(model), evaluation_mode(converted):
        calls = None if batches is None else _count_calls(model, batches[0][:1])
        sites = find_sites(model, edits, calls)
        orders = start_from_weights_(model, converted, sites)
        if batches is not None and calls is not None:
            as_they_run = sorted(
                (site for site in sites if site.name in calls), key=lambda s: list(calls).index(s.name)
            )
            _fit(model, converted, as_they_run, orders, batches)
    ours = {name for edit in edits for name in edit.modules}
    touched = {name for site in sites for name in (site.norm, site.reader) if name} - ours
    return {
        f"{name}.{key}": value
        for name in sorted(touched)
        for key, value in converted.get_submodule(name).state_dict().items()
    }


def _fit(
    model: nn.Module,
    converted: nn.Module,
    sites: Sequence[Site],
    orders: dict[str, Tensor],
    batches: Sequence[Tensor],
) -> None:
    """Fit layer after layer, in the order given, each on what the converted net gives it, and refit its norm."""
    for site in sites:
        wanted = [maps for _, maps in _calls(model, site.conv, batches)]
        if site.norm:
            wanted = [_normed(model.get_submodule(site.norm), maps) for maps in wanted]
        wanted = [maps[:, orders[site.name]] for maps in wanted]
        inputs = [x for x, _ in _calls(converted, site.unit, batches)]
        if site.layer.seed_norm is not None:
            settle_norm_(site.layer.seed_norm, [maps for _, maps in _calls(converted, site.layer.seed_conv, batches)])
        fit_(site.unit, site.layer.seed_conv, list(zip(inputs, wanted, strict=True)))
        norm = converted.get_submodule(site.norm) if site.norm else None
        if is_refittable(norm):
            made = [site.unit(x) for x in inputs]
            refit_norm_(norm, list(zip(made, wanted, strict=True)))


def _normed(norm: nn.Module, maps: Tensor) -> Tensor:
    """What a batch norm makes of maps, without the activation that timm's hold."""
    if not is_refittable(norm):
        raise TypeError(f"{type(norm).__name__} is no batch norm with running statistics")
    return nn.functional.batch_norm(maps, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps)


def _count_calls(model: nn.Module, images: Tensor) -> dict[str, int]:
    """How often a forward pass calls each module, in the order of first calls."""
    counts: dict[str, int] = {}

    def count(name: str) -> None:
        counts[name] = counts.get(name, 0) + 1

    handles = [
        module.register_forward_pre_hook(lambda *_, name=name: count(name)) for name, module in model.named_modules()
    ]
    try:
        model(images)
    finally:
        for handle in handles:
            handle.remove()
    return counts


def _calls(net: nn.Module, module: nn.Module, batches: Sequence[Tensor]) -> list[tuple[Tensor, Tensor]]:
    """Input and output of every call of one module while the net runs on the batches."""
    seen: list[tuple[Tensor, Tensor]] = []
    # copies: an activation that works in place may follow
    handle = module.register_forward_hook(lambda _, inputs, output: seen.append((inputs[0].clone(), output.clone())))
    try:
        for batch in batches:
            net(batch)
    finally:
        handle.remove()
    return seen


def _batches(model: nn.Module, calibration: Tensor | Iterable[Tensor]) -> list[Tensor]:
    parameter = next(model.parameters())
    given = list(torch.split(calibration, _BATCH)) if isinstance(calibration, Tensor) else list(calibration)
    for batch in given:
        if not isinstance(batch, Tensor) or batch.dim() != 4 or not batch.is_floating_point() or not len(batch):
            what = f"{batch.dtype} of shape {tuple(batch.shape)}" if isinstance(batch, Tensor) else type(batch).__name__
            raise ValueError(f"calibration: {what}; expected normalised images, floating point, (N, C, H, W)")
        if not bool(torch.isfinite(batch).all()):
            raise ValueError("calibration: some values are not finite; expected normalised images")
    if not given:
        raise ValueError("calibration: no images; give some, or None to start from the weights alone")
    return [batch.detach().to(parameter.device, parameter.dtype) for batch in given]
