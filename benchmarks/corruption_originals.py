"""The original corruption functions, with constants and random numbers given from outside.

The file of the package imagecorruptions-imaug is run with its literal constants and its numpy replaced, and with the
published form put back where the package changed it (``RESTORED``).
"""

import ast
import importlib
import importlib.util
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

PACKAGE = "imagecorruptions-imaug"
INSTALL = f'pip install {PACKAGE} "opencv-python-headless<4.11"'
RESTORED = {
    "motion_blur": "ImageMagick's motion blur, which the package replaces by its own",
    "snow": "ImageMagick's motion blur on whole levels; zoom trimmed in the middle",
    "zoom_blur": "zoom trimmed in the middle, not at the upper left",
    "frost": "photographs at their size (cifar: a fifth), five of them; the package enlarges, and uses six",
    "fog": "height map in float64, not float32",
    "elastic_transform": "all of it: the package has another one; written anew from the definition",
}

Pixels = NDArray[Any]
Draws = Mapping[str, NDArray[Any]]
Constants = Mapping[str, Any]


class Original:
    """The package's functions, with constants and random numbers given from outside."""

    def __init__(self) -> None:
        found = importlib.util.find_spec("imagecorruptions")
        if found is None or found.origin is None:
            raise SystemExit(f"The original functions are not installed: {INSTALL}")
        self.cv2 = importlib.import_module("cv2")
        tree = ast.parse((Path(found.origin).parent / "corruptions.py").read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "c":
                node.value = ast.parse("GIVEN_CONSTANTS", mode="eval").body
        self.space: dict[str, Any] = {"__name__": "imagecorruptions.corruptions", "__package__": "imagecorruptions"}
        exec(compile(ast.fix_missing_locations(tree), "corruptions.py", "exec"), self.space)
        self._restore()

    def _restore(self) -> None:
        """Put back what the package changed, see ``RESTORED``."""
        package_zoom = self.space["clipped_zoom"]

        def trimmed_zoom(picture: Pixels, factor: float) -> Pixels:
            zoomed = package_zoom(picture, factor)
            top, left = ((zoomed.shape[axis] - picture.shape[axis]) // 2 for axis in (0, 1))
            return np.asarray(zoomed[top : top + picture.shape[0], left : left + picture.shape[1]])

        self.space["clipped_zoom"] = trimmed_zoom
        self.space["_motion_blur"] = magick_motion_blur
        self.space["_shuffle_pixels_njit_glass_blur"] = self.space["_shuffle_pixels_njit_glass_blur"].py_func

    def __call__(self, name: str, picture: Pixels, constants: Constants, draws: Draws) -> Pixels:
        """Corrupt one picture (H, W, 3)."""
        if name == "elastic_transform":
            return elastic_by_definition(self.cv2, picture, constants, draws)
        given, random, keywords = GIVE[name](constants, draws)
        self.space["GIVEN_CONSTANTS"] = given
        self.space["np"] = _Numpy(random, doubled=name == "fog")
        self.space["cv2"] = _OpenCV(self.cv2, every=constants.get("every"))
        return np.asarray(self.space[name](Image.fromarray(picture), 1, **keywords)).astype(np.uint8)


class _Numpy:
    """numpy, but for its random numbers; ``doubled``: float32 arrays are made float64."""

    def __init__(self, random: SimpleNamespace, *, doubled: bool) -> None:
        self.random = random
        if doubled:
            self.float32 = np.float64

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)


class _OpenCV:
    """OpenCV; the photographs of frost are not enlarged, but taken as published."""

    def __init__(self, cv2: Any, *, every: int | None) -> None:
        self._cv2 = cv2
        self._every = every

    def resize(self, picture: Pixels, **keywords: Any) -> Any:
        if self._every is None:
            return self._cv2.resize(picture, **keywords)
        return picture if self._every == 1 else self._cv2.resize(picture, (0, 0), fx=0.2, fy=0.2)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cv2, name)


def magick_motion_blur(picture: Pixels, radius: int, sigma: float, angle: float) -> Pixels:
    """ImageMagick's motion blur at 16 bits, from its definition, of levels or (snow) of floats in [0, 1].

    Returns:
        Whole levels of ``picture``'s own range.
    """
    whole = np.issubdtype(picture.dtype, np.integer)
    levels = (picture if whole else (picture * 255).astype(np.uint8)).astype(np.float64) * 257
    rows, columns = np.mgrid[: picture.shape[0], : picture.shape[1]]
    bell = np.exp(-(np.arange(2 * radius + 1) ** 2) / (2 * sigma**2))
    total = np.zeros(picture.shape)
    for step, weight in enumerate(bell / bell.sum()):
        down = math.ceil(step * math.sin(math.radians(angle)) - 0.5)
        right = math.ceil(step * math.cos(math.radians(angle)) - 0.5)
        y, x = np.clip(rows + down, 0, rows.max()), np.clip(columns + right, 0, columns.max())
        total += weight * levels[y, x]
    blurred = np.floor(total + 0.5) // 257
    return blurred if whole else blurred / 255


def elastic_by_definition(cv2: Any, picture: Pixels, constants: Constants, draws: Draws) -> Pixels:
    """The published elastic transform, with OpenCV's affine map and SciPy's displacement."""
    from scipy.ndimage import gaussian_filter, map_coordinates

    unit = picture.astype(np.float32) / 255.0
    height, width = unit.shape[:2]
    middle, side = np.array([width // 2, height // 2], np.float32), min(height, width) // 3
    start = middle + np.array([[side, side], [side, -side], [-side, -side]], np.float32)
    jitter = constants["jitter"]
    moved = start + (-jitter + 2 * jitter * draws["corners"]).astype(np.float32)
    affine = cv2.getAffineTransform(start, moved)
    sheared = cv2.warpAffine(unit, affine, (width, height), borderMode=cv2.BORDER_REFLECT_101)
    right, down = (
        gaussian_filter(2 * pull - 1, constants["sigma"], mode="reflect", truncate=3) * constants["alpha"]
        for pull in draws["pulls"]
    )
    rows, columns = np.mgrid[:height, :width]
    places = [rows + down.astype(np.float32), columns + right.astype(np.float32)]
    channels = [map_coordinates(sheared[..., channel], places, order=1, mode="reflect") for channel in range(3)]
    return np.asarray(np.clip(np.stack(channels, -1), 0, 1) * 255).astype(np.uint8)


def _normal(draws: Draws) -> Callable[..., Pixels]:
    return lambda size, loc=0.0, scale=1.0: loc + scale * draws["noise"].reshape(size)


def _give(constants: Any, **random: Any) -> tuple[Any, SimpleNamespace, dict[str, Any]]:
    return constants, SimpleNamespace(**random), {}


def _give_noise(c: Constants, draws: Draws) -> tuple[Any, SimpleNamespace, dict[str, Any]]:
    return _give(c["scale"], normal=_permuted(_normal(draws)))


def _permuted(normal: Callable[..., Pixels]) -> Callable[..., Pixels]:
    """Draws of shape (3, H, W) for who asks for (H, W, 3)."""
    return lambda size, scale: normal((size[2], *size[:2]), scale=scale).transpose(1, 2, 0)


def _give_shot(c: Constants, draws: Draws) -> tuple[Any, SimpleNamespace, dict[str, Any]]:
    from scipy.stats import poisson

    return _give(c["photons"], poisson=lambda mean: poisson.ppf(draws["fractions"].transpose(1, 2, 0), mean))


def _give_impulse(c: Constants, draws: Draws) -> tuple[Any, SimpleNamespace, dict[str, Any]]:
    fractions = draws["fractions"].transpose(1, 2, 0)
    answers = iter((fractions, np.where(fractions <= c["amount"] / 2, 0.0, 1.0)))

    class Given(np.random.Generator):
        def random(self, *_: Any, **__: Any) -> Any:
            return next(answers)

    return c["amount"], SimpleNamespace(), {"seed": Given(np.random.PCG64())}


def _give_glass(c: Constants, draws: Draws) -> tuple[Any, SimpleNamespace, dict[str, Any]]:
    visits: Iterator[Pixels] = iter(draws["offsets"].reshape(-1, 2))
    random = SimpleNamespace(seed=lambda _: None, randint=lambda *_, **__: next(visits))
    return (c["sigma"], int(c["reach"]), int(c["iterations"])), random, {"seed": 0}


def _give_snow(c: Constants, draws: Draws) -> tuple[Any, SimpleNamespace, dict[str, Any]]:
    constants = tuple(c[key] for key in ("mean", "scale", "zoom", "threshold", "radius", "sigma", "keep"))
    return _give(constants, normal=_normal(draws), uniform=lambda *_: float(draws["angles"]))


def _give_frost(c: Constants, draws: Draws) -> tuple[Any, SimpleNamespace, dict[str, Any]]:
    left = iter(draws["fractions"])
    first = iter([True])
    # the package asks for one of six photographs, the generators for one of five
    return _give(
        (c["keep"], c["weight"]),
        randint=lambda *limits: int(next(left) * (5 if next(first, False) else limits[-1])),
    )


def _give_fog(c: Constants, draws: Draws) -> tuple[Any, SimpleNamespace, dict[str, Any]]:
    used = 0

    def uniform(low: float, high: float, shape: tuple[int, ...]) -> Pixels:
        nonlocal used
        used += math.prod(shape)
        return low + (high - low) * draws["fractions"][used - math.prod(shape) : used].reshape(shape)

    return _give((c["amount"], c["decay"]), uniform=uniform)


def _give_spatter(c: Constants, draws: Draws) -> tuple[Any, SimpleNamespace, dict[str, Any]]:
    constants = tuple(c[key] for key in ("mean", "scale", "sigma", "threshold", "strength", "mud"))
    return _give(constants, normal=_normal(draws))


def _give_constants(c: Constants, _draws: Draws) -> tuple[Any, SimpleNamespace, dict[str, Any]]:
    return _give(next(iter(c.values())) if len(c) == 1 else tuple(c.values()))


# For each corruption: its constants and draws as the original takes them.
GIVE: Mapping[str, Callable[[Constants, Draws], tuple[Any, SimpleNamespace, dict[str, Any]]]] = {
    "gaussian_noise": _give_noise,
    "shot_noise": _give_shot,
    "impulse_noise": _give_impulse,
    "defocus_blur": _give_constants,
    "glass_blur": _give_glass,
    "motion_blur": lambda c, draws: _give((c["radius"], c["sigma"]), uniform=lambda *_: float(draws["angles"])),
    "zoom_blur": lambda c, _: _give(np.arange(1, c["stop"], c["step"])),
    "snow": _give_snow,
    "frost": _give_frost,
    "fog": _give_fog,
    "brightness": _give_constants,
    "contrast": _give_constants,
    "pixelate": _give_constants,
    "jpeg_compression": _give_constants,
    "speckle_noise": _give_noise,
    "gaussian_blur": _give_constants,
    "spatter": _give_spatter,
    "saturate": _give_constants,
}
