import math

import numpy as np
import pytest
import scipy.ndimage
import torch
from torch import Tensor

from groupnl.corruptions import CORRUPTIONS, SEVERITIES
from groupnl.corruptions.elastic import displace, elastic_transform, triangle_map, warp_affine


def mirror(place: int, size: int) -> int:
    """Mirrored about the end pixels, one bounce at a time."""
    while size > 1 and not 0 <= place < size:
        place = -place if place < 0 else 2 * (size - 1) - place
    return place if size > 1 else 0


def slow_warp(picture: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """One picture (H, W, C) moved by a map (2, 3), pixel by pixel: read at 1/32 pixel."""
    height, width = picture.shape[:2]
    back = np.linalg.inv(np.vstack([affine, [0, 0, 1]]))[:2]
    moved = np.empty_like(picture)
    for y, x in np.ndindex(height, width):
        at = [(round(row[0] * x * 1024) + round((row[1] * y + row[2]) * 1024) + 16) // 32 for row in back]
        (left, part_x), (top, part_y) = (divmod(each, 32) for each in at)
        total = np.zeros(picture.shape[2])
        for row, weight_y in ((top, 32 - part_y), (top + 1, part_y)):
            for column, weight_x in ((left, 32 - part_x), (left + 1, part_x)):
                total += picture[mirror(row, height), mirror(column, width)] * (weight_y * weight_x / 1024)
        moved[y, x] = total
    return moved


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize(("variant", "size"), [("cifar", (32, 32)), ("cifar", (27, 34)), ("imagenet", (96, 81))])
def test_elastic_transform_is_its_definition(severity: int, variant: str, size: tuple[int, int]) -> None:
    rng = np.random.default_rng(severity)
    images = rng.integers(0, 256, (2, *size, 3)).astype(np.uint8)
    corners, pulls = rng.random((2, 3, 2)), rng.random((2, 2, *size))
    c = CORRUPTIONS["elastic_transform"].constants(variant, severity)  # type: ignore[arg-type]
    found = elastic_transform(
        torch.from_numpy(images).permute(0, 3, 1, 2),
        corners=torch.from_numpy(corners),
        pulls=torch.from_numpy(pulls),
        **c,
    )
    rows, columns = np.indices(size)
    middle, side = np.array([size[1] // 2, size[0] // 2]), min(size) // 3
    triangle = middle + side * np.array([[1, 1], [1, -1], [-1, -1]])
    for picture, corrupted, corner, pull in zip(images, found, corners, pulls, strict=True):
        target = np.float32(triangle) + np.float32((2 * corner - 1) * c["jitter"])
        affine = np.linalg.solve(np.column_stack([triangle, np.ones(3)]), target).T
        sheared = np.float32(slow_warp(np.float32(picture) / 255, affine))
        right, down = (
            np.float32(scipy.ndimage.gaussian_filter(2 * each - 1, c["sigma"], mode="reflect", truncate=3) * c["alpha"])
            for each in pull
        )
        channels = [
            scipy.ndimage.map_coordinates(
                sheared[..., channel], [rows + down, columns + right], order=1, mode="reflect"
            )
            for channel in range(3)
        ]
        expected = np.uint8(np.clip(np.float32(channels), 0, 1) * 255)
        difference = np.abs(corrupted.numpy().astype(int) - expected)
        assert (difference > 0).mean() <= 1e-3
        assert difference.max() <= 1


def test_still_corners_and_no_pull_change_nothing(pictures: Tensor) -> None:
    count, _, height, width = pictures.shape
    half = torch.full((count, 3, 2), 0.5, dtype=torch.float64)
    pulls = torch.full((count, 2, height, width), 0.5, dtype=torch.float64)
    for alpha in (0.0, 3.0):
        still = elastic_transform(pictures, corners=half, pulls=pulls, alpha=alpha, sigma=1.3, jitter=2.0)
        assert torch.equal(still, (pictures.float() / 255 * 255).to(torch.uint8))


def test_a_turn_by_the_map_is_a_turn() -> None:
    picture = torch.rand(1, 3, 9, 9, generator=torch.Generator().manual_seed(1))
    quarter = torch.tensor([[[0.0, -1.0, 8.0], [1.0, 0.0, 0.0]]], dtype=torch.float64)
    assert torch.equal(warp_affine(picture, quarter), picture.rot90(-1, (2, 3)))


def test_a_map_that_flattens_the_picture_is_survived() -> None:
    flat = torch.zeros(1, 2, 3, dtype=torch.float64)
    assert torch.isfinite(warp_affine(torch.rand(1, 3, 5, 6), flat)).all()


def test_the_triangle_goes_where_it_should() -> None:
    corners = torch.rand(4, 3, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    maps = triangle_map(corners, 33, 47, 5.0).numpy()
    start = np.array([[23 + 11, 16 + 11, 1], [23 + 11, 16 - 11, 1], [23 - 11, 16 - 11, 1]])
    expected = start[:, :2] + (2 * corners.numpy() - 1) * 5
    np.testing.assert_allclose(np.einsum("nij,kj->nki", maps, start), expected, atol=1e-5)


@pytest.mark.parametrize("size", [(1, 1), (1, 6), (5, 1), (7, 9)])
@pytest.mark.parametrize("reach", [0.4, 3.0, 40.0])
def test_displace_is_scipys_linear_interpolation(size: tuple[int, int], reach: float) -> None:
    rng = np.random.default_rng(math.ceil(reach))
    picture, moves = rng.random((1, *size)).astype(np.float32), rng.uniform(-reach, reach, (2, *size))
    found = displace(torch.from_numpy(picture)[None], torch.from_numpy(np.float32(moves))[None])
    rows, columns = np.indices(size)
    places = [rows + np.float32(moves[1]), columns + np.float32(moves[0])]
    expected = scipy.ndimage.map_coordinates(picture[0], places, order=1, mode="reflect")
    np.testing.assert_allclose(found[0, 0].numpy(), expected, rtol=0, atol=1e-6)
