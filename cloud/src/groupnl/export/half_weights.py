"""Weights in float16, half the bytes on the way: the device widens them at load, and the graph stays in float32."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from groupnl.export.forms import Form
from groupnl_device.onnxruntime_adapter import HALF

_ROUNDING = 2.0**-11  # of the largest value: what float16 may be off by where its exponents reach


def in_half(form: Form, weights: str, kept: Collection[str]) -> Form:
    """A float32 form with its weights in float16; it carries the form it was made of as ``unrounded``.

    Args:
        form: Its graph computes in float32.
        weights: Which of its entries holds the weights.
        kept: Names of tensors that stay as they are.
    """
    tensors = rounded(safetensors.numpy.load(form.entries[weights]), kept)
    serialised: bytes = safetensors.numpy.save(tensors)
    return replace(
        form,
        artifact=replace(form.artifact, precision=HALF),
        entries={**form.entries, weights: serialised},
        stand_in=None if form.stand_in is None else in_half(form.stand_in, weights, kept),
        unrounded=form,
    )


def rounded(tensors: Mapping[str, NDArray[Any]], kept: Collection[str]) -> dict[str, NDArray[Any]]:
    """The float32 tensors among these in float16, but for those which float16 has no room for.

    Such a tensor holds numbers above 65,504, or none above 6e-5, where float16 has fewer digits.

    Args:
        tensors: By name.
        kept: Names of those that stay as they are.
    """
    found = dict(tensors)
    for name, array in tensors.items():
        if array.dtype != np.float32 or array.size == 0 or name in kept:
            continue
        with np.errstate(over="ignore"):
            half = array.astype(np.float16)
            off = np.abs(half.astype(np.float32) - array).max()
        if off <= _ROUNDING * np.abs(array).max():
            found[name] = half
    return found
