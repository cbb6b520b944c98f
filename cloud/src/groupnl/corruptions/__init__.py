"""The common corruptions of Hendrycks & Dietterich (ICLR 2019), batched in torch, at severities 1 to 5.

``corrupt`` is the verb: uint8 pictures in, uint8 pictures out, a picture's random draws being a function of
(seed, corruption, severity, its index) alone. ``names`` lists what there is; each corruption lives in the file of
its kind. ``RandomCorruption`` is the same as a step of a training pipeline.
"""

from groupnl.corruptions.engine import corrupt
from groupnl.corruptions.frost_photographs import FrostPhotographs, find_frost_photographs
from groupnl.corruptions.registry import (
    CORRUPTIONS,
    EXTRA,
    FAMILIES,
    SEVERITIES,
    VARIANTS,
    Corruption,
    Family,
    Selection,
    Variant,
    names,
)
from groupnl.corruptions.transform import RandomCorruption

__all__ = [
    "CORRUPTIONS",
    "EXTRA",
    "FAMILIES",
    "SEVERITIES",
    "VARIANTS",
    "Corruption",
    "Family",
    "FrostPhotographs",
    "RandomCorruption",
    "Selection",
    "Variant",
    "corrupt",
    "find_frost_photographs",
    "names",
]
