"""Rebuilds the fixed values of a bundle's GroupNL layers: what a seed determines is not shipped."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groupnl_device.errors import InvalidManifestError
from groupnl_device.manifest import ExplicitPairs, Layer
from groupnl_device.nlf import channel_constants, channel_map, draw_pairs

Array = NDArray[Any]


def layer_constants(layer: Layer, weights: Mapping[str, Array]) -> dict[str, Array]:
    """Every constant that a graph may use for this layer; G = out_channels - seed_channels.

    Args:
        layer: The layer's description.
        weights: Tensors by name, in which explicit pairs are looked up.

    Returns:
        ``period`` and ``shift``: float32, shape (G, 1, 1); ``source``: int64, shape (G,).

    Raises:
        InvalidManifestError: Explicit pairs that are absent, or of another shape or dtype.
    """
    if isinstance(layer.pairs, ExplicitPairs):
        period = _explicit(layer, weights, layer.pairs.period)
        shift = _explicit(layer, weights, layer.pairs.shift)
    else:
        period, shift = draw_pairs(
            nlf=layer.nlf,
            nl_groups=layer.nl_groups,
            copies=layer.copies,
            seed=layer.pairs.seed,
            key=layer.pairs.key,
            period_range=layer.pairs.period_range,
            shift_range=layer.pairs.shift_range,
        )
    wide_period, wide_shift = channel_constants(
        period,
        shift,
        nlf=layer.nlf,
        normalize=layer.normalize,
        seed_channels=layer.seed_channels,
        out_channels=layer.out_channels,
    )
    source, _ = channel_map(
        seed_channels=layer.seed_channels,
        out_channels=layer.out_channels,
        nl_groups=layer.nl_groups,
        copies=layer.copies,
    )
    return {"period": wide_period.reshape(-1, 1, 1), "shift": wide_shift.reshape(-1, 1, 1), "source": source}


def rebuild(layers: Iterable[Layer], weights: Mapping[str, Array]) -> dict[str, Array]:
    """The constants of all layers by the name of the graph's initializer that they fill.

    Raises:
        InvalidManifestError: See :func:`layer_constants`; or a name that is among the weights already.
    """
    filled: dict[str, Array] = {}
    for layer in layers:
        if not layer.initializers:
            continue
        constants = layer_constants(layer, weights)
        for role, name in layer.initializers.items():
            if name in weights:
                raise InvalidManifestError(f"layer {layer.name!r}: {name!r} is shipped and rebuilt, it must be one")
            filled[name] = constants[role]
    return filled


def _explicit(layer: Layer, weights: Mapping[str, Array], name: str) -> NDArray[np.float32]:
    expected = (layer.nl_groups, layer.copies)
    found = weights.get(name)
    if found is None or found.dtype != np.float32 or found.shape != expected:
        given = "absent" if found is None else f"{found.dtype} of shape {found.shape}"
        raise InvalidManifestError(
            f"layer {layer.name!r}: explicit pairs {name!r}: {given}, expected float32 of shape {expected}"
        )
    return found
