"""The picture that is timed."""

import numpy as np
from numpy.typing import NDArray

from groupnl_device.manifest import Manifest


def noise(manifest: Manifest) -> NDArray[np.float32]:
    """One normalised picture of fixed random pixels, shape (1, C, H, W): the time does not depend on what it shows."""
    shape = (manifest.input_shape[0] or 1, *manifest.preprocessing.input_size)
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    return manifest.preprocessing.normalize(pixels)
