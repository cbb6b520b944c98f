"""The corruptions the straightforward way, to be measured against: one picture at a time, with numpy and OpenCV.

Written from the definitions of Hendrycks & Dietterich (arXiv 1903.12261), with the packages that their generators
use where one has the operation; the constants are those of ``groupnl.corruptions.CORRUPTIONS``. Two are quicker than
the published way: motion blur is one call of OpenCV instead of ImageMagick with two PNG files, and a photograph of
frost is read once instead of once a picture.

    pip install opencv-python-headless scikit-image scipy
"""

import importlib
import io
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray
from PIL import Image

# No dependencies of the project, so imported by name: a type checker need not find them.
cv2 = importlib.import_module("cv2")
color, filters, util = (importlib.import_module(f"skimage.{part}") for part in ("color", "filters", "util"))

Pixels = NDArray[np.uint8]  # (H, W, 3), RGB
Floats = NDArray[Any]
Peer = Callable[..., Pixels]  # (pixels, random generator, **constants) -> pixels
Random = np.random.Generator


def _unit(pixels: Pixels) -> Floats:
    return pixels / 255.0


def _levels(unit: Floats) -> Pixels:
    return (np.clip(unit, 0, 1) * 255).astype(np.uint8)


def gaussian_noise(pixels: Pixels, random: Random, *, scale: float) -> Pixels:
    return _levels(_unit(pixels) + random.normal(size=pixels.shape, scale=scale))


def shot_noise(pixels: Pixels, random: Random, *, photons: float) -> Pixels:
    return _levels(random.poisson(_unit(pixels) * photons) / photons)


def impulse_noise(pixels: Pixels, random: Random, *, amount: float) -> Pixels:
    return _levels(util.random_noise(_unit(pixels), mode="s&p", amount=amount, rng=random))


def speckle_noise(pixels: Pixels, random: Random, *, scale: float) -> Pixels:
    unit = _unit(pixels)
    return _levels(unit + unit * random.normal(size=pixels.shape, scale=scale))


def defocus_blur(pixels: Pixels, _random: Random, *, radius: float, alias_sigma: float) -> Pixels:
    half, soft = (8, 3) if radius <= 8 else (radius, 5)
    axis = np.arange(-half, half + 1)
    disk = (axis[:, None] ** 2 + axis**2 <= radius**2).astype(np.float32)
    kernel = cv2.GaussianBlur(disk / disk.sum(), ksize=(soft, soft), sigmaX=alias_sigma)
    return _levels(cv2.filter2D(_unit(pixels), -1, kernel))


def glass_blur(pixels: Pixels, random: Random, *, sigma: float, reach: int, iterations: int) -> Pixels:
    height, width, _ = pixels.shape
    pixels = _levels(filters.gaussian(_unit(pixels), sigma=sigma, channel_axis=-1))
    for _ in range(iterations):
        for h in range(height - reach, reach, -1):
            for w in range(width - reach, reach, -1):
                dx, dy = random.integers(-reach, reach, size=2)
                pixels[h, w] = pixels[h + dy, w + dx]
    return _levels(filters.gaussian(_unit(pixels), sigma=sigma, channel_axis=-1))


def _smear(pixels: Pixels, radius: int, sigma: float, angle: float) -> Pixels:
    size = 2 * radius + 1
    bell = np.exp(-(np.arange(size) ** 2) / (2 * sigma**2))
    kernel = np.zeros((2 * size + 1, 2 * size + 1))
    for step, weight in enumerate(bell / bell.sum()):
        right = math.ceil(step * math.cos(math.radians(angle)) - 0.5)
        down = math.ceil(step * math.sin(math.radians(angle)) - 0.5)
        kernel[size + down, size + right] += weight
    blurred: Floats = cv2.filter2D(pixels.astype(np.float64) * 257, -1, kernel, borderType=cv2.BORDER_REPLICATE)
    return (np.floor(blurred + 0.5) // 257).astype(np.uint8)


def motion_blur(pixels: Pixels, random: Random, *, radius: int, sigma: float) -> Pixels:
    return _smear(pixels, radius, sigma, random.uniform(-45, 45))


def _clipped_zoom(unit: Floats, factor: float) -> Floats:
    height, width = unit.shape[:2]
    rows, columns = math.ceil(height / factor), math.ceil(width / factor)
    top, left = (height - rows) // 2, (width - columns) // 2
    grown: Floats = scipy.ndimage.zoom(unit[top : top + rows, left : left + columns], (factor, factor, 1), order=1)
    top, left = (grown.shape[0] - height) // 2, (grown.shape[1] - width) // 2
    return grown[top : top + height, left : left + width]


def zoom_blur(pixels: Pixels, _random: Random, *, stop: float, step: float) -> Pixels:
    unit = _unit(pixels).astype(np.float32)
    factors = np.arange(1, stop, step)
    total = np.zeros_like(unit)
    for factor in factors:
        total += _clipped_zoom(unit, factor)
    return _levels((unit + total) / (len(factors) + 1))


def gaussian_blur(pixels: Pixels, _random: Random, *, sigma: float) -> Pixels:
    return _levels(filters.gaussian(_unit(pixels), sigma=sigma, channel_axis=-1))


def snow(
    pixels: Pixels,
    random: Random,
    *,
    mean: float,
    scale: float,
    zoom: float,
    threshold: float,
    radius: int,
    sigma: float,
    keep: float,
) -> Pixels:
    unit = _unit(pixels).astype(np.float32)
    layer = _clipped_zoom(random.normal(size=(*unit.shape[:2], 1), loc=mean, scale=scale), zoom)[..., 0]
    layer[layer < threshold] = 0
    layer = _smear(_levels(layer), radius, sigma, random.uniform(-135, -45))[..., None] / 255.0
    grey = cv2.cvtColor(unit, cv2.COLOR_RGB2GRAY)[..., None]
    scene = keep * unit + (1 - keep) * np.maximum(unit, grey * 1.5 + 0.5)
    return _levels(scene + layer + np.rot90(layer, k=2))


def frost(
    pixels: Pixels, random: Random, *, keep: float, weight: float, every: int, photographs: list[Pixels]
) -> Pixels:
    height, width, _ = pixels.shape
    which = random.integers(len(photographs))
    photograph: Pixels = cv2.resize(photographs[which], (0, 0), fx=1 / every, fy=1 / every)
    top, left = random.integers(photograph.shape[0] - height), random.integers(photograph.shape[1] - width)
    crop = photograph[top : top + height, left : left + width]
    return np.clip(keep * pixels + weight * crop, 0, 255).astype(np.uint8)


def fog(pixels: Pixels, random: Random, *, amount: float, decay: float) -> Pixels:
    height, width, _ = pixels.shape
    size = 1 << (max(height, width) - 1).bit_length()
    clouds = np.zeros((size, size))
    step, half_range = size, 100.0

    def moved(total: Floats) -> Floats:
        return total / 4 + half_range * random.uniform(-half_range, half_range, total.shape)

    while step >= 2:
        half = step // 2
        corners = clouds[::step, ::step]
        pairs = corners + np.roll(corners, -1, axis=0)
        clouds[half::step, half::step] = moved(pairs + np.roll(pairs, -1, axis=1))
        centres = clouds[half::step, half::step]
        across = centres + np.roll(centres, 1, axis=0) + corners + np.roll(corners, -1, axis=1)
        clouds[::step, half::step] = moved(across)
        down = centres + np.roll(centres, 1, axis=1) + corners + np.roll(corners, -1, axis=0)
        clouds[half::step, ::step] = moved(down)
        step, half_range = half, half_range / decay
    clouds = (clouds - clouds.min()) / (clouds.max() - clouds.min())
    unit = _unit(pixels)
    top = unit.max()
    return _levels((unit + amount * clouds[:height, :width, None]) * top / (top + amount))


def brightness(pixels: Pixels, _random: Random, *, amount: float) -> Pixels:
    hsv = color.rgb2hsv(_unit(pixels))
    hsv[..., 2] = np.clip(hsv[..., 2] + amount, 0, 1)
    return _levels(color.hsv2rgb(hsv))


def saturate(pixels: Pixels, _random: Random, *, gain: float, offset: float) -> Pixels:
    hsv = color.rgb2hsv(_unit(pixels))
    hsv[..., 1] = np.clip(hsv[..., 1] * gain + offset, 0, 1)
    return _levels(color.hsv2rgb(hsv))


def contrast(pixels: Pixels, _random: Random, *, keep: float) -> Pixels:
    unit = _unit(pixels)
    mean = unit.mean(axis=(0, 1), keepdims=True)
    return _levels((unit - mean) * keep + mean)


def elastic_transform(pixels: Pixels, random: Random, *, alpha: float, sigma: float, jitter: float) -> Pixels:
    unit = _unit(pixels).astype(np.float32)
    height, width, _ = unit.shape
    x, y, side = height // 2, width // 2, min(height, width) // 3
    corners = np.array([[x + side, y + side], [x + side, y - side], [x - side, y - side]], np.float32)
    moved = corners + random.uniform(-jitter, jitter, corners.shape).astype(np.float32)
    matrix = cv2.getAffineTransform(corners, moved)
    unit = cv2.warpAffine(unit, matrix, (width, height), borderMode=cv2.BORDER_REFLECT_101)
    right, down = (
        filters.gaussian(random.uniform(-1, 1, (height, width)), sigma, mode="reflect", truncate=3) * alpha
        for _ in range(2)
    )
    rows, columns, channels = np.meshgrid(np.arange(height), np.arange(width), np.arange(3), indexing="ij")
    places = (rows + down[..., None], columns + right[..., None], channels)
    return _levels(scipy.ndimage.map_coordinates(unit, places, order=1, mode="reflect"))


def pixelate(pixels: Pixels, _random: Random, *, scale: float) -> Pixels:
    height, width, _ = pixels.shape
    small = Image.fromarray(pixels).resize((int(width * scale), int(height * scale)), Image.Resampling.BOX)
    return np.asarray(small.resize((width, height), Image.Resampling.BOX))


def jpeg_compression(pixels: Pixels, _random: Random, *, quality: int) -> Pixels:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def spatter(
    pixels: Pixels,
    random: Random,
    *,
    mean: float,
    scale: float,
    sigma: float,
    threshold: float,
    strength: float,
    mud: int,
) -> Pixels:
    unit = _unit(pixels).astype(np.float32)
    liquid = filters.gaussian(random.normal(size=unit.shape[:2], loc=mean, scale=scale), sigma=sigma)
    liquid[liquid < threshold] = 0
    if mud:
        cover = filters.gaussian((liquid > threshold).astype(np.float32), sigma=strength)[..., None]
        cover[cover < 0.8] = 0
        return _levels(unit * (1 - cover) + np.array([63, 42, 20], np.float32) / 255 * cover)
    heights = (liquid * 255).astype(np.int64).astype(np.uint8)
    distance = cv2.distanceTransform(255 - cv2.Canny(heights, 50, 150), cv2.DIST_L2, 5)
    near = cv2.blur(np.minimum(distance, 20), (3, 3)).astype(np.uint8)
    shade = cv2.filter2D(cv2.equalizeHist(near), cv2.CV_8U, np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]]))
    shine = (heights * cv2.blur(shade, (3, 3)).astype(np.float32))[..., None]
    shine *= strength / max(shine.max(), 1)
    return _levels(unit + shine * np.array([175, 238, 238], np.float32) / 255)


PEERS: dict[str, Peer] = {
    peer.__name__: peer
    for peer in (
        gaussian_noise,
        shot_noise,
        impulse_noise,
        defocus_blur,
        glass_blur,
        motion_blur,
        zoom_blur,
        snow,
        frost,
        fog,
        brightness,
        contrast,
        elastic_transform,
        pixelate,
        jpeg_compression,
        speckle_noise,
        gaussian_blur,
        spatter,
        saturate,
    )
}
