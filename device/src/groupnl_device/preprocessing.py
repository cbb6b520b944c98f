"""How a picture becomes the net's input: the same steps in training, in evaluation and on the device.

The fields carry the names of timm's data configuration; ``Preprocessing.load`` and ``Preprocessing.normalize`` do what
timm's evaluation transform does (checked against it in the tests), with Pillow and numpy alone.
"""

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL import Image

Interpolation = Literal["bilinear", "bicubic"]
CropMode = Literal["center", "squash"]

MAX_SIDE = 4096  # pixels of the net's input: far above any CNN for a device, small enough to allocate without a thought
MAX_PICTURE_PIXELS = 100_000_000  # of a picture file: a 100-megapixel camera; more is taken for a decompression bomb


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """From picture file to input tensor.

    Attributes:
        input_size: (C, H, W) with C = 3.
        mean: Per channel, of images in [0, 1].
        std: Per channel, of images in [0, 1], positive.
        interpolation: Filter of the resize; Pillow's, which averages when it shrinks.
        crop_pct: In (0, 1]: share of the resized picture's side that the central crop keeps.
        crop_mode: ``squash`` resizes to H / crop_pct x W / crop_pct, which changes the aspect ratio; ``center`` resizes
            until the picture just covers that rectangle (for a square input: shorter side to H / crop_pct). Both then
            take the centre.
    """

    input_size: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: Interpolation = "bilinear"
    crop_pct: float = 1.0
    crop_mode: CropMode = "squash"

    def __post_init__(self) -> None:
        size = self.input_size
        if not isinstance(size, list | tuple) or len(size) != 3 or not all(_is_integer(v) for v in size):
            raise ValueError(f"input_size={size!r}: expected three integers (channels, height, width)")
        if size[0] != 3 or not (1 <= size[1] <= MAX_SIDE and 1 <= size[2] <= MAX_SIDE):
            raise ValueError(f"input_size={size!r}: expected 3 channels, height and width from 1 to {MAX_SIDE}")
        for name, values in (("mean", self.mean), ("std", self.std)):
            if not isinstance(values, list | tuple) or len(values) != size[0] or not all(_is_finite(v) for v in values):
                raise ValueError(f"{name}={values!r}: expected {size[0]} finite numbers, one per channel")
        if min(self.std) <= 0:
            raise ValueError(f"std={self.std!r}: expected positive numbers")
        if self.interpolation not in get_args(Interpolation):
            raise ValueError(
                f"interpolation={self.interpolation!r}: expected one of {', '.join(get_args(Interpolation))}"
            )
        if not _is_finite(self.crop_pct) or not 0.01 <= self.crop_pct <= 1:
            raise ValueError(f"crop_pct={self.crop_pct!r}: expected a number from 0.01 to 1")
        if self.crop_mode not in get_args(CropMode):
            raise ValueError(f"crop_mode={self.crop_mode!r}: expected one of {', '.join(get_args(CropMode))}")
        object.__setattr__(self, "input_size", tuple(int(v) for v in size))
        object.__setattr__(self, "mean", tuple(float(v) for v in self.mean))
        object.__setattr__(self, "std", tuple(float(v) for v in self.std))
        object.__setattr__(self, "crop_pct", float(self.crop_pct))

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values; :meth:`from_dict` reads them back."""
        return {
            "input_size": list(self.input_size),
            "mean": list(self.mean),
            "std": list(self.std),
            "interpolation": self.interpolation,
            "crop_pct": self.crop_pct,
            "crop_mode": self.crop_mode,
        }

    @classmethod
    def from_dict(cls, d: Mapping[str, Any]) -> "Preprocessing":
        """Read what :meth:`to_dict` wrote.

        Raises:
            ValueError: A field is unknown, missing or out of its range.
        """
        known = {field.name for field in fields(cls)}
        if not isinstance(d, Mapping):
            raise ValueError(f"preprocessing: expected an object with {', '.join(sorted(known))}; got {d!r}")
        if unknown := sorted(set(map(str, d)) - known):
            raise ValueError(f"preprocessing: unknown {', '.join(unknown)}; known are {', '.join(sorted(known))}")
        if missing := sorted({"input_size", "mean", "std"} - set(d)):
            raise ValueError(f"preprocessing: {', '.join(missing)} missing")
        return cls(**d)

    def load(self, path: str | Path) -> NDArray[np.uint8]:
        """Read a picture file, upright, on white where it is transparent, resized and cropped.

        Args:
            path: Any format that Pillow reads; of an animation, the first frame.

        Returns:
            uint8, shape (H, W, 3).

        Raises:
            ValueError: Not a readable picture, or larger than 100 megapixels.
            OSError: The file itself cannot be opened.
        """
        return np.asarray(self._fit(read_rgb(Path(path))), dtype=np.uint8)

    def normalize(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """``(x / 255 - mean) / std`` per channel.

        Args:
            images: uint8, shape (N, C, H, W).

        Returns:
            float32, same shape.

        Raises:
            ValueError: Another dtype or another number of channels.
        """
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1] != len(self.mean):
            raise ValueError(
                f"images: {images.dtype} of shape {images.shape}; expected uint8 of shape (N, {len(self.mean)}, H, W)"
            )
        mean = np.array(self.mean, np.float32).reshape(-1, 1, 1)
        std = np.array(self.std, np.float32).reshape(-1, 1, 1)
        normalized = images.astype(np.float32)
        normalized /= np.float32(255)
        normalized -= mean
        normalized /= std
        return normalized

    def _fit(self, picture: "Image.Image") -> "Image.Image":
        """Resize and crop a picture to H x W."""
        from PIL import Image

        _, height, width = self.input_size
        scaled_h, scaled_w = math.floor(height / self.crop_pct), math.floor(width / self.crop_pct)
        if self.crop_mode == "center":
            old_w, old_h = picture.size
            if scaled_h * old_w >= scaled_w * old_h:  # the height is what limits; int() as in torchvision's Resize
                scaled_w = max(scaled_w, int(scaled_h * old_w / old_h))
            else:
                scaled_h = max(scaled_h, int(scaled_w * old_h / old_w))
        resample = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}[self.interpolation]
        left, top = round((scaled_w - width) / 2), round((scaled_h - height) / 2)
        if picture.size != (scaled_w, scaled_h):
            picture = picture.resize((scaled_w, scaled_h), resample)
        if picture.size != (width, height):
            picture = picture.crop((left, top, left + width, top + height))
        return picture


def _is_integer(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool) and math.isfinite(value)


def read_rgb(path: Path) -> "Image.Image":
    """Open, turn upright by the EXIF tag, composite on white, convert to RGB."""
    from PIL import Image, ImageOps

    with path.open("rb") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of odd metadata and of size; the size is checked here
        try:
            with Image.open(file) as picture:
                if picture.width * picture.height > MAX_PICTURE_PIXELS:
                    raise ValueError(f"{picture.width} x {picture.height} pixels, at most {MAX_PICTURE_PIXELS} allowed")
                upright = ImageOps.exif_transpose(picture)
                if upright.mode.startswith("I"):  # 16-bit grey: Pillow's own conversion would clip, not scale
                    wide = np.asarray(upright).astype(np.float64).clip(0, 65535)
                    return Image.fromarray((wide / 257).round().astype(np.uint8)).convert("RGB")
                if upright.has_transparency_data:
                    layer = upright.convert("RGBA")
                    return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
                return upright.convert("RGB")
        except MemoryError:
            raise
        except Exception as error:  # Pillow's decoders raise anything from SyntaxError to struct.error on broken files
            reason = str(error) or type(error).__name__
            raise ValueError(f"{path}: not a picture that can be read ({reason})") from error
