"""The picture that is timed."""

import numpy as np

from groupnl_device.bundle import Bundle
from groupnl_device.noise import noise


def test_it_is_one_picture_and_the_same_every_time(bundle_bytes: bytes) -> None:
    manifest = Bundle.from_bytes(bundle_bytes).manifest
    picture = noise(manifest)
    assert (picture.dtype, picture.shape) == (np.float32, (1, 3, 6, 8))
    assert picture.std() > 0.1
    np.testing.assert_array_equal(picture, noise(manifest))
