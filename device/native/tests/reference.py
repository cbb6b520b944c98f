"""The formulas of the two operators in numpy float64, written plainly: no code or trick of the library's."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def convolution(
    x: NDArray[np.float32] | Array,
    weight: NDArray[np.float32] | Array,
    bias: NDArray[np.float32] | None,
    *,
    strides: Sequence[int] = (1, 1),
    pads: Sequence[int] = (0, 0, 0, 0),
    dilations: Sequence[int] = (1, 1),
) -> Array:
    """Output map s sums the inputs m s .. m s + m - 1, pixel by pixel.

    Args:
        x: Shape (N, S m, H, W).
        weight: Shape (S, m, kH, kW).
        bias: Shape (S,).
        strides: Vertical, horizontal.
        pads: Zeros on top, left, bottom, right.
        dilations: Vertical, horizontal.

    Returns:
        Shape (N, S, H', W').
    """
    top, left, bottom, right = pads
    padded = np.pad(x.astype(np.float64), ((0, 0), (0, 0), (top, bottom), (left, right)))
    seed_channels, inputs, height, width = weight.shape
    rows = (padded.shape[2] - (height - 1) * dilations[0] - 1) // strides[0] + 1
    columns = (padded.shape[3] - (width - 1) * dilations[1] - 1) // strides[1] + 1
    y = np.zeros((len(x), seed_channels, rows, columns))
    grouped = padded.reshape(len(x), seed_channels, inputs, *padded.shape[2:])
    for row in range(rows):
        for column in range(columns):
            top_row, first_column = row * strides[0], column * strides[1]
            window = grouped[
                :,
                :,
                :,
                top_row : top_row + (height - 1) * dilations[0] + 1 : dilations[0],
                first_column : first_column + (width - 1) * dilations[1] + 1 : dilations[1],
            ]
            y[:, :, row, column] = np.einsum("nsmhw,smhw->ns", window, weight.astype(np.float64))
    return y if bias is None else y + bias.astype(np.float64)[:, None, None]


def expand(
    seed_maps: NDArray[np.float32] | Array,
    period: NDArray[np.float32],
    shift: NDArray[np.float32],
    *,
    source: NDArray[np.int64] | None = None,
    scale: NDArray[np.float32] | None = None,
    offset: NDArray[np.float32] | None = None,
    normalize: str = "l2",
    activation: str = "none",
) -> Array:
    """Norm, sine, affine and activation.

    Args:
        seed_maps: Shape (N, S, H, W).
        period: Radians per unit, shape (G,).
        shift: In units of the normalised maps, shape (G,).
        source: Seed map of each generated one, shape (G,).
        scale: Shape (S + G,).
        offset: Shape (S + G,).
        normalize: ``l2``, ``rms`` or ``none``.
        activation: ``none``, ``relu``, ``relu6`` or ``hardswish``.

    Returns:
        Shape (N, S + G, H, W).
    """
    y = seed_maps.astype(np.float64)
    if normalize != "none":
        y = y / np.maximum(np.sqrt((y * y).sum(axis=1, keepdims=True)), 1e-12)
    if normalize == "rms":
        y = y * np.sqrt(y.shape[1])
    read = y[:, : len(period)] if source is None else y[:, source]
    omega, phi = period.astype(np.float64)[:, None, None], shift.astype(np.float64)[:, None, None]
    maps = np.concatenate([y, np.sin(omega * (read - phi))], axis=1)
    if scale is not None:
        maps = maps * scale.astype(np.float64)[:, None, None]
    if offset is not None:
        maps = maps + offset.astype(np.float64)[:, None, None]
    if activation == "hardswish":
        maps = maps * np.clip(maps / 6 + 0.5, 0, 1)
    elif activation != "none":
        maps = np.clip(maps, 0, 6 if activation == "relu6" else None)
    return maps
