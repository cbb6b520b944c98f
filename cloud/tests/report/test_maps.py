"""The picture of a layer follows from its maps."""

import io

import numpy as np
from PIL import Image

from groupnl.report import GroupMaps, draw_maps


def maps(seed=0):
    random = np.random.default_rng(seed)
    seeds = random.normal(size=(4, 8, 8))
    period, shift = np.array([1.0, 2.0, 1.5, 1.2]), np.array([1.0, 3.0, 2.0, 5.0])
    return GroupMaps(
        layer="layer1.conv1",
        formula="sin(period (y - shift))",
        picture=random.integers(0, 256, (8, 8, 3), dtype=np.uint8),
        seed_maps=seeds,
        generated=np.sin(period[:, None, None] * (seeds - shift[:, None, None])),
        source=np.arange(4),
        pair=np.arange(4),
        period=period,
        shift=shift,
    )


def test_maps_picture():
    picture = draw_maps(maps())
    assert Image.open(io.BytesIO(picture)).size[0] > 400
    assert draw_maps(maps()) == picture
    assert draw_maps(maps(seed=1)) != picture


def test_a_constant_map_is_drawn_without_a_warning(recwarn):
    flat = maps()
    flat.generated[0] = 0.5
    assert draw_maps(flat).startswith(b"\x89PNG")
    assert not [w for w in recwarn if "divide" in str(w.message)]
