"""What one GroupNL layer makes of one picture, to look at."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from groupnl.analysis.evaluation_mode import evaluation_mode
from groupnl.nn import GroupNLConv2d
from groupnl_device.nlf import NLF, channel_map

FORMULAS: dict[NLF, str] = {
    "sine": "sin(period (y - shift))",
    "gaussian": "exp(-(period (y - shift))^2)",
    "monomial": "sign(y) |y|^period",
    "legendre": "P_period(y)",
    "identity": "y",
}


@dataclass(frozen=True, kw_only=True)
class GroupMaps:
    """What one GroupNL layer makes of one picture, for :func:`groupnl.report.draw_maps`.

    Attributes:
        layer: Qualified name.
        formula: Of the nonlinear function, for the title.
        picture: uint8, shape (H, W, 3).
        seed_maps: As the layer puts them out, normalised, float, shape (S, H', W').
        generated: float, shape (G, H', W').
        source: Which seed map each generated map comes from, shape (G,).
        pair: Its (group, copy) pair's index, shape (G,).
        period: One value a generated map, shape (G,).
        shift: One value a generated map, shape (G,).
    """

    layer: str
    formula: str
    picture: NDArray[np.uint8]
    seed_maps: NDArray[np.floating[Any]]
    generated: NDArray[np.floating[Any]]
    source: NDArray[np.integer[Any]]
    pair: NDArray[np.integer[Any]]
    period: NDArray[np.floating[Any]]
    shift: NDArray[np.floating[Any]]


def group_maps(model: nn.Module, images: Tensor, pictures: Tensor, *, layer: str) -> GroupMaps:
    """Run a net on some pictures and keep the maps of the picture whose seed maps vary most.

    Args:
        model: In any mode, which it has again afterwards; runs in ``eval()``.
        images: Normalised, as the net takes them, on its device, shape (N, 3, H, W).
        pictures: The same before normalisation, uint8, shape (N, 3, H, W).
        layer: Qualified name of a GroupNL layer that generates maps.

    Raises:
        ValueError: There is no such layer, or images and pictures differ in number.
    """
    if len(images) != len(pictures) or len(images) == 0:
        raise ValueError(f"{len(images)} images and {len(pictures)} pictures: expected one or more, as many of each")
    module = generating_layers(model, layer)[layer]
    seen: list[Tensor] = []
    handle = module.register_forward_hook(lambda _module, _inputs, output: seen.append(output.detach()))
    try:
        with evaluation_mode(model), torch.no_grad():
            model(images)
    finally:
        handle.remove()
    index = int(seen[0][:, : module.seed_channels].std(dim=(2, 3)).mean(dim=1).argmax())
    maps = seen[0][index].double().cpu().numpy()
    source, pair = channel_map(
        seed_channels=module.seed_channels,
        out_channels=module.out_channels,
        nl_groups=module.nl_groups,
        copies=module.copies,
    )
    return GroupMaps(
        layer=layer,
        formula=FORMULAS[module.nlf],
        picture=pictures[index].permute(1, 2, 0).cpu().numpy(),
        seed_maps=maps[: module.seed_channels],
        generated=maps[module.seed_channels :],
        source=source,
        pair=pair,
        period=module.period.flatten().cpu().numpy()[pair],
        shift=module.shift.flatten().cpu().numpy()[pair],
    )


def generating_layers(model: nn.Module, layer: str | None = None) -> dict[str, GroupNLConv2d]:
    """The net's GroupNL layers that generate maps, by qualified name, or the one that is named.

    Raises:
        ValueError: There is none.
    """
    layers = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, GroupNLConv2d) and module.copies > 0
    }
    if not layers:
        raise ValueError("the net has no GroupNL layer that generates maps: convert it first (groupnl.convert_)")
    if layer is None:
        return layers
    if layer not in layers:
        raise ValueError(f"layer={layer!r}: expected a GroupNL layer that generates maps, one of {', '.join(layers)}")
    return {layer: layers[layer]}
