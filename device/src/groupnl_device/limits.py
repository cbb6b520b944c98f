"""How much a reader accepts, checked before anything is allocated."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds of a bundle; a device with little memory passes smaller ones.

    Attributes:
        file_bytes: Of the whole file. No bundle is larger than 4 GiB: the archive's fields end there.
        manifest_bytes: Of ``manifest.json``; 4 MiB hold the class names of ImageNet-21k and a thousand layers.
        entries: Number of entries, manifest included.
        unpacked_bytes: Of all entries together, after decompression.
        ratio: Unpacked size of a compressed entry divided by its stored size. Weights compress by less than 10.
    """

    file_bytes: int = 2 * 1024**3
    manifest_bytes: int = 4 * 1024**2
    entries: int = 64
    unpacked_bytes: int = 2 * 1024**3
    ratio: float = 200.0


DEFAULT_LIMITS = Limits()
