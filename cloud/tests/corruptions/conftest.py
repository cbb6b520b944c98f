"""Pictures that the corruption tests share: noise, smooth colour, flat icons on white, grey; never square."""

import numpy as np
import pytest
import torch
from torch import Tensor


@pytest.fixture(scope="session")
def pictures() -> Tensor:
    """uint8, shape (40, 3, 27, 34)."""
    rng = np.random.default_rng(7)
    noise = rng.integers(0, 256, (10, 3, 27, 34))
    smooth = np.clip(rng.integers(20, 236, (10, 3, 1, 1)) + rng.integers(-15, 16, (10, 3, 27, 34)), 0, 255)
    icons = np.full((10, 3, 27, 34), 255)
    for icon in icons:
        for _ in range(3):
            top, left = rng.integers(0, 20, 2)
            icon[:, top : top + rng.integers(3, 12), left : left + rng.integers(3, 12)] = rng.integers(
                0, 256, (3, 1, 1)
            )
    grey = np.repeat(rng.integers(0, 256, (10, 1, 27, 34)), 3, axis=1)
    return torch.from_numpy(np.concatenate([noise, smooth, icons, grey]).astype(np.uint8))
