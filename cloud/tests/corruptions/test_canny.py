import heapq
from math import atan2, degrees

import numpy as np
import pytest
import scipy.ndimage
import torch

from groupnl.corruptions.canny import CHAMFER_ONE, canny, distance_to

STEPS = [
    (dy, dx, length)
    for dy, dx, length in [
        (0, 1, 1.0), (1, 0, 1.0), (1, 1, 1.4), (1, -1, 1.4),
        (1, 2, 2.1969), (1, -2, 2.1969), (2, 1, 2.1969), (2, -1, 2.1969),
    ]
]  # fmt: skip


def slow_canny(levels: np.ndarray, low: int, high: int) -> np.ndarray:
    """Canny pixel by pixel, the direction by its angle."""
    height, width = levels.shape
    grey = levels.astype(int)
    right = scipy.ndimage.correlate(grey, [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], mode="nearest")
    down = scipy.ndimage.correlate(grey, [[-1, -2, -1], [0, 0, 0], [1, 2, 1]], mode="nearest")
    steep = np.pad(np.abs(right) + np.abs(down), 1)
    thin = np.zeros(levels.shape, bool)
    for y, x in np.ndindex(height, width):
        here = steep[y + 1, x + 1]
        slope = degrees(atan2(abs(down[y, x]), abs(right[y, x])))
        if slope < 22.5:
            is_top = here > steep[y + 1, x] and here >= steep[y + 1, x + 2]
        elif slope > 67.5:
            is_top = here > steep[y, x + 1] and here >= steep[y + 2, x + 1]
        else:
            side = -1 if (right[y, x] < 0) != (down[y, x] < 0) else 1
            is_top = here > steep[y, x + 1 - side] and here > steep[y + 2, x + 1 + side]
        thin[y, x] = is_top and here > low
    parts, _ = scipy.ndimage.label(thin, np.ones((3, 3)))
    strong = thin & (steep[1:-1, 1:-1] > high)
    return thin & np.isin(parts, parts[strong])


def slow_distance(edges: np.ndarray) -> np.ndarray:
    """Shortest paths over the chamfer steps that stay in the picture (Dijkstra)."""
    distance = np.where(edges, 0.0, np.inf)
    heap = [(0.0, int(y), int(x)) for y, x in np.argwhere(edges)]
    while heap:
        so_far, y, x = heapq.heappop(heap)
        if so_far > distance[y, x]:
            continue
        for dy, dx, length in STEPS:
            for sign in (-1, 1):
                to_y, to_x = y + sign * dy, x + sign * dx
                if 0 <= to_y < edges.shape[0] and 0 <= to_x < edges.shape[1]:
                    farther = so_far + length
                    if farther < distance[to_y, to_x] - 1e-9:
                        distance[to_y, to_x] = farther
                        heapq.heappush(heap, (farther, to_y, to_x))
    return distance


def blots(seed: int, size: tuple[int, int], sigma: float) -> np.ndarray:
    """Smooth blots on black, as spatter makes them."""
    rng = np.random.default_rng(seed)
    smooth = scipy.ndimage.gaussian_filter(rng.normal(0.65, 0.3, size), sigma, mode="nearest")
    return np.uint8(np.where(smooth < 0.69, 0, smooth) * 255)


@pytest.mark.parametrize("sigma", [0.7, 1.0, 3.0])
@pytest.mark.parametrize("thresholds", [(50, 150), (100, 400), (0, 600)])
def test_canny_is_its_definition(sigma: float, thresholds: tuple[int, int]) -> None:
    noise = np.random.default_rng(8).integers(0, 256, (3, 33, 47)).astype(np.uint8)
    levels = np.concatenate([[blots(seed, (33, 47), sigma) for seed in range(5)], noise])
    found = canny(torch.from_numpy(levels), low=thresholds[0], high=thresholds[1])
    expected = [slow_canny(picture, *thresholds) for picture in levels]
    assert np.array_equal(found.numpy(), np.stack(expected))
    assert found.any()


def test_a_long_weak_edge_hangs_on_one_strong_pixel() -> None:
    levels = torch.zeros(1, 80, 80, dtype=torch.uint8)
    levels[0, 40:] = 20  # a weak edge, far longer than one round of growing
    assert not canny(levels, low=50, high=150).any()
    levels[0, 40:, :2] = 90
    assert canny(levels, low=50, high=150)[0, 38:42].any(0)[4:].all()


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (9, 1), (2, 2), (31, 44)])
def test_distances_are_the_shortest_paths(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(size[0])
    edges = rng.random((6, *size)) < np.array([0.002, 0.01, 0.05, 0.3, 1.0, 0.0])[:, None, None]
    found = distance_to(torch.from_numpy(edges), farthest=20).numpy() / CHAMFER_ONE
    expected = np.minimum(np.stack([slow_distance(each) for each in edges]), 20)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)


def test_without_an_edge_all_is_far() -> None:
    edges = torch.zeros(1, 5, 6, dtype=torch.bool)
    assert (distance_to(edges, farthest=20) == 20 * CHAMFER_ONE).all()
