"""The common corruptions of Hendrycks & Dietterich (ICLR 2019), batched in torch, at severities 1 to 5.

``corrupt`` is the only verb: uint8 pictures in, uint8 pictures out, a picture's random draws being a function of
(seed, corruption, severity, its index) alone. ``names`` lists what there is; each corruption lives in the file of
its kind.
"""

from groupnl.corruptions.engine import corrupt
from groupnl.corruptions.registry import (
    CORRUPTIONS,
    FAMILIES,
    SEVERITIES,
    VARIANTS,
    Corruption,
    Family,
    Selection,
    Variant,
    names,
)

__all__ = [
    "CORRUPTIONS",
    "FAMILIES",
    "SEVERITIES",
    "VARIANTS",
    "Corruption",
    "Family",
    "Selection",
    "Variant",
    "corrupt",
    "names",
]
